"""Trades: place, list, look, close, adjust, withdraw, resolve. Orders answers, pricing answers the curve."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import AfterValidator, StringConstraints

from libs.common.errors import (
    ContractInUse,
    KillSwitchOn,
    LimitExceeded,
    LiveNotEnabled,
    MarketClosed,
    NotFound,
    UpstreamAuth,
    UpstreamRefused,
)
from libs.common.messages.orders import (
    AdjustTrade,
    CloseTrade,
    ExportTrades,
    GetContext,
    GetTimeline,
    GetTrade,
    ListHistory,
    ListTrades,
    PlaceTrade,
    ResolveTrade,
    WithdrawTrade,
)
from libs.common.messages.pricing import GetSnapshots
from services.gateway import exports
from services.gateway.declared import FLOW, READ, operation_name, problems
from services.gateway.models_actions import AdjustBody, CloseBody, PlaceBody, ResolveBody
from services.gateway.models_base import TradeId
from services.gateway.models_trades import (
    Context,
    Curve,
    ExportAsked,
    HistoryAsked,
    SnapshotsAsked,
    Timeline,
    Trade,
    TradeList,
    TradesAsked,
)
from services.gateway.permissions import Trader, Viewer

router = APIRouter(prefix="/api/trades", tags=["trades"], generate_unique_id_function=operation_name)


def _not_a_signals(key: str) -> str:
    if key.startswith("sig."):
        message = "keys beginning with sig. belong to signals"
        raise ValueError(message)
    return key


IdempotencyKey = Annotated[
    str,
    Header(alias="Idempotency-Key", description="Any text of your own, new for each action: a retry sends it again."),
    StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$"),
    AfterValidator(_not_a_signals),
]
IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match", max_length=200)]
Id = Annotated[TradeId, Path(alias="id")]

ONE = problems(*READ, NotFound)
CHANGE = {
    **problems(*FLOW, LiveNotEnabled, MarketClosed, UpstreamRefused, UpstreamAuth),
    202: {"model": Trade, "description": "Running, waiting for the open, or not yet known at the broker"},
}
RESOLVED = problems(*FLOW, UpstreamRefused, UpstreamAuth)
PLACED = {**CHANGE, **problems(*FLOW, LiveNotEnabled, MarketClosed, ContractInUse, LimitExceeded, KillSwitchOn,
                               UpstreamRefused, UpstreamAuth)}  # fmt: skip


@router.post("", status_code=201, response_model=Trade, responses=PLACED)
async def place_trade(caller: Trader, key: IdempotencyKey, body: PlaceBody) -> Response:
    """Place a protected trade: 201 confirmed by the broker, 202 while its answer is unknown, 422 refused."""
    wanted = body.model_dump(exclude_unset=True)
    return await caller.ask(PlaceTrade(idempotency_key=key, by_program=caller.by_key, **wanted))


@router.get("", response_model=TradeList, responses=problems(*READ, s304="Unchanged since If-None-Match"))
async def list_trades(
    caller: Viewer, asked: Annotated[TradesAsked, Query()], if_none_match: IfNoneMatch = None
) -> Response:
    """List trades, newest first; OPEN is every state but CLOSED."""
    return await caller.ask(ListTrades(**asked.model_dump(), if_none_match=if_none_match))


@router.get("/history", response_model=TradeList, responses=problems(*READ))
async def list_history(caller: Viewer, asked: Annotated[HistoryAsked, Query()]) -> Response:
    """List closed trades, newest first."""
    return await caller.ask(ListHistory(**asked.model_dump()))


@router.get("/export", response_class=Response, responses={**problems(*READ), 200: exports.DECLARED})
async def export_trades(caller: Viewer, asked: Annotated[ExportAsked, Query()]) -> Response:
    """Stream every trade, capsule and targets included."""
    return await exports.stream(caller, exports.TRADES, ExportTrades(), asked.format)


@router.get("/{id}", response_model=Trade, responses=ONE)
async def get_trade(caller: Viewer, trade_id: Id) -> Response:
    """Show one trade in full."""
    return await caller.ask(GetTrade(trade_id=trade_id))


@router.get("/{id}/timeline", response_model=Timeline, responses=ONE)
async def get_timeline(caller: Viewer, trade_id: Id) -> Response:
    """Tell the trade's story."""
    return await caller.ask(GetTimeline(trade_id=trade_id))


@router.get("/{id}/context", response_model=Context, responses=ONE)
async def get_context(caller: Viewer, trade_id: Id) -> Response:
    """Show the trade's time capsule."""
    return await caller.ask(GetContext(trade_id=trade_id))


@router.get("/{id}/snapshots", response_model=Curve, responses=ONE)
async def get_snapshots(caller: Viewer, trade_id: Id, asked: Annotated[SnapshotsAsked, Query()]) -> Response:
    """Draw the trade's P&L curve."""
    return await caller.ask(GetSnapshots(trade_id=trade_id, **asked.model_dump()))


@router.post("/{id}/close", response_model=Trade, responses=CHANGE)
async def close_trade(caller: Trader, trade_id: Id, key: IdempotencyKey, body: CloseBody) -> Response:
    """Sell what is held, or cancel what works."""
    return await caller.ask(CloseTrade(idempotency_key=key, trade_id=trade_id, version=body.version))


@router.post("/{id}/adjust", response_model=Trade, responses=CHANGE)
async def adjust_trade(caller: Trader, trade_id: Id, key: IdempotencyKey, body: AdjustBody) -> Response:
    """Move stop or target."""
    return await caller.ask(AdjustTrade(idempotency_key=key, trade_id=trade_id, **body.model_dump()))


@router.post("/{id}/withdraw", response_model=Trade, responses=CHANGE)
async def withdraw_trade(caller: Trader, trade_id: Id, key: IdempotencyKey) -> Response:
    """Take back a close or adjust that waits for the open."""
    return await caller.ask(WithdrawTrade(idempotency_key=key, trade_id=trade_id))


@router.post("/{id}/resolve", response_model=Trade, responses=RESOLVED)
async def resolve_trade(caller: Trader, trade_id: Id, key: IdempotencyKey, body: ResolveBody) -> Response:
    """Settle what evidence could not, an order or contracts gone: 409 when there is none, 422 when it does not fit."""
    return await caller.ask(ResolveTrade(idempotency_key=key, trade_id=trade_id, **body.model_dump()))
