"""Trades over HTTP: the place body, the trade, its lists, timeline, capsule and curve. Source: public API, §2."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from libs.common.messages.vocabulary import (
    BrokerMode,
    CloseReason,
    EntryType,
    OptionType,
    OrderRole,
    OrderStatus,
    Protection,
    Settlement,
    TradeStatus,
    TriggerPrecision,
)
from services.gateway.models_base import (
    Answer,
    Body,
    Cursor,
    Figure,
    From,
    Text,
    To,
)


class ListStatus(StrEnum):
    """Which trades: OPEN is every state but CLOSED."""

    OPEN = "OPEN"
    CLOSED = "CLOSED"


class HistoryResult(StrEnum):
    """How a closed trade ended."""

    WIN = "win"
    LOSS = "loss"
    EXPIRED = "expired"


class ExportFormat(StrEnum):
    """What an export is written as."""

    CSV = "csv"
    JSON = "json"


Limit = Annotated[int, Field(ge=1, le=200)]


class TradesAsked(Body):
    """Which page of which trades."""

    status: ListStatus | None = None
    broker_mode: BrokerMode | None = None
    cursor: Cursor | None = None
    limit: Limit = 100


class HistoryAsked(Body):
    """Which page of closed trades."""

    result: HistoryResult | None = None
    strategy: Text | None = None
    closed_from: From | None = Field(default=None, alias="from")
    closed_to: To | None = Field(default=None, alias="to")
    cursor: Cursor | None = None
    limit: Limit = 50


class ExportAsked(Body):
    """What the export is written as."""

    format: ExportFormat = ExportFormat.CSV


class SnapshotsAsked(Body):
    """Which part of the curve, and how fine."""

    seen_from: From | None = Field(default=None, alias="from")
    seen_to: To | None = Field(default=None, alias="to")
    points: Annotated[int, Field(ge=2, le=2000)] = 500


class TradeOrder(Answer):
    """One broker order of a trade."""

    role: OrderRole
    status: OrderStatus
    tag: str
    broker_order_id: str | None
    qty: int
    filled_qty: int
    avg_price: Decimal | None
    doubt: str | None = Field(
        default=None, description="why evidence cannot settle an UNKNOWN order; then `resolve` can, see there"
    )


class TradeRow(Answer):
    """A trade in a list: everything but the scanner's view. The page applies only a higher `key_version`."""

    id: str
    username: str
    account_id: str
    account_name: str | None
    broker_mode: BrokerMode
    ticker: str
    occ_symbol: str
    option_type: OptionType
    strike: Decimal
    expiry: date
    multiplier: int
    qty: int
    filled_qty: int
    entry_type: EntryType
    limit_price: Decimal | None
    entry_price: Decimal | None
    entry_date: datetime | None
    sl_price: Decimal | None
    tp_price: Decimal | None
    strategy: str | None
    current_price: Decimal | None
    price_source: str | None
    last_updated: datetime | None
    unrealized_pnl: Decimal | None
    status: TradeStatus
    protection: Protection
    naked_s: Decimal
    naked_since: datetime | None
    close_price: Decimal | None
    close_date: datetime | None
    close_reason: CloseReason | None
    trigger_precision: TriggerPrecision | None
    realized_pnl: Decimal | None
    realized_pnl_pct: Decimal | None
    max_drawdown: Decimal | None
    max_gain: Decimal | None
    hold_duration_h: Decimal | None
    override_count: int
    tradier_order_id: str | None
    tradier_sl_order_id: str | None
    tradier_tp_order_id: str | None
    broker_fill_price: Decimal | None
    broker_fill_time: datetime | None
    version: int
    key_version: int
    is_locked: bool
    reason: str | None
    settlement: Settlement | None
    recovered_from: str | None
    queued_for_open: bool
    orders: list[TradeOrder]


class Targets(Answer):
    """What the minutes after the close said; null until the night after."""

    target_pnl_15m: Decimal | None
    target_pnl_1h: Decimal | None
    target_mfe_pct: Decimal | None
    target_mae_pct: Decimal | None
    computed_at: datetime | None


class Trade(TradeRow):
    """A trade in full."""

    idempotency_key: str
    card_score: Decimal | None
    ai_score: Decimal | None
    ai_verdict: str | None
    gate_verdict: str | None
    technical_score: Decimal | None
    sentiment_score: Decimal | None
    delta_at_entry: Decimal | None
    iv_at_entry: Decimal | None
    targets: Targets
    corrections: list[dict[str, Any]]


class TradeList(Answer):
    """One page of trades, newest first."""

    trades: list[TradeRow]
    next_cursor: str | None


class TimelineEvent(Answer):
    """One line of a trade's story; `actor` is user, broker or system."""

    id: int
    at: datetime
    kind: str
    actor: str
    text: str
    data: dict[str, Any] | None = None


class Timeline(Answer):
    """A trade's story, oldest first."""

    events: list[TimelineEvent]


class Context(Answer):
    """The time capsule: the market around the entry, kept unchanged; what could not be had is named in `missing`."""

    signals_snapshot: dict[str, Any] | None
    market_regime: dict[str, Any] | None
    order_book_state: dict[str, Any] | None
    ai_reasoning_log: dict[str, Any] | None
    captured_at: datetime | None
    missing: list[str]


class CurvePoint(Answer):
    """One snapshot of the contract, with the trade's P&L at it."""

    timestamp: datetime
    mark_price: Decimal
    bid: Decimal | None
    ask: Decimal | None
    delta: Figure | None
    iv: Figure | None
    underlying: Decimal | None
    pnl: Decimal | None
    tag: str | None
    source: str
    age_s: Decimal | None


class Curve(Answer):
    """A trade's P&L curve, oldest first."""

    points: list[CurvePoint]
