"""What forensics does with facts, and what it answers."""

from __future__ import annotations

from typing import Any

from libs.common.errors import NotFound
from libs.common.handlers import LATEST, Context, answers, consume
from libs.common.messages.forensics import GetForensicsStatus, GetOutcome
from libs.common.messages.orders import TradeChanged, TradeClosed, TradeFact, TradeRejected
from services.forensics import store
from services.forensics.deps import Deps
from services.forensics.outcomes import outcome_of


@consume(TradeClosed, TradeRejected, TradeChanged, durable="forensics-orders", accept=LATEST)
async def on_trade_over(fact: TradeFact, ctx: Context, deps: Deps) -> None:
    """Record how a trade ended: once, and again only when the trade was corrected."""
    async with deps.db.for_user(ctx.user) as unit:
        if not await unit.newest(ctx):
            return
        outcome = outcome_of(fact)
        if outcome is not None:
            await store.keep_outcome(unit, outcome)


@answers(GetOutcome)
async def get_outcome(query: GetOutcome, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Answer one outcome."""
    async with deps.db.for_user(ctx.user) as unit:
        found = await store.outcome(unit, query.trade_id)
    if found is None:
        raise NotFound("no outcome of such a trade")
    return found


@answers(GetForensicsStatus)
async def get_status(_: GetForensicsStatus, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Tell how old the last outcome is. Results have no banner of their own."""
    async with deps.db.for_user(ctx.user) as unit:
        at = await store.last_recorded_at(unit)
    age_s = None if at is None else round((deps.clock.now() - at).total_seconds(), 1)
    return {"banners": [], "feeds": [{"name": "results", "age_s": age_s, "ok": True}]}
