"""What a trade brought, from its orders and from what ended without one. Pure.

1. P&L is what the exits brought, and what was settled was worth, less what the entry cost; exact, then in cents.
2. A trade that is over ended with the sales, by their time, that made up what it had bought. What was sold beyond that
   is a short's, and comes in when it is bought back.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from libs.common.messages.vocabulary import CloseReason, OrderRole, Settlement, TriggerPrecision
from libs.market import money
from services.orders.trade import BUYING_ROLES, Order, View


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How what is still held ended without an order of ours. Units: USD per share. Time: the venue's own."""

    reason: CloseReason
    price: Decimal
    precision: TriggerPrecision
    ended_at: datetime
    settlement: Settlement | None = None
    words: str


def ended_by(view: View) -> list[tuple[Order, int]]:
    """List the sales that ended the trade with what each took of it, by the venue's time."""
    left = sum(order.filled_qty for order in view.entry_orders)
    ended = []
    sold = [order for order in view.exit_orders if order.filled_qty]
    for order in sorted(sold, key=lambda order: (order.filled_at or order.created_at, order.id)):
        taken = min(left, order.filled_qty)
        if taken:
            ended.append((order, taken))
        left -= taken
    return ended


def surplus_price(view: View) -> Decimal:
    """Return what was got a share for what was sold beyond the holding: all that came in beyond the locked result."""
    covered = [order for order in view.orders if order.role is OrderRole.COVER and order.filled_qty]
    paid = sum(((order.avg_price or Decimal(0)) * order.filled_qty for order in covered), Decimal(0))
    qty = sum(order.filled_qty for order in covered) - view.held_qty
    beyond = cash_usd(view) - (view.trade.realized_pnl or Decimal(0)) + paid * view.trade.multiplier
    return money.average_price(((qty, beyond / (qty * view.trade.multiplier)),)) or Decimal(0)


def cash_usd(view: View) -> Decimal:
    """Return what all orders of a trade brought less what they cost, by now."""
    amounts = (
        (order.avg_price or Decimal(0)) * order.filled_qty * (-1 if order.role in BUYING_ROLES else 1)
        for order in view.orders
    )
    return money.cents(sum(amounts, Decimal(0)) * view.trade.multiplier)


def amounts(view: View, ended_at: datetime | None, ending: Ending | None = None) -> dict[str, Any]:
    """Work out close price, P&L and duration; `ending` says what the rest was worth."""
    trade = view.trade
    parts = [(qty, order.avg_price or Decimal(0)) for order, qty in ended_by(view)]
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
