"""The snapshot cycle: quote every contract in use once for everybody, store it, say it."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from libs.broker.venue_clock import no_later
from libs.common import jobs
from libs.common.db import Unit
from libs.common.errors import UpstreamUnavailable
from libs.common.jobs import Job, job
from libs.market.clock import Bookend, MarketClock, is_polling_time, market_date, next_bookend_at, next_poll_at
from libs.market.options import OccSymbol
from services.pricing import store
from services.pricing.cycle import Point, Wish, marks, points, wishes
from services.pricing.deps import Deps
from services.pricing.orats import Rows

CYCLE = "snapshot_cycle"
ONLY = "all"

log = structlog.get_logger(__name__)


@job(CYCLE, lease_s=15, longest_s=120, concurrency=1)
async def snapshot_cycle(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Take one snapshot of all contracts in use. `data.tag` marks a bookend of the session."""
    tag, feed = work.data.get("tag"), deps.feed
    clock = await deps.venue.market_clock()
    async with deps.db.for_worker() as unit:
        wanted = wishes(await store.contracts_in_use(unit), market_date(clock, deps.clock.now()))
        if tag is None and not is_time(clock, wanted, deps):
            return await plan(unit, work, clock, wanted, deps)
        granted = await store.take_requests(unit, feed.source, len(wanted), feed.requests_per_min)
    if granted < len(wanted):
        log.warning("quota_short", wanted=len(wanted), granted=granted)
    answers = await feed.all_quotes(_rotated(wanted, work.run)[:granted])
    taken_at = deps.clock.now()
    stored = [(rows, points(rows, taken_at=taken_at, tag=tag, source=feed.source)) for rows in answers]
    async with deps.db.for_worker() as unit:
        due = await plan(unit, work, clock, wanted, deps)
        if due is None:
            return None
        await store.append_points(unit, (point for _, ticker_points in stored for point in ticker_points))
    await say(stored, deps)
    return due


async def plan(unit: Unit, work: Job, clock: MarketClock, wanted: tuple[Wish, ...], deps: Deps) -> datetime | None:
    """End the run and plan the next; None when the run is not ours any more, so that nothing of it may be stored."""
    due, tag = next_cycle(clock, wanted, deps, after=work.due_at)
    if not await jobs.finish(unit, work, due):
        return None
    if tag != work.data.get("tag"):
        await unit.schedule(CYCLE, ONLY, due, data={"tag": tag} if tag else {})
    return due


def is_time(clock: MarketClock, wanted: tuple[Wish, ...], deps: Deps) -> bool:
    """Say whether the market is worth quoting."""
    held = [contract for wish in wanted for contract in wish.contracts]
    return deps.settings.force_market_open or is_polling_time(clock, deps.clock.now(), held)


def _rotated(wanted: tuple[Wish, ...], run: int) -> tuple[Wish, ...]:
    """Begin elsewhere at each run, so that a short quota starves no ticker for long."""
    start = run % len(wanted) if wanted else 0
    return wanted[start:] + wanted[:start]


async def say(stored: list[tuple[Rows, list[Point]]], deps: Deps) -> None:
    """Publish the marks of each ticker; a bus that is away misses them, the next cycle says them again."""
    for rows, ticker_points in stored:
        tick = marks(rows, ticker_points, is_delayed=deps.feed.is_delayed)
        if tick is None:
            continue
        try:
            await deps.bus.tick(tick, rows.ticker)
        except UpstreamUnavailable:
            log.warning("marks_not_said", reason="the bus is away")
            return


def next_cycle(
    clock: MarketClock, wanted: tuple[Wish, ...], deps: Deps, *, after: datetime
) -> tuple[datetime, Bookend | None]:
    """Return when the next cycle is due and how its points are tagged.

    Time: `after` is this cycle's own instant by the database's clock: a bookend then is done, whatever our clock says.
    """
    now = deps.clock.now()
    held: list[OccSymbol] = [contract for wish in wanted for contract in wish.contracts]
    every = timedelta(seconds=deps.settings.snapshot_s)
    poll_at = next_poll_at(clock, now=now, every=every, held=held, force_open=deps.settings.force_market_open)
    usual = poll_at if poll_at == now + every else no_later(poll_at, clock, now, every=every)
    bookend = next_bookend_at(clock, max(now, after)) if clock.held is None else None
    return bookend if bookend is not None and bookend[0] <= usual else (usual, None)
