"""One order and one report of it, into the order as it is now known. Pure.

1. Quantities before statuses: an order that ended with executed quantity has filled that much, whatever its end.
2. Monotone: what executed never falls, a terminal order never lives again, a repeat changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from libs.broker.orders import OrderReport, OrderType
from libs.common.messages.vocabulary import NOT_OURS, Duration, OrderRole, OrderStatus
from services.orders.trade import Group, Order, View

NEVER_SENT = "never sent"
NOT_PLACED = "not_placed"
LAPSED = "no trace of it was left when its day was over"
INFERRED = frozenset({NOT_PLACED, LAPSED})
"""Ends that nobody saw: what appears after all is what the broker says."""

_RANK = {
    OrderStatus.INTENT: 0,
    OrderStatus.SENT: 1,
    OrderStatus.UNKNOWN: 2,
    OrderStatus.WORKING: 3,
    OrderStatus.PARTIAL: 4,
    OrderStatus.FILLED: 5,
    OrderStatus.CANCELLED: 5,
    OrderStatus.REJECTED: 5,
    OrderStatus.EXPIRED: 5,
}
_ENDED = frozenset({OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED, OrderStatus.EXPIRED})


ERROR_STANDS = timedelta(seconds=1)
"""A second look that says `error` so long after the first is another look, not the same one told twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One of our orders as the broker shows it."""

    order_id: str
    """Ours, not the broker's."""
    status: OrderStatus
    filled_qty: int
    avg_price: Decimal | None
    broker_order_id: str
    group_order_id: str | None = None
    is_pending: bool = False
    """The broker has not yet let it past its own checks."""
    is_odd: bool = False
    """The broker's word means neither working nor over."""
    is_error: bool = False
    """Its word is an error: over, once a second look says so again."""
    reason: str | None = None
    broker_at: datetime | None = None
    created_at: datetime | None = None


def _repriced(order: Order, report: Report) -> Order:
    """Take another price of the same executions when the broker says it later than it said the end."""
    ended_at, said_at = order.ended_at, report.broker_at
    if not report.avg_price or report.filled_qty != order.filled_qty or report.avg_price == order.avg_price:
        return order
    if order.status is not OrderStatus.FILLED or ended_at is None or said_at is None or said_at <= ended_at:
        return order
    return replace(order, avg_price=report.avg_price, ended_at=said_at)


def foreign(
    view: View, role: OrderRole, report: OrderReport, *, qty: int, price: Decimal, order_id: str, now: datetime
) -> Order:
    """Return somebody else's execution as an order of the trade that it ended, or bought back."""
    at = report.transaction_at or now
    return Order(
        id=order_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        role=role,
        tag=f"{NOT_OURS}{report.id}-{order_id[-8:]}",
        status=OrderStatus.FILLED,
        sent_as=Group.FOREIGN,
        type=report.type or OrderType.MARKET,
        duration=Duration.DAY,
        qty=qty,
        price=report.price,
        stop=report.stop,
        filled_qty=qty,
        avg_price=price,
        broker_order_id=report.id,
        group_order_id=report.id,
        created_at=now,
        answered_at=now,
        venue_at=at,
        filled_at=at,
        fill_seen_at=now,
        ended_at=at,
    )


def unsent(
    view: View, kind: str, words: str, *, qty: int, price: Decimal, order_id: str, at: datetime, now: datetime
) -> Order:
    """Return a purchase that no order made: what was sold too much ended so, at this price."""
    return Order(
        id=order_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        role=OrderRole.COVER,
        tag=f"{NOT_OURS}{kind}-{order_id}",
        status=OrderStatus.FILLED,
        sent_as=Group.FOREIGN,
        type=OrderType.MARKET,
        duration=Duration.DAY,
        qty=qty,
        filled_qty=qty,
        avg_price=price,
        reason=words,
        created_at=now,
        answered_at=now,
        filled_at=at,
        fill_seen_at=now,
        ended_at=at,
    )


def surplus(known: Order, now: Order) -> Order:
    """Return what an order executed beyond what was known of it, as an order that is over."""
    qty = now.filled_qty - known.filled_qty
    paid = (now.avg_price or Decimal(0)) * now.filled_qty - (known.avg_price or Decimal(0)) * known.filled_qty
    return replace(now, qty=qty, filled_qty=qty, avg_price=paid / qty, status=OrderStatus.FILLED)


def merge(order: Order, report: Report, now: datetime) -> Order:
    """Take from a report what is news; an older one, or a fill without its price yet, changes nothing but `read_at`.

    An order whose end was only inferred, and which appears after all, is what the broker says.
    """
    # What is over keeps the time at which we saw its end: waits are counted from it.
    looked = order if order.is_terminal else replace(order, read_at=now, reads=order.reads + 1)
    filled = max(order.filled_qty, min(report.filled_qty, order.qty))
    price = report.avg_price if report.avg_price and report.filled_qty >= order.filled_qty else order.avg_price
    if filled and not price:
        return looked
    status = report.status
    if report.is_error and order.odd_since is not None and now >= order.odd_since + ERROR_STANDS:
        status = OrderStatus.REJECTED
    if order.recovered_as is not None:
        return order
    guessed = order.reason in INFERRED and order.broker_order_id is None
    if not guessed and order.is_terminal and filled == order.filled_qty:
        return _repriced(order, report)
    if not guessed and (order.is_terminal or _RANK[status] < _RANK[order.status]):
        status = order.status
    if status is OrderStatus.WORKING and filled:
        status = OrderStatus.PARTIAL
    if status not in _ENDED and filled >= order.qty:
        status = OrderStatus.FILLED
    at = report.broker_at or now
    ended = status in _ENDED
    return replace(
        looked,
        status=status,
        filled_qty=filled,
        avg_price=price,
        broker_order_id=order.broker_order_id or report.broker_order_id,
        group_order_id=order.group_order_id or report.group_order_id or report.broker_order_id,
        answered_at=order.answered_at or now,
        confirmed_at=order.confirmed_at or (None if report.is_pending else now),
        rested_at=order.rested_at or _rested_at(order, report, at),
        filled_at=at if filled > order.filled_qty else order.filled_at,
        fill_seen_at=order.fill_seen_at or (now if filled else None),
        ended_at=(None if guessed else order.ended_at) or (at if ended else None),
        reason=(None if guessed else order.reason) or (_ending(report) if ended else None),
        look_at=None,
        doubt=None,
        odd_since=(order.odd_since or now) if report.is_odd and not ended else None,
    )


def _rested_at(order: Order, report: Report, at: datetime) -> datetime | None:
    """Return since when it rests: an exit behind an entry since its release, which its creation does not tell."""
    if report.is_pending:
        return None
    if order.sent_as is not Group.OTOCO or order.role is OrderRole.ENTRY:
        return report.created_at or at
    return None if report.status in _ENDED and not report.filled_qty else at


def _ending(report: Report) -> str | None:
    return report.reason or ("the broker shows it as an error" if report.is_error else None)
