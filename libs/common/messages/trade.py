"""The trade as everybody outside orders sees it: in answers, in facts and on the page. Source: public API, §2."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pydantic import Field

from libs.common.messages.base import Payload
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


class TradeOrder(Payload):
    """One broker order of a trade. Units: contracts, USD per share."""

    role: OrderRole
    status: OrderStatus
    tag: str
    broker_order_id: str | None = None
    qty: int
    filled_qty: int = 0
    avg_price: Decimal | None = None
    doubt: str | None = None
    """Of an `UNKNOWN` one that evidence cannot settle: why, for the person who names the broker's order or none."""


class TradeRow(Payload):
    """A trade in a list and in a fact: everything but the scanner's view. Units: prices USD per share, P&L USD."""

    id: str
    username: str
    account_id: str
    account_name: str | None = None
    broker_mode: BrokerMode
    ticker: str
    occ_symbol: str
    option_type: OptionType
    strike: Decimal
    expiry: date
    multiplier: int
    qty: int
    filled_qty: int
    entry_type: EntryType | None = None
    """How it got in, or is to; None in what was said before this was told."""
    limit_price: Decimal | None = None
    """Of a limit entry: the price it works at."""
    entry_price: Decimal | None = None
    entry_date: datetime | None = None
    sl_price: Decimal | None = None
    tp_price: Decimal | None = None
    strategy: str | None = None
    current_price: Decimal | None = None
    price_source: str | None = None
    last_updated: datetime | None = None
    unrealized_pnl: Decimal | None = None
    status: TradeStatus
    protection: Protection
    naked_s: Decimal = Decimal(0)
    naked_since: datetime | None = None
    close_price: Decimal | None = None
    close_date: datetime | None = None
    close_reason: CloseReason | None = None
    trigger_precision: TriggerPrecision | None = None
    realized_pnl: Decimal | None = None
    realized_pnl_pct: Decimal | None = None
    max_drawdown: Decimal | None = None
    max_gain: Decimal | None = None
    hold_duration_h: Decimal | None = None
    override_count: int = 0
    tradier_order_id: str | None = None
    tradier_sl_order_id: str | None = None
    tradier_tp_order_id: str | None = None
    broker_fill_price: Decimal | None = None
    broker_fill_time: datetime | None = None
    version: int
    key_version: int
    is_locked: bool = False
    reason: str | None = None
    settlement: Settlement | None = None
    recovered_from: str | None = None
    queued_for_open: bool = False
    orders: tuple[TradeOrder, ...] = ()


class ScannerView(Payload):
    """What the scanner thought at entry."""

    card_score: Decimal | None = None
    ai_score: Decimal | None = None
    ai_verdict: str | None = None
    gate_verdict: str | None = None
    technical_score: Decimal | None = None
    sentiment_score: Decimal | None = None


class Targets(Payload):
    """What the minutes after the close said; null until the night after."""

    target_pnl_15m: Decimal | None = None
    target_pnl_1h: Decimal | None = None
    target_mfe_pct: Decimal | None = None
    target_mae_pct: Decimal | None = None
    computed_at: datetime | None = None


class TradeDetail(TradeRow, ScannerView):
    """A trade in full."""

    idempotency_key: str
    delta_at_entry: Decimal | None = None
    iv_at_entry: Decimal | None = None
    targets: Targets = Targets()
    corrections: tuple[dict[str, Any], ...] = Field(default=())
