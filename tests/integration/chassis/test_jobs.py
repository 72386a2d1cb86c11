"""What is due runs once at a time, on whichever replica, and a run that lost its claim changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.common import job_rows, jobs
from libs.common.db import Database
from libs.common.errors import AppError, IllegalTransition, InvariantBroken, UpstreamUnavailable
from libs.common.jobs import Job, JobHandler, JobRunner, NextDue
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.conftest import SERVICE

pytestmark = pytest.mark.integration

KIND = "look"


class Worker:
    """A handler that remembers its runs and does as told."""

    def __init__(self, answer: NextDue | Exception = None, *, lease_s: float = 5.0, concurrency: int = 4) -> None:
        self.runs: list[Job] = []
        self.answer = answer
        self.at_once = 0
        self.most_at_once = 0
        self.gate: asyncio.Event | None = None
        self.then: Callable[[Job], Awaitable[None]] | None = None
        make = jobs.job(KIND, lease_s=lease_s, concurrency=concurrency, retry_s=0.05)
        self.handler: JobHandler = make(self._run)

    async def _run(self, work: Job, deps: Any) -> NextDue:
        self.runs.append(work)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            if self.then is not None:
                await self.then(work)
        finally:
            self.at_once -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def running(db: Database, worker: Worker, *, poll_s: float = 0.02, grace_s: float = 5.0) -> AsyncIterator[None]:
    stopping = asyncio.Event()
    runner = JobRunner(db, [worker.handler], None, poll_s=poll_s, grace_s=grace_s)
    task = asyncio.create_task(runner.run(stopping))
    try:
        yield
    finally:
        stopping.set()
        await task


async def plan(db: Database, key: str, due_at: datetime | None = None, **more: Any) -> None:
    async with db.for_user("ann") as unit:
        await unit.schedule(KIND, key, due_at, **more)


async def row_of(house: TestDatabase, key: str) -> Any:
    async with house.admin() as admin:
        return await admin.fetchrow("select *, clock_timestamp() as asked_at from orders.jobs where key = $1", key)


async def is_gone(house: TestDatabase, key: str) -> bool:
    return await row_of(house, key) is None


async def expire(house: TestDatabase, key: str) -> None:
    """Let the lease of a job be over, as after a pause of its runner."""
    async with house.admin() as admin:
        past = "update orders.jobs set claimed_until = clock_timestamp() - interval '1s' where key = $1"
        await admin.execute(past, key)


async def test_a_job_due_now_runs_and_is_gone_when_it_is_over(house: TestDatabase, db: Database) -> None:
    worker = Worker()
    await plan(db, "a", data={"n": 1})
    async with running(db, worker):
        await eventually(lambda: is_gone(house, "a"))
    assert [(one.key, one.user, one.data, one.run) for one in worker.runs] == [("a", "ann", {"n": 1}, 1)]


async def test_a_job_is_not_run_before_its_time(db: Database) -> None:
    worker = Worker()
    async with db.for_worker() as unit:
        now = await unit.now()
    await plan(db, "later", now + timedelta(hours=1))
    await plan(db, "soon", now + timedelta(seconds=0.3))
    async with running(db, worker, poll_s=30):
        await eventually(lambda: worker.runs)
    assert [one.key for one in worker.runs] == ["soon"]


async def test_scheduling_wakes_the_runner_of_the_process(db: Database) -> None:
    worker = Worker()
    async with running(db, worker, poll_s=60):
        await plan(db, "a")
        await eventually(lambda: len(worker.runs) == 1)
        await plan(db, "b")
        await eventually(lambda: len(worker.runs) == 2)


async def test_waking_by_kind_looks_at_once(house: TestDatabase, db: Database) -> None:
    worker = Worker()
    async with running(db, worker, poll_s=60):
        async with house.opened(SERVICE) as other:
            await plan(other, "a")
        jobs.wake(KIND)
        await eventually(lambda: worker.runs)


async def test_the_next_instant_is_the_handlers_by_the_databases_clock(house: TestDatabase, db: Database) -> None:
    worker = Worker(timedelta(minutes=1))
    await plan(db, "a")
    async with running(db, worker):
        await eventually(lambda: worker.runs)
    row = await row_of(house, "a")
    assert timedelta(seconds=55) < row["due_at"] - row["asked_at"] <= timedelta(minutes=1)
    assert row["claimed_until"] is None


async def test_missed_instants_collapse_into_one_run(house: TestDatabase, db: Database) -> None:
    worker = Worker(timedelta(minutes=1))
    await plan(db, "a", datetime.now(UTC) - timedelta(hours=5))
    async with running(db, worker):
        await eventually(lambda: worker.runs)
        await eventually(lambda: _is_due_later(house, "a"))
    assert len(worker.runs) == 1


async def _is_due_later(house: TestDatabase, key: str) -> bool:
    row = await row_of(house, key)
    return bool(row["due_at"] > row["asked_at"])


async def test_a_failure_is_recorded_and_tried_again(house: TestDatabase, db: Database) -> None:
    worker = Worker(UpstreamUnavailable("the broker is away: token=abc123"))
    await plan(db, "a")
    async with running(db, worker):
        await eventually(lambda: len(worker.runs) >= 3)
        row = await row_of(house, "a")
        assert row["last_error"].startswith("upstream_unavailable: the broker is away")
        assert "abc123" not in row["last_error"]
        worker.answer = None
        await eventually(lambda: is_gone(house, "a"))
    assert [one.run for one in worker.runs] == list(range(1, len(worker.runs) + 1))


@pytest.mark.parametrize(
    ("error", "level"),
    [(UpstreamUnavailable("away"), "warning"), (IllegalTransition("no"), "error"), (InvariantBroken("two"), "error")],
)
async def test_a_failure_of_our_own_is_told_as_an_error(db: Database, error: AppError, level: str) -> None:
    worker = Worker(error)
    await plan(db, "a")
    with capture_logs() as logs:
        async with running(db, worker):
            await eventually(lambda: len(worker.runs) >= 2)
    assert {one["log_level"] for one in logs if one["event"] == "job_failed"} == {level}


async def test_a_bug_in_a_handler_does_not_stop_the_others(house: TestDatabase, db: Database) -> None:
    bad, good = Worker(ZeroDivisionError()), Worker()

    async def run_good(work: Job, deps: Any) -> NextDue:
        return await good.handler(work, deps)

    stopping = asyncio.Event()
    handlers = [bad.handler, jobs.job("good")(run_good)]
    task = asyncio.create_task(JobRunner(db, handlers, None, poll_s=0.02).run(stopping))
    await plan(db, "a")
    async with db.for_worker() as unit:
        await unit.schedule("good", "b", None)
    await eventually(lambda: good.runs and len(bad.runs) > 1)
    stopping.set()
    await task
    assert (await row_of(house, "a"))["last_error"].startswith("ZeroDivisionError")


async def test_concurrency_is_bounded_by_kind(db: Database) -> None:
    worker = Worker(concurrency=3)
    worker.gate = asyncio.Event()
    for n in range(10):
        await plan(db, str(n))
    async with running(db, worker):
        await eventually(lambda: len(worker.runs) == 3)
        worker.gate.set()
        await eventually(lambda: len(worker.runs) == 10)
    assert worker.most_at_once == 3


async def test_two_replicas_never_run_a_job_at_the_same_time(house: TestDatabase) -> None:
    """Twenty jobs, each again and again, on two replicas: every run of a job has its own number."""
    one, two = Worker(timedelta(0)), Worker(timedelta(0))
    inside: set[str] = set()

    async def alone(work: Job) -> None:
        assert work.key not in inside
        inside.add(work.key)
        await asyncio.sleep(0)
        inside.discard(work.key)

    one.then = two.then = alone
    async with house.opened(SERVICE) as first, house.opened(SERVICE) as second:
        for n in range(20):
            await plan(first, str(n))
        async with running(first, one, poll_s=0.01), running(second, two, poll_s=0.01):
            await eventually(lambda: len(one.runs) > 60 and len(two.runs) > 60, within_s=20)
    both = [(work.key, work.run) for work in one.runs + two.runs]
    assert len(both) == len(set(both))


async def test_a_running_job_is_not_due(db: Database, house: TestDatabase) -> None:
    one, two = Worker(concurrency=1), Worker()
    one.gate = asyncio.Event()
    async with house.opened(SERVICE) as second, running(db, one):
        await plan(db, "a")
        await eventually(lambda: one.runs)
        async with running(second, two):
            for n in range(3):
                await plan(second, f"other{n}")
            await eventually(lambda: len(two.runs) == 3)
        assert all(work.key != "a" for work in two.runs)
        one.gate.set()


async def test_a_paused_runners_late_result_is_dropped(house: TestDatabase, db: Database) -> None:
    paused, fresh = Worker(timedelta(days=9)), Worker(timedelta(minutes=5))
    paused.gate = asyncio.Event()
    async with house.opened(SERVICE) as second, running(db, paused, poll_s=60):
        await plan(db, "a")
        await eventually(lambda: paused.runs)
        await expire(house, "a")
        assert not await jobs.still_ours(db, paused.runs[0])
        async with running(second, fresh):
            await eventually(lambda: fresh.runs)
            await eventually(lambda: _is_due_later(house, "a"))
        assert not await jobs.extend(db, paused.runs[0], 60)
        paused.gate.set()
        await eventually(lambda: paused.at_once == 0)
    row = await row_of(house, "a")
    assert row["due_at"] - row["asked_at"] < timedelta(minutes=6)
    assert row["run"] == 2


async def test_a_handler_stores_its_result_only_while_the_run_is_its_own(house: TestDatabase, db: Database) -> None:
    # One at a time: the claim that is lost is taken by this test, never by the same runner.
    worker = Worker(timedelta(days=9), concurrency=1)
    stored: list[bool] = []

    async def lose_the_claim_and_store(work: Job) -> None:
        if work.run == 1:
            await expire(house, work.key)
            async with db.for_worker() as unit:
                [again], _ = await job_rows.claim(unit, [job_rows.Wanted(KIND, 1, 5)])
            assert again.run == 2
        async with db.for_user("ann") as unit:
            stored.append(await jobs.finish(unit, work, timedelta(minutes=5)))

    worker.then = lose_the_claim_and_store
    await plan(db, "a")
    async with running(db, worker):
        await eventually(lambda: stored)
        await eventually(lambda: worker.at_once == 0)
        assert stored == [False]
        await expire(house, "a")
        await eventually(lambda: stored == [False, True])
    row = await row_of(house, "a")
    assert row["due_at"] - row["asked_at"] < timedelta(minutes=6)


async def test_a_handler_that_finished_by_itself_and_is_over_leaves_no_row(house: TestDatabase, db: Database) -> None:
    worker = Worker(timedelta(days=9))

    async def finish(work: Job) -> None:
        async with db.for_user("ann") as unit:
            assert await jobs.finish(unit, work, None)

    worker.then = finish
    await plan(db, "a")
    async with running(db, worker):
        await eventually(lambda: is_gone(house, "a"))


async def test_a_job_scheduled_again_while_it_runs_is_due_again_after_it(house: TestDatabase, db: Database) -> None:
    worker = Worker(timedelta(days=1))
    worker.gate = asyncio.Event()
    async with running(db, worker):
        await plan(db, "a", data={"n": 1})
        await eventually(lambda: worker.runs)
        await plan(db, "a", data={"n": 2})
        worker.gate.set()
        await eventually(lambda: len(worker.runs) == 2)
        await eventually(lambda: worker.at_once == 0)
    assert worker.runs[1].data == {"n": 2}


async def test_a_job_that_ends_while_it_is_scheduled_again_is_not_lost(house: TestDatabase, db: Database) -> None:
    worker = Worker(None)
    worker.gate = asyncio.Event()
    async with running(db, worker):
        await plan(db, "a")
        await eventually(lambda: worker.runs)
        await plan(db, "a")
        worker.gate.set()
        await eventually(lambda: len(worker.runs) == 2)
        await eventually(lambda: is_gone(house, "a"))


@pytest.mark.parametrize("finishes", [True, False])
async def test_a_run_that_ends_looks_at_once_for_what_waited_for_it(db: Database, finishes: bool) -> None:
    worker = Worker(timedelta(days=1), concurrency=1)
    worker.gate = asyncio.Event()

    async def finish(work: Job) -> None:
        async with db.for_user("ann") as unit:
            assert await jobs.finish(unit, work, timedelta(days=1))

    worker.then = finish if finishes else None
    async with running(db, worker, poll_s=600):
        await plan(db, "a")
        await eventually(lambda: worker.runs)
        await plan(db, "a")
        await plan(db, "b")
        worker.gate.set()
        await eventually(lambda: sorted(run.key for run in worker.runs) == ["a", "a", "b"])


async def test_a_run_that_is_due_again_soon_is_not_forgotten_between_two_looks(db: Database) -> None:
    worker = Worker(timedelta(seconds=0.05))
    async with running(db, worker, poll_s=600):
        await plan(db, "a")
        await eventually(lambda: len(worker.runs) >= 3)


async def test_many_jobs_planned_in_one_unit_are_stored_together_and_in_time(house: TestDatabase, db: Database) -> None:
    async with db.for_user("ann") as unit:
        now = await unit.now()
        await unit.schedule(KIND, "late", timedelta(hours=1), replace=False)
        await unit.schedule(KIND, "now", None, replace=False)
        await unit.schedule(KIND, "named", now + timedelta(hours=2), data={"n": 1})
        await unit.schedule(KIND, "late", timedelta(minutes=1), replace=False)
        await unit.schedule(KIND, "late", timedelta(minutes=2), replace=False)
    late, soon, named = [await row_of(house, key) for key in ("late", "now", "named")]
    assert timedelta(seconds=50) < late["due_at"] - late["asked_at"] < timedelta(minutes=1)
    assert soon["due_at"] <= soon["asked_at"]
    assert (named["due_at"], named["data"], named["username"]) == (now + timedelta(hours=2), '{"n": 1}', "ann")


async def test_what_was_planned_before_a_statement_is_there_for_it(db: Database) -> None:
    async with db.for_worker() as unit:
        await unit.schedule(KIND, "a", None, user="ann")
        (work,), _ = await job_rows.claim(unit, [job_rows.Wanted(KIND, 1, 5)])
    assert (work.key, work.user) == ("a", "ann")


async def test_jobs_of_a_unit_that_fails_are_not_planned(house: TestDatabase, db: Database) -> None:
    async def fail() -> None:
        async with db.for_user("ann") as unit:
            await unit.schedule(KIND, "a", None)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await is_gone(house, "a")


async def test_without_replacing_a_job_is_only_brought_forward(house: TestDatabase, db: Database) -> None:
    async with db.for_worker() as unit:
        now = await unit.now()
    await plan(db, "a", now + timedelta(hours=2), data={"n": 1})
    await plan(db, "a", now + timedelta(hours=3), data={"n": 2}, replace=False)
    assert (await row_of(house, "a"))["due_at"] == now + timedelta(hours=2)
    await plan(db, "a", now + timedelta(hours=1), replace=False)
    row = await row_of(house, "a")
    assert (row["due_at"], row["data"]) == (now + timedelta(hours=1), '{"n": 1}')
    await plan(db, "a", now + timedelta(hours=4))
    assert (await row_of(house, "a"))["due_at"] == now + timedelta(hours=4)


async def test_a_lease_can_be_extended_while_it_holds(house: TestDatabase, db: Database) -> None:
    worker = Worker(lease_s=2)
    worker.gate = asyncio.Event()
    async with running(db, worker):
        await plan(db, "a")
        await eventually(lambda: worker.runs)
        assert await jobs.still_ours(db, worker.runs[0])
        assert await jobs.extend(db, worker.runs[0], 600)
        row = await row_of(house, "a")
        assert row["claimed_until"] - row["asked_at"] > timedelta(seconds=500)
        worker.gate.set()


async def test_a_run_at_work_holds_a_short_lease_for_longer_than_it_lasts(house: TestDatabase, db: Database) -> None:
    worker, other = Worker(lease_s=0.6), Worker(lease_s=0.6)
    worker.gate = asyncio.Event()
    worker.handler = replace(worker.handler, longest_s=60.0)
    async with running(db, worker):
        await plan(db, "a")
        await eventually(lambda: worker.runs)
        async with running(db, other):
            first = (await row_of(house, "a"))["claimed_until"]
            await eventually(lambda: lasts_beyond(house, first + timedelta(seconds=2)))
            assert other.runs == []
        worker.gate.set()
        await eventually(lambda: is_gone(house, "a"))


async def test_a_run_that_hangs_loses_its_claim_when_it_has_had_its_time(house: TestDatabase, db: Database) -> None:
    worker, other = Worker(lease_s=0.3), Worker(lease_s=0.3)
    worker.gate = asyncio.Event()
    worker.handler = replace(worker.handler, longest_s=0.9)
    async with running(db, worker, grace_s=0.05):
        await plan(db, "a")
        await eventually(lambda: worker.runs)
        async with running(db, other):
            await eventually(lambda: other.runs)


async def test_a_lost_claim_is_not_taken_back_by_who_goes_on(house: TestDatabase, db: Database) -> None:
    worker = Worker(lease_s=0.3)
    worker.gate = asyncio.Event()
    worker.handler = replace(worker.handler, longest_s=60.0)
    async with running(db, worker, grace_s=0.05):
        await plan(db, "a")
        await eventually(lambda: worker.runs)
        async with house.admin() as admin:
            taken = "update orders.jobs set run = run + 1, claimed_until = now() + interval '1 hour'"
            until = await admin.fetchval(f"{taken} returning claimed_until")
        soon = (await row_of(house, "a"))["asked_at"] + timedelta(seconds=0.5)
        await eventually(lambda: is_later(house, soon))
        assert (await row_of(house, "a"))["claimed_until"] == until


async def is_later(house: TestDatabase, instant: datetime) -> bool:
    return bool((await row_of(house, "a"))["asked_at"] > instant)


async def lasts_beyond(house: TestDatabase, instant: datetime) -> bool:
    return bool((await row_of(house, "a"))["claimed_until"] > instant)


async def test_what_is_in_flight_at_shutdown_is_given_back_after_its_grace(house: TestDatabase, db: Database) -> None:
    worker = Worker()
    worker.gate = asyncio.Event()
    await plan(db, "a")
    async with running(db, worker, grace_s=0.05):
        await eventually(lambda: worker.runs)
    row = await row_of(house, "a")
    assert row["claimed_until"] is None
    assert row["due_at"] <= row["asked_at"]


async def test_a_run_that_only_listens_is_given_back_at_once_at_shutdown(house: TestDatabase, db: Database) -> None:
    worker = Worker()
    worker.gate = asyncio.Event()
    worker.handler = replace(worker.handler, endless=True)
    await plan(db, "a")
    began = time.monotonic()
    async with running(db, worker, grace_s=20):
        await eventually(lambda: worker.runs)
    assert time.monotonic() - began < 10
    row = await row_of(house, "a")
    assert row["claimed_until"] is None
    assert row["due_at"] <= row["asked_at"]


async def test_jobs_go_on_after_their_sessions_were_ended(house: TestDatabase, db: Database) -> None:
    worker = Worker(timedelta(0))
    await plan(db, "a")
    async with running(db, worker), house.admin() as admin:
        for _ in range(3):
            ran = len(worker.runs)
            await eventually(lambda ran=ran: len(worker.runs) > ran)  # type: ignore[misc]
            await admin.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'orders_service'"
            )
        ran = len(worker.runs)
        await eventually(lambda: len(worker.runs) > ran + 2, within_s=15)


async def test_two_handlers_of_one_kind_are_refused(db: Database) -> None:
    with pytest.raises(InvariantBroken):
        JobRunner(db, [Worker().handler, Worker().handler], None)
