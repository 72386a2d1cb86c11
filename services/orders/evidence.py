"""What became of a write without an answer: decided by what the broker shows, never by time alone.

1. Found by its tag: it is ours, whatever else is said.
2. Never placed needs two complete lists of the same New York day, a stated gap apart, with neither the tag nor an
   untagged twin in them, and the contract's position as if it had not happened.
3. One untagged twin is taken for ours; several, or a position nobody can explain, leave it unknown.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from decimal import Decimal

from libs.broker.orders import OrderReport, OrderSide
from libs.broker.reports import PositionReport
from libs.common.messages.vocabulary import OrderRole
from libs.market import calendar
from services.orders import lifecycle
from services.orders.reading import reports_of
from services.orders.steps import Moment
from services.orders.trade import Group, Order, View


@dataclass(frozen=True, slots=True)
class Seen:
    """One complete look: every order of the session, then the contract's position."""

    orders: tuple[OrderReport, ...]
    position: Decimal


def position_in(positions: Iterable[PositionReport], occ_symbol: str) -> Decimal:
    """Return what the account holds of a contract."""
    return sum((held.qty for held in positions if held.symbol == occ_symbol), Decimal(0))


def judged(view: View, tag: str, seen: Seen, moment: Moment) -> View:
    """Adopt what was found, settle what is proven never placed, or note the look."""
    orders = view.by_tag(tag)
    if not orders or not any(order.is_unanswered for order in orders):
        return view
    match = next((report for report in seen.orders if report.tag == tag), None)
    if match is None:
        twins = [report for report in seen.orders if _is_twin(view, orders[0], report)]
        match = twins[0] if len(twins) == 1 else None
        if len(twins) > 1:
            return _noted(view, tag, moment, proves=False)
    if match is not None:
        adopted = lifecycle.accepted(view, tag, match.id, moment.now)
        return lifecycle.applied(adopted, reports_of(adopted.by_tag(tag), match), moment.now)
    return _absent(view, orders, tag, seen, moment)


def _absent(view: View, orders: tuple[Order, ...], tag: str, seen: Seen, moment: Moment) -> View:
    first = orders[0]
    same_day = first.sent_at is not None and calendar.new_york_date(first.sent_at) == calendar.new_york_date(moment.now)
    unchanged = seen.position == view.held_qty
    if not (same_day and unchanged):
        return _noted(view, tag, moment, proves=False)
    is_entry = any(order.role is OrderRole.ENTRY for order in orders)
    gap = moment.waits.look_gap_entry_s if is_entry else moment.waits.look_gap_exit_s
    if first.look_at is not None and moment.at(first.look_at, gap) is None:
        return lifecycle.never_placed(view, tag, moment.now)
    return _noted(view, tag, moment, proves=True)


def _noted(view: View, tag: str, moment: Moment, *, proves: bool) -> View:
    """Remember the look. One that cannot count as proof starts the count again."""
    for order in view.by_tag(tag):
        first = (order.look_at or moment.now) if proves else None
        view = view.with_order(replace(order, look_at=first, looks=order.looks + 1, read_at=moment.now))
    return view


def _is_twin(view: View, order: Order, report: OrderReport) -> bool:
    """Say whether an untagged order of the list may be ours: some parents come back without their tag."""
    if report.tag is not None or order.sent_at is None:
        return False
    if report.created_at is not None and report.created_at < order.sent_at:
        return False
    if any(report.id in (other.broker_order_id, other.group_order_id) for other in view.orders):
        return False
    flat = report.flat()
    if (len(flat) > 1) != (order.sent_as is not Group.SINGLE):
        return False
    side = OrderSide.BUY_TO_OPEN if order.role is OrderRole.ENTRY else OrderSide.SELL_TO_CLOSE
    ours = {(o.type, o.price, o.stop, o.qty) for o in view.by_tag(order.tag)}
    theirs = {(leg.type, leg.price, leg.stop, leg.qty) for leg in flat}
    same_contract = all(leg.occ_symbol == view.trade.occ_symbol and leg.side is side for leg in flat)
    return same_contract and ours == theirs
