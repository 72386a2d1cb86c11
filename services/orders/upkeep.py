"""What orders forgets by itself: signals that were decided long ago.

Their names are free again then, and nothing can come of it. The settings hold them longer than a delivery can be
repeated, and the words of one that is sent again are over: a signal expires within a day. One that became a trade stays
known by the trade's idempotency key for good.
"""

from __future__ import annotations

from datetime import timedelta

from libs.common.jobs import Job, job
from services.orders import store_signals
from services.orders.deps import Deps

FORGET = "forget"
EVERY = timedelta(minutes=10)
SOON = timedelta(seconds=1)
AT_ONCE = 2_000
"""How many go in one transaction."""


@job(FORGET, lease_s=60.0, concurrency=1)
async def forget(work: Job, deps: Deps) -> timedelta:
    """Drop signals that were decided longer ago than they are kept; those that wait stay."""
    kept = timedelta(days=deps.settings.signals_kept_days)
    async with deps.db.for_worker() as unit:
        gone = await store_signals.forget_decided(unit, kept, AT_ONCE)
    return EVERY if gone < AT_ONCE else SOON


async def plan_jobs(deps: Deps) -> None:
    """See that the standing job exists, due at once. Idempotent: yes."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(FORGET, "all", None, replace=False)
