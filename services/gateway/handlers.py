"""What the gateway does with facts and ticks: lines for the inbox, and news for the live feed."""

from __future__ import annotations

from libs.common.handlers import ONCE, Context, consume, hears
from libs.common.ids import new_id
from libs.common.messages.base import SYSTEM_USER
from libs.common.messages.gateway import NotificationCreated
from libs.common.messages.monitor import BannerChanged, IncidentEnded, IncidentOpened, OrderChanged, SyncProgress
from libs.common.messages.orders import (
    Prices,
    TradeClosed,
    TradeFact,
    TradeRejected,
    TradeUnknown,
    TradeUnprotected,
)
from services.gateway import notes, store_inbox
from services.gateway.deps import Deps
from services.gateway.notes import Note


@consume(OrderChanged, durable="gateway-monitor", accept=ONCE)
async def on_order(fact: OrderChanged, ctx: Context, deps: Deps) -> None:
    """Write what became of a broker order. Order-free: a line for each status is true whenever it comes."""
    await _write(notes.of_order(fact), ctx, deps)


@consume(IncidentOpened, IncidentEnded, durable="gateway-monitor", accept=ONCE)
async def on_incident(fact: IncidentOpened | IncidentEnded, ctx: Context, deps: Deps) -> None:
    """Write that an incident began or is over."""
    await _write(notes.of_incident(fact, fact.topic), ctx, deps)


@consume(TradeClosed, TradeRejected, TradeUnprotected, TradeUnknown, durable="gateway-orders", accept=ONCE)
async def on_trade(fact: TradeFact, ctx: Context, deps: Deps) -> None:
    """Write how a trade ended, and what the user must know of one that goes on."""
    await _write(notes.of_trade(fact, ctx.occurred_at), ctx, deps)


@hears(Prices)
async def on_prices(tick: Prices, token: str, deps: Deps) -> None:
    """Pass new marks on to their user."""
    deps.hub.tell(token, "prices", tick.model_dump_json().encode())


@hears(SyncProgress)
async def on_sync(tick: SyncProgress, token: str, deps: Deps) -> None:
    """Pass on how far a sync is."""
    deps.hub.tell(token, "sync_progress", tick.model_dump_json().encode())


@hears(BannerChanged)
async def on_banner(tick: BannerChanged, token: str, deps: Deps) -> None:
    """Pass on what a service now says across the page, to one user or to everybody."""
    deps.hub.tell(token, "banner", tick.model_dump_json().encode())


async def _write(note: Note | None, ctx: Context, deps: Deps) -> None:
    """Store a line and tell it. Idempotent: by the message's id, and by the line's cause where news is told twice."""
    if note is None or ctx.user == SYSTEM_USER:
        return
    async with deps.db.for_user(ctx.user) as unit:
        if not await unit.first(ctx):
            return
        line_id = new_id()
        if await store_inbox.add_notification(unit, line_id, ctx.user, note.cause, note.data.model_dump(mode="json")):
            unit.emit(NotificationCreated(id=line_id, data=note.data), key_version=1)
