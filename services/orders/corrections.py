"""What was learned of a trade's money after its close: appended beside it, never written into it. Pure.

1. The final P&L is the locked row's and every correction: exact, so that it equals the broker's cash.
2. What the trade's own orders say by now comes in as the difference to what was said before, once however often told.
3. While more is sold than was bought nothing is said: what a short costs is known when it is bought back.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from libs.common.messages.vocabulary import NOT_OURS, OrderRole
from services.orders import merging, results
from services.orders.beside import Correction
from services.orders.trade import Event, View

SHORT = "short"
PRICE = "price"
SETTLEMENT = "settlement"
_OF_ORDERS = frozenset({SHORT, PRICE, SETTLEMENT})
_PRICE_STEP = Decimal("0.00000001")


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


def of_settled(before: View, view: View, now: datetime) -> View:
    """Take back of a settlement what the trade's own orders turn out to have sold; bring in what that changes.

    What was settled without an order is worth what the result said beyond the orders' cash; so much of it as was sold
    after all ends at that worth, as a purchase that nobody sent. A repeat finds nothing new.
    """
    trade = view.trade
    if not before.trade.is_locked or trade.realized_pnl is None or not trade.settled_qty:
        return view
    worth = trade.realized_pnl + total_usd(before, _OF_ORDERS) - results.cash_usd(before)
    taken = sum(order.filled_qty for order in view.orders if order.tag.startswith(f"{NOT_OURS}{SETTLEMENT}"))
    qty = min(max(-view.held_qty, 0), trade.settled_qty - taken)
    text = "the broker corrected what an order of it was executed at"
    if qty > 0:
        price = (worth / (trade.settled_qty * trade.multiplier)).quantize(_PRICE_STEP)
        text = f"{qty} were sold by its own orders after all; they had been taken for settled at {price.normalize():f}"
        order_id = f"{trade.id}-{SETTLEMENT}-{taken + 1}"
        order = merging.unsent(view, SETTLEMENT, text, qty=qty, price=price, order_id=order_id, at=now, now=now)
        view = replace(view, orders=(*view.orders, order)).noting(Event(kind="settlement_undone", text=text))
    if view.held_qty < 0:
        return view  # a short of its own: said once it is bought back
    difference = results.cash_usd(view) + worth - trade.realized_pnl - total_usd(view, _OF_ORDERS)
    return append(view, SETTLEMENT if qty > 0 else PRICE, difference, text, now) if difference else view


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
