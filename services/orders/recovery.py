"""Jobs of the order path: drive what is due, find what a crash left behind, watch by ourselves while nobody else does.

1. Nothing here knows which flow it continues: the next step follows from what is stored.
2. A trade is driven by one claimant; who comes second waits until the claim is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.jobs import Job, job
from services.orders import store_flows
from services.orders.deps import Deps
from services.orders.flow import JOB, take_over

RECOVER = "recover"
WATCH = "watch"


@job(JOB, lease_s=5.0, concurrency=16, retry_s=0.5, retry_max_s=15.0)
async def advance(work: Job, deps: Deps) -> datetime | None:
    """Drive one trade until it waits for something.

    The lease is short on purpose: what keeps a second runner out is the flow's own claim, so a run that outlives its
    lease costs one look, and a dead process is followed soon.
    """
    return None if work.user is None else await take_over(deps, work.key, work.user)


@job(RECOVER, lease_s=5.0, concurrency=1)
async def recover(work: Job, deps: Deps) -> timedelta:
    """Make due whatever is unfinished and planned nowhere: interrupted writes, actions, holdings without exits."""
    async with deps.db.for_worker() as unit:
        for trade_id, username in await store_flows.interrupted(unit):
            await unit.schedule(JOB, trade_id, None, user=username, replace=False)
    return timedelta(seconds=deps.settings.recovery_s)


@job(WATCH, lease_s=5.0, concurrency=1)
async def watch(work: Job, deps: Deps) -> timedelta:
    """While nobody brings news make every working entry due, so that it is read by ourselves."""
    if deps.news.is_away:
        async with deps.db.for_worker() as unit:
            for trade_id, username in await store_flows.working_entries(unit):
                await unit.schedule(JOB, trade_id, None, user=username, replace=False)
    return timedelta(seconds=deps.settings.order_waits.away_read_s)


async def plan_jobs(deps: Deps) -> None:
    """See that the standing jobs exist, due at once. Idempotent: yes."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(RECOVER, "all", None, replace=False)
        await unit.schedule(WATCH, "all", None, replace=False)
