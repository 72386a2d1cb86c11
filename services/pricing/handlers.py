"""What pricing does with facts, and what it answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from libs.common.errors import InvalidInput, NotFound
from libs.common.handlers import LATEST, Context, answers, consume
from libs.common.messages.orders import TRADE_FACTS, ListTracked, TradeFact
from libs.common.messages.pricing import GetChain, GetMarketStatus, GetPricingStatus, GetSnapshots, ListExpirations
from libs.common.messages.trade import TradeRow
from libs.market.clock import last_turn, market_date, market_state, next_turn
from libs.market.session import MarketState
from services.pricing import store
from services.pricing.deps import Deps
from services.pricing.snapshots import CYCLE, ONLY

MOST_POINTS = 2000
FIRST_QUOTE = timedelta(seconds=1)


@consume(*TRADE_FACTS, durable="pricing-orders", accept=LATEST)
async def on_trade(fact: TradeFact, ctx: Context, deps: Deps) -> None:
    """Keep who holds what."""
    async with deps.db.for_user(ctx.user) as unit:
        if await unit.newest(ctx):
            await store.keep_holding(unit, fact)


@answers(GetSnapshots)
async def get_snapshots(query: GetSnapshots, ctx: Context, deps: Deps) -> bytes:
    """Answer the P&L curve of one of the user's trades."""
    if not 1 <= query.points <= MOST_POINTS:
        raise InvalidInput(f"points lies between 1 and {MOST_POINTS}, was {query.points}")
    async with deps.db.for_user(ctx.user) as unit:
        if not await store.has_holding(unit, query.trade_id):
            raise NotFound("no such trade")
        return await store.curve(unit, query.trade_id, query.seen_from, query.seen_to, query.points) or b'{"points":[]}'


@answers(GetChain)
async def get_chain(query: GetChain, _: Context, deps: Deps) -> dict[str, Any]:
    """Answer one expiry's chain."""
    return await deps.chains.chain(query.ticker.upper(), query.expiry)


@answers(ListExpirations)
async def list_expirations(query: ListExpirations, _: Context, deps: Deps) -> dict[str, Any]:
    """Answer a ticker's expiries."""
    return await deps.chains.expirations(query.ticker.upper())


@answers(GetMarketStatus)
async def get_market_status(query: GetMarketStatus, _: Context, deps: Deps) -> dict[str, Any]:
    """Answer where the session stands."""
    now = deps.clock.now()
    clock = await deps.venue.market_clock()
    state = market_state(clock, now)
    turn = next_turn(clock, now)
    return {
        "mode": query.broker_mode,
        "state": state,
        "date": market_date(clock, now),
        "now": clock.market_at(now),
        "since": last_turn(clock, now),
        "next_change_at": turn[0] if turn else None,
        "next_state": turn[1] if turn else None,
        "next_open_at": turn[0] if turn and turn[1] is MarketState.OPEN else None,
        "follows_calendar": clock.held is None,
    }


@answers(GetPricingStatus)
async def get_status(_: GetPricingStatus, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Tell how old the prices of the user's contracts are."""
    async with deps.db.for_user(ctx.user) as unit:
        at = await store.oldest_price_at(unit)
    if at is None:
        return {"banners": [], "feeds": [{"name": "prices", "age_s": None, "ok": True}]}
    age = deps.clock.now() - at
    clock = await deps.venue.market_clock()
    is_open = market_state(clock, deps.clock.now()) is MarketState.OPEN
    is_stale = is_open and age > timedelta(seconds=3 * deps.settings.snapshot_s)
    banner = {
        "code": "stale_data",
        "level": "warning",
        "text": f"Prices are {int(age.total_seconds())} s old: the market data vendor is not answering.",
        "since": at + timedelta(seconds=deps.settings.snapshot_s),
    }
    feeds = [{"name": "prices", "age_s": round(age.total_seconds(), 1), "ok": not is_stale}]
    return {"banners": [banner] if is_stale else [], "feeds": feeds}


async def rebuild(deps: Deps) -> None:
    """Ask orders for every trade that is not over, keep what is newer than what is here, and start the cycle."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(CYCLE, ONLY, (await unit.now()) + FIRST_QUOTE, replace=False)
    cursor = None
    while True:
        page = (await deps.bus.ask(ListTracked(cursor=cursor), user="_")).json()
        for given in page["trades"]:
            trade = TradeRow.model_validate(given, extra="ignore")
            async with deps.db.for_user(trade.username) as unit:
                await store.keep_holding(unit, trade)
        cursor = page["next_cursor"]
        if cursor is None:
            return
