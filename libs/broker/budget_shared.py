"""The request budget that all processes share, one compare-and-set at a time for each token and class.

Nobody holds a lock: a process that is frozen or gone keeps at most the few requests it took ahead. While the others
cannot be asked, exits go on by this process's own share; entries and background reads are refused.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from libs.broker.base import Priority
from libs.broker.budget import Budget, RateClass
from libs.broker.budget_entries import Entries, OwnEntries, SharedEntries
from libs.broker.budget_lane import Lane, Waiter
from libs.broker.budget_settings import BudgetSettings
from libs.broker.budget_window import Limits, taken
from libs.common import log
from libs.common.clock import Clock, SystemClock
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.http_limits import RateReading
from libs.common.metrics import METRICS
from libs.common.streams import Streams

_log = log.get(__name__)
_GRANTED = METRICS.counter("budget_granted_total", "Requests granted, by where from", ["rate", "priority", "source"])
_REFUSED = METRICS.counter("budget_refused_total", "Requests refused, by why", ["rate", "priority", "reason"])
_WAITED = METRICS.histogram("budget_wait_seconds", "Time a request waited for the budget", ["priority"])
_CONFLICTS = METRICS.counter("budget_conflicts_total", "Writes of a window that another process was quicker with")

LONGEST_WAIT_S: Final = 4.0
"""Nobody but an exit waits for a window that ends later than this."""
PATIENCE_S: Final = 2.0
"""How long entries and polls wait for a connected bus that does not answer."""
LOOK_AGAIN_S: Final = 1.0
AWAY_RETRY_S: Final = 5.0
CONFLICT_PAUSE_S: Final = 0.002
LANES_KEPT: Final = 4096


class SharedBudget:
    """A budget over stored windows. Made by `opened_budget`."""

    def __init__(self, entries: Entries, tasks: asyncio.TaskGroup, *, limits: Limits, clock: Clock) -> None:
        self._entries = entries
        self._tasks = tasks
        self._limits = limits
        self._clock = clock
        self._lanes: dict[str, Lane] = {}
        self._is_closed = False

    async def take(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Wait for the right to send one request. Raises: UpstreamUnavailable when it will not come in time."""
        lane = self._lane(token_hash, rate_class)
        if lane.use(priority, self._now_ms()):
            self._count(lane, priority, "hand")
            self._foreseen(lane, priority)
            return
        is_alone = not self._entries.reachable or lane.trouble_since_s is not None
        if is_alone and priority is Priority.EXIT and lane.use_alone(self._now_ms()):
            self._count(lane, priority, "alone")
            return
        if self._is_closed or (not self._entries.reachable and priority is not Priority.EXIT):
            raise self._away(lane, priority)
        waiter = lane.join(priority, self._clock.monotonic())
        self._serve(lane)
        try:
            await waiter.granted
        except asyncio.CancelledError:
            if waiter.granted.done() and not waiter.granted.cancelled() and waiter.granted.exception() is None:
                lane.give_back(waiter)
            raise

    def foresee(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Have a few grants in hand for requests that will follow soon, so that they need not wait for the others."""
        self._foreseen(self._lane(token_hash, rate_class), priority)

    def _foreseen(self, lane: Lane, priority: Priority) -> None:
        if self._entries.reachable and lane.trouble_since_s is None and lane.runs_short(priority, self._now_ms()):
            self._serve(lane)

    def observed(self, token_hash: str, rate_class: RateClass, reading: RateReading) -> None:
        """Learn the vendor's own count from an answer."""
        lane = self._lane(token_hash, rate_class)
        if lane.heard(reading, self._now_ms()):
            lane.kick.set()
            self._serve(lane)

    async def left(self, token_hash: str, rate_class: RateClass, priority: Priority, within_s: float) -> int:
        """Say how many requests could be sent within so long; what the others took is read first, if it can be."""
        lane = self._lane(token_hash, rate_class)
        is_alone = not self._entries.reachable or lane.trouble_since_s is not None
        if not is_alone:
            try:
                stored, _ = await self._entries.read(lane.key)
            except AppError:
                is_alone = True
            else:
                return lane.left(stored, priority, self._now_ms(), within_s)
        return lane.left_alone(self._now_ms(), within_s)

    def forget_revisions(self) -> None:
        """Read everything again before it is written: the bucket may be another one."""
        for lane in self._lanes.values():
            lane.revision = None
            lane.trouble_since_s = None
            lane.kick.set()

    def close(self) -> None:
        """Refuse who waits."""
        self._is_closed = True
        for lane in self._lanes.values():
            for waiter in lane.waiting:
                waiter.granted.set_exception(self._away(lane, waiter.priority))
            lane.kick.set()

    # ── serving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, lane: Lane) -> None:
        if not lane.is_served and not self._is_closed:
            lane.is_served = True
            self._tasks.create_task(self._serving(lane))

    async def _serving(self, lane: Lane) -> None:
        try:
            await self._rounds(lane)
        except Exception:  # noqa: BLE001 - a mistake in counting must neither hang a caller nor end the service
            _log.exception("budget_failed")
            self._refuse(lane, "away", None)
            for waiter in lane.waiting:
                waiter.granted.set_result(None)
        finally:
            lane.is_served = False

    async def _rounds(self, lane: Lane) -> None:
        conflicts = 0
        while not lane.is_idle and not self._is_closed:
            lane.kick.clear()
            if not self._entries.reachable:
                await self._without_others(lane)
                continue
            try:
                is_written = await self._round(lane)
            except AppError as error:
                await self._in_trouble(lane, error)
                continue
            lane.trouble_since_s = None
            conflicts = 0 if is_written else conflicts + 1
            if conflicts > 1:
                await asyncio.sleep(CONFLICT_PAUSE_S * min(conflicts, 8) * random.random())  # noqa: S311 - spreads

    async def _round(self, lane: Lane) -> bool:
        """Take once for those who wait; False when another process was quicker."""
        known = lane.revision
        if known is None:
            stored, known = await self._entries.read(lane.key)
            lane.learned(stored, known, self._now_ms())
            lane.read_at_s = self._clock.monotonic()
        self._grant(lane)
        window, tags = lane.plan(self._now_ms())
        told = len(lane.news)
        if not tags and not told:
            lane.soon = None
            if lane.waiting:
                await self._out_of_room(lane, window.expires_ms)
            return True
        written = taken(window, len(tags))
        revision = await self._entries.swap(lane.key, written, known)
        if revision is None:
            _CONFLICTS.inc()
            lane.revision = None
            return False
        lane.written(written, tags, revision, told, self._now_ms())
        lane.soon = None
        self._grant(lane)
        return True

    def _grant(self, lane: Lane) -> None:
        for waiter in lane.serve(self._now_ms()):
            self._granted(lane, waiter, "shared")

    async def _out_of_room(self, lane: Lane, expires_ms: int) -> None:
        """Wait for the next window, or for news; who would wait too long hears it now."""
        now_s = self._clock.monotonic()
        if now_s - lane.read_at_s > LOOK_AGAIN_S:
            lane.revision = None
            return
        left_s = max(0.0, (expires_ms - self._now_ms()) / 1000)
        if left_s > LONGEST_WAIT_S:
            detail = f"the request budget ({lane.rate_class}) is used up for {left_s:.0f} s"
            self._refuse(lane, "used_up", UpstreamUnavailable(detail, retry_after_s=round(left_s, 1)))
        if not lane.is_idle:
            await self._pause(lane, min(left_s + 0.001, LOOK_AGAIN_S))
            lane.revision = None

    async def _without_others(self, lane: Lane) -> None:
        """Let exits go by our own share, refuse the rest; what answers told is remembered in the window."""
        lane.news.clear()
        lane.soon = lane.revision = None
        for waiter in lane.serve_alone(self._now_ms()):
            self._granted(lane, waiter, "alone")
        self._refuse(lane, "away", None)
        if lane.waiting:
            await self._pause(lane, 0.1)

    async def _in_trouble(self, lane: Lane, error: AppError) -> None:
        """Let exits go on while the bus is there and the bucket does not answer; the rest waits for a moment."""
        now_s = self._clock.monotonic()
        lane.soon = lane.revision = None
        if lane.trouble_since_s is None:
            lane.trouble_since_s = now_s
            _log.warning("budget_trouble", detail=error.detail)
        for waiter in lane.serve_alone(self._now_ms()):
            self._granted(lane, waiter, "alone")
        if now_s - lane.trouble_since_s > PATIENCE_S:
            lane.news.clear()
            self._refuse(lane, "away", None)
        if not lane.is_idle:
            await self._pause(lane, 0.05)

    async def _pause(self, lane: Lane, for_s: float) -> None:
        try:
            async with asyncio.timeout(for_s):
                await lane.kick.wait()
        except TimeoutError:
            return

    def _refuse(self, lane: Lane, reason: str, error: UpstreamUnavailable | None) -> None:
        """Tell all but exits that they need not wait."""
        for waiter in lane.waiting:
            if waiter.priority is not Priority.EXIT:
                if error is not None:
                    _REFUSED.labels(lane.rate_class, waiter.priority.name.lower(), reason).inc()
                waiter.granted.set_exception(error or self._away(lane, waiter.priority))

    def _granted(self, lane: Lane, waiter: Waiter, source: str) -> None:
        self._count(lane, waiter.priority, source)
        _WAITED.labels(waiter.priority.name.lower()).observe(self._clock.monotonic() - waiter.since_s)

    @staticmethod
    def _count(lane: Lane, priority: Priority, source: str) -> None:
        _GRANTED.labels(lane.rate_class, priority.name.lower(), source).inc()

    @staticmethod
    def _away(lane: Lane, priority: Priority) -> UpstreamUnavailable:
        _REFUSED.labels(lane.rate_class, priority.name.lower(), "away").inc()
        detail = "the shared request budget cannot be reached; only exits go on"
        return UpstreamUnavailable(detail, retry_after_s=AWAY_RETRY_S)

    def _lane(self, token_hash: str, rate_class: RateClass) -> Lane:
        key = f"{token_hash}.{rate_class}"
        lane = self._lanes.get(key)
        if lane is None:
            if len(self._lanes) >= LANES_KEPT:
                self._lanes = {name: one for name, one in self._lanes.items() if one.is_served}
            lane = self._lanes[key] = Lane(key, rate_class, self._limits)
        return lane

    def _now_ms(self) -> int:
        return int(self._clock.now().timestamp() * 1000)


@asynccontextmanager
async def budget_over(
    entries: Entries, *, limits: Limits | None = None, clock: Clock | None = None
) -> AsyncIterator[SharedBudget]:
    """Count requests in `entries` until the block ends."""
    async with asyncio.TaskGroup() as tasks:
        budget = SharedBudget(entries, tasks, limits=limits or Limits(), clock=clock or SystemClock())
        try:
            yield budget
        finally:
            budget.close()


@asynccontextmanager
async def opened_budget(streams: Streams, settings: BudgetSettings, clock: Clock) -> AsyncIterator[Budget]:
    """Count requests as the settings say, with all processes or for this one alone."""
    if not settings.budget_shared:
        async with budget_over(OwnEntries(), limits=settings.limits, clock=clock) as budget:
            yield budget
        return
    async with budget_over(SharedEntries(streams), limits=settings.limits, clock=clock) as budget:
        streams.bus.on_reconnected(budget.forget_revisions)
        yield budget
