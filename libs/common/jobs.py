"""Everything that happens by time: claimed from a table by database time, carried out, fenced by the run's number.

There is no leader and no bus in it: each replica takes what is due, and goes on while NATS is away. A handler may be
run again after a crash, a lost lease or an unknown commit, so it must be idempotent.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from libs.common import job_rows, log
from libs.common.db import Database, Unit
from libs.common.errors import AppError, InvariantBroken, OutcomeUnknown, UpstreamError, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.job_rows import Job, Wanted
from libs.common.metrics import METRICS
from libs.common.waiting import first_of

__all__ = ["Job", "JobHandler", "JobRunner", "NextDue", "extend", "finish", "job", "still_ours", "wake"]

NextDue = datetime | timedelta | None
"""When a job is due again: a moment, a while after now by the database's clock, or never."""

FINISH_WITHIN_S = 60.0
RELEASE_WITHIN_S = 2.0
STORE_AGAIN_S = 0.3
STORE_AGAIN_MAX_S = 1.0
RENEWALS = 3
"""How often in a lease a run renews its claim: one that comes late costs nothing."""
CLOCKS_APART_S = 1.0
"""How far our clock and the database's may be apart without a job being looked for late."""

_log = log.get(__name__)
_RUNS = METRICS.counter("job_runs_total", "Runs of jobs by their end", ["kind", "end"])

_runners: weakref.WeakSet[JobRunner] = weakref.WeakSet()


@dataclass(frozen=True)
class JobHandler:
    """What carries out one kind of job. Units: seconds; after a failure `retry_s` doubles up to `retry_max_s`.

    A run at work renews its claim of `lease_s`, for `longest_s` in all: who dies is soon replaced, who is slow is not.
    `endless`: a run only listens, so at shutdown it is given back at once, for another replica to take over.
    """

    kind: str
    run: Callable[[Job, Any], Awaitable[NextDue]]
    lease_s: float
    concurrency: int
    retry_s: float
    retry_max_s: float
    endless: bool = False
    longest_s: float = 0.0

    async def __call__(self, work: Job, deps: Any) -> NextDue:
        """Carry out one run."""
        return await self.run(work, deps)


def job(
    kind: str,
    *,
    lease_s: float = 30.0,
    concurrency: int = 8,
    retry_s: float = 1.0,
    retry_max_s: float = 60.0,
    endless: bool = False,
    longest_s: float = 0.0,
) -> Callable[[Callable[[Job, Any], Awaitable[NextDue]]], JobHandler]:
    """Make `async def handler(job, deps) -> next due` the handler of `kind`; list it in `Service.jobs`.

    Returning None ends the job. Raising records the error and tries again later.
    """

    def make(run: Callable[[Job, Any], Awaitable[NextDue]]) -> JobHandler:
        return JobHandler(kind, run, lease_s, concurrency, retry_s, retry_max_s, endless, longest_s)

    return make


async def finish(unit: Unit, work: Job, next_due: NextDue) -> bool:
    """Store in the handler's own unit that the run is over, and when the job is due next.

    False when the run is not ours any more: then let the unit fail. The runner does nothing more afterwards.
    """
    return await job_rows.finish(unit, work, next_due)


async def still_ours(db: Database, work: Job) -> bool:
    """Say, by database time, whether the claim still holds: asked right before a write at the broker."""
    async with db.for_worker() as unit:
        return await job_rows.ours(unit, work)


async def extend(db: Database, work: Job, lease_s: float) -> bool:
    """Hold the claim for `lease_s` from now; False when it is lost. Units: seconds."""
    async with db.for_worker() as unit:
        return await job_rows.extend(unit, work, lease_s)


def wake(kind: str) -> None:
    """Let this process look for due jobs of `kind` at once instead of at the next poll."""
    for runner in list(_runners):
        runner.wake(kind)


class JobRunner:
    """Claims and carries out jobs of the kinds it has handlers for. Units: `poll_s`, `grace_s` seconds."""

    def __init__(
        self, db: Database, handlers: Sequence[JobHandler], deps: Any, *, poll_s: float = 1.0, grace_s: float = 10.0
    ) -> None:
        self._handlers = {handler.kind: handler for handler in handlers}
        if len(self._handlers) != len(handlers):
            message = "two handlers for one kind of job"
            raise InvariantBroken(message)
        self._db = db
        self._deps = deps
        self._poll_s = poll_s
        self._grace_s = grace_s
        self._woken = asyncio.Event()
        self._running: dict[asyncio.Task[None], str] = {}
        self._trouble = False
        _runners.add(self)
        db.on_job(self.wake)

    def wake(self, kind: str, due: datetime | timedelta | None = None) -> None:
        """Look at once if `kind` is ours, unless it is due later than we look anyway (by a clock a second off)."""
        if kind not in self._handlers:
            return
        left = due - datetime.now(UTC) if isinstance(due, datetime) else due
        if left is None or left.total_seconds() <= self._poll_s + CLOCKS_APART_S:
            self._woken.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Carry out jobs until `stopping`, then let those in flight end; what takes longer is given back."""
        if not self._handlers:
            return
        async with asyncio.TaskGroup() as group:
            while not stopping.is_set():
                self._woken.clear()
                wait_s = await self._turn(group)
                await first_of(stopping, self._woken, within_s=wait_s)
            for task, kind in list(self._running.items()):
                if self._handlers[kind].endless:
                    task.cancel()
            if self._running:
                await asyncio.wait(set(self._running), timeout=self._grace_s)
            for task in list(self._running):
                task.cancel()

    async def _turn(self, group: asyncio.TaskGroup) -> float:
        """Claim what is due and there is room for; returns how long nothing will be due. Units: seconds."""
        wanted = self._room()
        if not wanted:
            return self._poll_s
        try:
            async with self._db.for_worker() as unit:
                claimed, next_s = await job_rows.claim(unit, wanted)
        except AppError as error:
            # What an unknown commit claimed comes back when its lease is over.
            if not self._trouble:
                _log.warning("jobs_wait", detail=error.detail)
            self._trouble = True
            await asyncio.sleep(min(self._poll_s, STORE_AGAIN_S))
            return self._poll_s
        if self._trouble:
            self._trouble = False
            _log.info("jobs_go_on")
        for work in claimed:
            handler = self._handlers[work.kind]
            task = group.create_task(self._carry_out(handler, work), name=f"{work.kind}:{work.key}")
            if handler.longest_s > handler.lease_s:
                holding = group.create_task(self._hold(handler, work))
                task.add_done_callback(partial(_let_go, holding))
            self._running[task] = work.kind
            task.add_done_callback(partial(self._ended, handler, work))
        return self._poll_s if next_s is None else min(self._poll_s, max(next_s, 0.0) + 0.001)

    def _room(self) -> list[Wanted]:
        busy = list(self._running.values())
        rooms = ((handler, handler.concurrency - busy.count(kind)) for kind, handler in self._handlers.items())
        return [Wanted(handler.kind, room, handler.lease_s) for handler, room in rooms if room > 0]

    def _ended(self, handler: JobHandler, work: Job, task: asyncio.Task[None]) -> None:
        """Look again where another may have waited for this one's place, or it is due again before the next look."""
        was_full = list(self._running.values()).count(handler.kind) >= handler.concurrency
        self._running.pop(task, None)
        left_s = work.ending.left_s if work.ending.is_stored else 0.0
        if was_full or (left_s is not None and left_s <= self._poll_s):
            self._woken.set()

    async def _carry_out(self, handler: JobHandler, work: Job) -> None:
        with log.bound_to(new_id()):
            try:
                next_due = await handler.run(work, self._deps)
            except asyncio.CancelledError:
                await self._store(work, lambda unit: job_rows.release(unit, work), within_s=RELEASE_WITHIN_S)
                raise
            except Exception as error:  # noqa: BLE001 - the edge of all jobs, like the consume loop is of messages
                await self._failed(handler, work, error)
            else:
                _RUNS.labels(work.kind, "ended").inc()
                # A row that its handler has finished is left as it is, unless it is over and to be removed.
                if work.ending.left_s is None:
                    await self._store(work, lambda unit: job_rows.end(unit, work, next_due))

    async def _hold(self, handler: JobHandler, work: Job) -> None:
        """Renew a run's claim until it is lost or has been held for as long as a run may take."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + handler.longest_s - handler.lease_s
        while loop.time() < ends:
            await asyncio.sleep(handler.lease_s / RENEWALS)
            try:
                if not await extend(self._db, work, handler.lease_s):
                    return
            except AppError as error:
                # Nobody else can claim it either while the database is away.
                _log.info("claim_not_renewed", kind=work.kind, key=work.key, detail=error.detail)

    async def _failed(self, handler: JobHandler, work: Job, error: Exception) -> None:
        _RUNS.labels(work.kind, "failed").inc()
        again_in_s = min(handler.retry_max_s, handler.retry_s * 2 ** min(work.tries, 20))
        if isinstance(error, AppError):
            reason = f"{error.code}: {error.detail}"
            # Nobody asked who could be refused: whatever is not the outside's trouble is a mistake of ours, and stays.
            tell = _log.warning if isinstance(error, UpstreamError) else _log.error
            tell("job_failed", kind=work.kind, key=work.key, run=work.run, reason=log.redact(reason))
        else:
            reason = f"{type(error).__name__}: {error}"
            _log.error("job_failed", kind=work.kind, key=work.key, run=work.run, exc_info=error)
        reason = str(log.redact(reason))
        await self._store(work, lambda unit: job_rows.fail(unit, work, again_in_s=again_in_s, reason=reason))

    async def _store(
        self, work: Job, change: Callable[[Unit], Awaitable[bool]], *, within_s: float = FINISH_WITHIN_S
    ) -> None:
        """Store a run's end; idempotent, so tried again. When it cannot be stored, the lease ends the run.

        A database that was away for a moment must not cost the job the rest of its lease.
        """
        loop = asyncio.get_running_loop()
        ends, pause_s = loop.time() + within_s, STORE_AGAIN_S
        while loop.time() < ends:
            try:
                async with self._db.for_worker() as unit:
                    if not await change(unit):
                        _log.debug("job_ended_elsewhere", kind=work.kind, key=work.key, run=work.run)
            except (UpstreamUnavailable, OutcomeUnknown):
                await asyncio.sleep(pause_s)
                pause_s = min(pause_s * 2, STORE_AGAIN_MAX_S)
            else:
                return
        _log.warning("job_end_not_stored", kind=work.kind, key=work.key, run=work.run)


def _let_go(holding: asyncio.Task[None], _: asyncio.Task[None]) -> None:
    holding.cancel()
