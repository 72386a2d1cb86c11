"""What was learned of a trade's money after its close: appended beside it, never written into it. Pure.

1. The final P&L is the locked row's and every correction: exact, so that it equals the broker's cash.
2. What the trade's own orders say by now comes in as the difference to what was said before, once however often told.
3. While more is sold than was bought nothing is said: what a short costs is known when it is bought back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from libs.common.messages.vocabulary import OrderRole
from services.orders import results
from services.orders.beside import Correction
from services.orders.trade import Event, View

SHORT = "short"
PRICE = "price"
_OF_ORDERS = frozenset({SHORT, PRICE})


def append(view: View, kind: str, amount_usd: Decimal, text: str, now: datetime) -> View:
    """Add a correction. Its number within the trade is its id: under the trade's lock no two have the same."""
    trade = view.trade
    made = Correction(
        id=f"{trade.id}-{len(view.corrections) + 1}",
        trade_id=trade.id,
        username=trade.username,
        kind=kind,
        amount_usd=amount_usd,
        text=text,
        created_at=now,
    )
    event = Event(kind="correction", text=f"its result changes by {amount_usd}: {text}")
    return replace(view, corrections=(*view.corrections, made)).noting(event)


def total_usd(view: View, kinds: frozenset[str] | None = None) -> Decimal:
    """Sum what was corrected, of some kinds or of all."""
    return sum((one.amount_usd for one in view.corrections if kinds is None or one.kind in kinds), Decimal(0))


def final_pnl_usd(view: View) -> Decimal | None:
    """Return the result as outsiders see it."""
    pnl = view.trade.realized_pnl
    return None if pnl is None else pnl + total_usd(view)


def of_orders(view: View, now: datetime) -> View:
    """Bring in what the orders of a trade that is over say by now. Idempotent: a repeat adds nothing."""
    trade = view.trade
    if trade.realized_pnl is None or trade.settled_qty or view.held_qty != 0:
        return view
    difference = results.cash_usd(view) - trade.realized_pnl - total_usd(view, _OF_ORDERS)
    if not difference:
        return view
    covered = [order for order in view.orders if order.role is OrderRole.COVER and order.filled_qty]
    if not covered:
        return append(view, PRICE, difference, "the broker corrected what an order of it was executed at", now)
    qty = sum(order.filled_qty for order in covered)
    prices = " and ".join(str(order.avg_price) for order in covered if order.broker_order_id)
    ends = [f"bought back at {prices}"] if prices else []
    ends += [order.reason for order in covered if order.reason and not order.broker_order_id]
    return append(view, SHORT, difference, f"{qty} sold beyond what was held, {'; '.join(ends)}", now)
