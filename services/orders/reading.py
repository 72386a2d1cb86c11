"""The broker's reports of our orders, in our words. Pure."""

from __future__ import annotations

from libs.broker.orders import OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as BrokerWord
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import OrderRole, OrderStatus
from services.orders.merging import Report
from services.orders.trade import Group, Order, View

_WORDS: dict[BrokerWord, OrderStatus] = {
    BrokerWord.PENDING: OrderStatus.WORKING,
    BrokerWord.HELD: OrderStatus.WORKING,
    BrokerWord.OPEN: OrderStatus.WORKING,
    BrokerWord.PENDING_CANCEL: OrderStatus.WORKING,
    BrokerWord.ERROR: OrderStatus.WORKING,
    BrokerWord.UNRECOGNISED: OrderStatus.WORKING,
    BrokerWord.PARTIALLY_FILLED: OrderStatus.PARTIAL,
    BrokerWord.FILLED: OrderStatus.FILLED,
    BrokerWord.CANCELLED: OrderStatus.CANCELLED,
    BrokerWord.EXPIRED: OrderStatus.EXPIRED,
    BrokerWord.REJECTED: OrderStatus.REJECTED,
}
_PENDING = frozenset({BrokerWord.PENDING, BrokerWord.HELD, BrokerWord.ERROR, BrokerWord.UNRECOGNISED})
_ODD = frozenset({BrokerWord.ERROR, BrokerWord.UNRECOGNISED})
_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})


def reports_of(orders: tuple[Order, ...], report: OrderReport) -> tuple[Report, ...]:
    """Tell which of our orders a report, with its legs, is about, and what it says of each."""
    found = []
    for flat in report.flat():
        ours = _ours(orders, flat, report)
        if ours is not None:
            found.append(_report(ours, flat, report))
    return tuple(found)


def recovered_as(view: View, fact: OrderChanged) -> str | None:
    """Name the trade that holds what this order executed after its own was over."""
    ours = _told_of(view, fact)
    return None if ours is None else ours.recovered_as


def report_of_fact(view: View, fact: OrderChanged) -> Report | None:
    """Return what monitor's news says of one of our orders; None when it is about none of them."""
    ours = _told_of(view, fact)
    if ours is None:
        return None
    return Report(
        order_id=ours.id,
        status=fact.status,
        filled_qty=fact.filled_qty,
        avg_price=fact.avg_fill_price,
        broker_order_id=fact.broker_order_id,
        group_order_id=fact.parent_broker_order_id or fact.broker_order_id,
        reason=fact.reason,
        broker_at=fact.broker_at,
    )


def _told_of(view: View, fact: OrderChanged) -> Order | None:
    ours = next((order for order in view.orders if order.broker_order_id == fact.broker_order_id), None)
    return ours or next((order for order in view.orders if _is_about(fact, order)), None)


def _is_about(fact: OrderChanged, order: Order) -> bool:
    """Say whether news is about an order whose own id is not yet known: by its tag, or by its group and its role."""
    if order.broker_order_id is not None:
        return False
    by_tag = fact.tag is not None and order.tag == fact.tag
    by_group = fact.parent_broker_order_id is not None and order.group_order_id == fact.parent_broker_order_id
    if order.sent_as is Group.SINGLE:
        # A single order is no group's: what carries its tag is it, whatever role was guessed.
        return by_tag and fact.parent_broker_order_id is None
    return (by_tag or by_group) and order.role is fact.role


def _ours(orders: tuple[Order, ...], flat: OrderReport, top: OrderReport) -> Order | None:
    by_id = next((order for order in orders if order.broker_order_id == flat.id), None)
    if by_id is not None:
        return by_id
    in_group = [o for o in orders if o.group_order_id == top.id or (top.tag is not None and o.tag == top.tag)]
    if len(in_group) == 1 and in_group[0].sent_as is Group.SINGLE:
        return in_group[0]
    return next((order for order in in_group if order.role is _role_of(flat)), None)


def _role_of(leg: OrderReport) -> OrderRole:
    if leg.side is OrderSide.BUY_TO_OPEN:
        return OrderRole.ENTRY
    return OrderRole.STOP_LOSS if leg.type in _STOPS else OrderRole.TAKE_PROFIT


def _report(ours: Order, flat: OrderReport, top: OrderReport) -> Report:
    return Report(
        order_id=ours.id,
        status=_WORDS[flat.status],
        filled_qty=flat.exec_qty,
        avg_price=flat.avg_fill_price,
        broker_order_id=flat.id,
        group_order_id=top.id,
        is_pending=flat.status in _PENDING,
        is_odd=flat.status in _ODD,
        is_error=flat.status is BrokerWord.ERROR,
        reason=flat.reason or top.reason,
        broker_at=flat.transaction_at,
        created_at=flat.created_at,
    )
