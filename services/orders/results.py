"""What a trade brought, from its orders and from what ended without one. Pure.

1. P&L is what the exits brought, and what was settled was worth, less what the entry cost; exact, then in cents.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.common.messages.vocabulary import CloseReason, Settlement, TriggerPrecision
from libs.market import money
from services.orders.trade import View


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How what is still held ended without an order of ours. Units: USD per share. Time: the venue's own."""

    reason: CloseReason
    price: Decimal
    precision: TriggerPrecision
    ended_at: datetime
    settlement: Settlement | None = None
    words: str


def amounts(view: View, ended_at: datetime | None, ending: Ending | None = None) -> dict[str, Any]:
    """Work out close price, P&L and duration; `ending` says what the rest was worth."""
    trade = view.trade
    parts = [(order.filled_qty, order.avg_price or Decimal(0)) for order in view.exit_orders if order.filled_qty]
    if ending is not None:
        parts.append((view.held_qty, ending.price))
    price = money.average_price(parts) or Decimal(0)
    brought = sum((part_price * qty for qty, part_price in parts), Decimal(0))
    cost = sum(((o.avg_price or Decimal(0)) * o.filled_qty for o in view.entry_orders), Decimal(0))
    held_s = (ended_at - trade.entry_date).total_seconds() if ended_at and trade.entry_date else 0
    return {
        "close_price": price,
        "close_date": ended_at,
        "realized_pnl": money.cents((brought - cost) * trade.multiplier),
        "realized_pnl_pct": money.pnl_pct(trade.entry_price or Decimal(0), price),
        "hold_duration_h": (Decimal(int(max(held_s, 0))) / 3600).quantize(Decimal("0.0001")),
    }
