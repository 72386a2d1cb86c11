"""The snapshot cycle: quote every contract in use once for everybody, store it, say it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from libs.common import jobs
from libs.common.errors import UpstreamUnavailable
from libs.common.jobs import Job, job
from libs.market.clock import Bookend, MarketClock, market_date, next_bookend_at, next_poll_at
from libs.market.options import OccSymbol
from services.pricing import store
from services.pricing.cycle import Point, Wish, marks, points, wishes
from services.pricing.deps import Deps
from services.pricing.feed import SOURCE
from services.pricing.orats import Rows

CYCLE = "snapshot_cycle"
ONLY = "all"
RECHECK = timedelta(seconds=60)
"""How often a venue is looked at whose clock stands still."""

log = structlog.get_logger(__name__)


@job(CYCLE, lease_s=120, concurrency=1)
async def snapshot_cycle(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Take one snapshot of all contracts in use. `data.tag` marks a bookend of the session."""
    tag = work.data.get("tag")
    async with deps.db.for_worker() as unit:
        wanted = wishes(await store.contracts_in_use(unit))
        granted = await store.take_requests(unit, SOURCE, len(wanted), deps.settings.orats_requests_per_min)
    if granted < len(wanted):
        log.warning("quota_short", wanted=len(wanted), granted=granted)
    answers = await deps.feed.all_quotes(_rotated(wanted, work.run)[:granted])
    taken_at = deps.clock.now()
    stored = [(rows, points(rows, taken_at=taken_at, tag=tag, source=SOURCE)) for rows in answers]
    clock = await deps.venue.market_clock()
    due, next_tag = next_cycle(clock, wanted, deps)
    async with deps.db.for_worker() as unit:
        if not await jobs.finish(unit, work, due):
            return due
        await store.append_points(unit, (point for _, ticker_points in stored for point in ticker_points))
        if next_tag != tag:
            await unit.schedule(CYCLE, ONLY, due, data={"tag": next_tag} if next_tag else {})
    await say(stored, deps)
    return due


def _rotated(wanted: tuple[Wish, ...], run: int) -> tuple[Wish, ...]:
    """Begin elsewhere at each run, so that a short quota starves no ticker for long."""
    start = run % len(wanted) if wanted else 0
    return wanted[start:] + wanted[:start]


async def say(stored: list[tuple[Rows, list[Point]]], deps: Deps) -> None:
    """Publish the marks of each ticker; a bus that is away misses them, the next cycle says them again."""
    for rows, ticker_points in stored:
        tick = marks(rows, ticker_points, is_delayed=False)
        if tick is None:
            continue
        try:
            await deps.bus.tick(tick, rows.ticker)
        except UpstreamUnavailable:
            log.warning("marks_not_said", reason="the bus is away")
            return


def next_cycle(clock: MarketClock, wanted: tuple[Wish, ...], deps: Deps) -> tuple[datetime, Bookend | None]:
    """Return when the next cycle is due and how its points are tagged."""
    now = deps.clock.now()
    held: list[OccSymbol] = [contract for wish in wanted for contract in wish.contracts]
    every = timedelta(seconds=deps.settings.snapshot_s)
    poll_at = next_poll_at(clock, now=now, every=every, held=held, force_open=deps.settings.force_market_open)
    bookend = next_bookend_at(clock, now) if clock.held is None else None
    usual = poll_at or now + RECHECK
    if bookend is not None and bookend[0] <= usual and market_date(clock, bookend[0]) is not None:
        return bookend
    return usual, None
