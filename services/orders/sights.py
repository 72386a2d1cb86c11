"""What is read at the broker around a write: the contract's position before it, and whole looks for one unanswered."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, Final, TypeVar

from libs.broker.base import BrokerProvider
from libs.broker.reports import PositionReport, Quote
from libs.broker.venue_clock import market_clock
from libs.common.errors import AppError, NotFound
from libs.market.clock import MarketClock
from services.orders import evidence
from services.orders.contract import holding_of
from services.orders.deps import Deps
from services.orders.evidence import Baseline, Known, Seen
from services.orders.store import Loaded

T = TypeVar("T")

KNOWN_DAYS: Final = timedelta(days=2)
"""How far back known orders are compared: lists show the present day's."""

MOST_ASKED_BY_ID: Final = 3
"""Of the orders that a list leaves out, so many are asked for one by one."""


async def market_of(
    broker: BrokerProvider, loaded: Loaded, deps: Deps
) -> tuple[dict[str, Quote], MarketClock, Baseline]:
    """Take a fresh quote, the venue's clock and the contract's position, at the same time.

    Only the position may be missing: no exit waits for it. Raises: UpstreamUnavailable, UpstreamAuth.
    """
    view, now = loaded.view, deps.clock.now()
    occ_symbol = view.trade.occ_symbol
    quotes, clock, positions = await asyncio.gather(
        broker.quotes((occ_symbol,)),
        market_clock(broker, now=now),
        positions_in_time(broker, deps.settings.order_waits.base_s),
    )
    venue_at = clock.market_at(now)
    holding = None if positions is None else holding_of(positions, occ_symbol)
    others = 0
    if holding is not None and holding.qty > view.held_qty:
        others = (await deps.known(view, venue_at)).holdings.get(occ_symbol, 0)
    return quotes, clock, Baseline(venue_at=venue_at, holding=holding, held_by_others=others)


async def positions_in_time(broker: BrokerProvider, within_s: float) -> tuple[PositionReport, ...] | None:
    """Read what the account holds; None when that takes too long or fails."""
    return await in_time(broker.positions(), within_s)


async def in_time(asked: Coroutine[Any, Any, T], within_s: float) -> T | None:
    """Wait for an answer that may be missing; None when it takes too long or fails."""
    try:
        async with asyncio.timeout(within_s):
            return await asked
    except (AppError, TimeoutError):
        return None


async def look(broker: BrokerProvider, loaded: Loaded, deps: Deps) -> Seen:
    """Look for an unanswered write: first what we know, then every order, then the positions.

    In this order, so that a list can be held to what is known, and a fill between the two reads shows as a position
    that differs. Raises: UpstreamUnavailable, UpstreamAuth.
    """
    now = deps.clock.now()
    venue_at = (await market_clock(broker, now=now)).market_at(now)
    known: Known = await deps.known(loaded.view, venue_at - KNOWN_DAYS)
    orders = await broker.orders()
    seen = Seen(orders=orders, positions=await broker.positions(), known=known, venue_at=venue_at)
    missing = evidence.left_out(seen)
    return evidence.without(seen, missing) if missing and await _are_forgotten(broker, missing) else seen


async def _are_forgotten(broker: BrokerProvider, order_ids: tuple[str, ...]) -> bool:
    """Say whether the broker has no such orders any more, as after a wipe: by id a list's gap does not hide them."""
    for order_id in order_ids[:MOST_ASKED_BY_ID]:
        try:
            await broker.order(order_id)
        except NotFound:
            continue
        return False
    return True
