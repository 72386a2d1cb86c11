"""A closed trade into its outcome, purely.

1. One outcome a trade: the same trade fed again yields the same row.
2. A trade that never held anything has an outcome without a result, and counts in no statistic; nor does one that
   ended because a demo venue forgot the account.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.common.messages.trade import TradeRow
from libs.common.messages.vocabulary import SANDBOX_WIPE, TradeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a trade ended. Units: USD per share for prices, USD for P&L and extremes, hours."""

    trade_id: str
    username: str
    account_id: str
    broker_mode: str
    ticker: str
    occ_symbol: str
    strategy: str | None
    was_held: bool
    qty: int
    multiplier: int
    entry_price: Decimal | None
    entry_date: datetime | None
    close_price: Decimal | None
    close_date: datetime
    close_reason: str
    trigger_precision: str | None
    realized_pnl: Decimal | None
    realized_pnl_pct: Decimal | None
    hold_duration_h: Decimal | None
    max_gain: Decimal | None
    max_drawdown: Decimal | None
    override_count: int
    key_version: int


def outcome_of(trade: TradeRow) -> Outcome | None:
    """Return the outcome of a trade, or None while it is not over."""
    if trade.status is not TradeStatus.CLOSED or trade.close_date is None or trade.close_reason is None:
        return None
    was_held = trade.filled_qty > 0 and trade.reason != SANDBOX_WIPE
    return Outcome(
        trade_id=trade.id,
        username=trade.username,
        account_id=trade.account_id,
        broker_mode=trade.broker_mode.value,
        ticker=trade.ticker,
        occ_symbol=trade.occ_symbol,
        strategy=trade.strategy,
        was_held=was_held,
        qty=trade.filled_qty,
        multiplier=trade.multiplier,
        entry_price=trade.entry_price if was_held else None,
        entry_date=trade.entry_date,
        close_price=trade.close_price if was_held else None,
        close_date=trade.close_date,
        close_reason=trade.close_reason.value,
        trigger_precision=None if trade.trigger_precision is None else trade.trigger_precision.value,
        realized_pnl=trade.realized_pnl if was_held else None,
        realized_pnl_pct=trade.realized_pnl_pct if was_held else None,
        hold_duration_h=trade.hold_duration_h,
        max_gain=trade.max_gain,
        max_drawdown=trade.max_drawdown,
        override_count=trade.override_count,
        key_version=trade.key_version,
    )
