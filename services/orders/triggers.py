"""A stop that rests with a limit behind it: whether the market has passed it, and what follows when nobody buys. Pure.

1. The broker does not tell that a stop is triggered: a bid at or below it says so, while the contract trades.
2. What was triggered has a moment to fill. Then it is a stop that is hit, and sold by the close flow.
3. Outside the session nothing is judged and nothing is taken down; at the next open the moment starts anew.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from libs.broker.orders import OrderType
from libs.common.messages.vocabulary import OrderRole, TradeStatus
from services.orders import otoco
from services.orders.steps import Moment
from services.orders.trade import Event, Order, View


def resting(view: View) -> Order | None:
    """Return the stop with a limit that protects the trade now; None while another flow has the exits in hand."""
    busy = view.running is not None or view.close_action is not None
    if view.trade.status is not TradeStatus.FILLED or view.trade.settling_at is not None or busy:
        return None
    return next((order for order in view.live_bracket if _rests(view, order)), None)


def _rests(view: View, order: Order) -> bool:
    is_limited = order.role is OrderRole.STOP_LOSS and order.type is OrderType.STOP_LIMIT
    return is_limited and order.is_working and order.cancel_at is None and otoco.protects(view, order)


def judged(view: View, bid: Decimal | None, moment: Moment, *, is_open: bool) -> View:
    """Note when the resting stop was first seen passed, and forget it over a closed session."""
    order = resting(view)
    if order is None or order.stop is None:
        return view
    if not is_open:
        return view if order.triggered_at is None else view.with_order(replace(order, triggered_at=None))
    if order.triggered_at is not None or bid is None or bid > order.stop:
        return view
    text = f"the stop {order.stop} is reached, bid {bid}; its limit {order.price} has a moment to fill"
    event = Event(kind="stop_reached", text=text, data={"id": order.broker_order_id})
    return view.with_order(replace(order, triggered_at=moment.now)).noting(event)


def is_missed(view: View, bid: Decimal | None, moment: Moment) -> bool:
    """Say whether the stop's limit had its moment and the market is still below the stop: then it is sold."""
    order = resting(view)
    if order is None or order.stop is None or order.triggered_at is None or bid is None or bid > order.stop:
        return False
    return moment.at(order.triggered_at, moment.waits.stop_limit_grace_s) is None


def next_look(view: View, moment: Moment) -> datetime | None:
    """Return when a stop that was reached has had its moment."""
    order = resting(view)
    return None if order is None else moment.at(order.triggered_at, moment.waits.stop_limit_grace_s)
