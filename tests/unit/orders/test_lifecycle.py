"""The table, the merge and the result of a trade."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations, product

import pytest

from libs.common.errors import IllegalTransition
from libs.common.messages.vocabulary import (
    TERMINAL_ORDERS,
    CloseReason,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
)
from services.orders import asking, lifecycle, merging
from services.orders.lifecycle import ALLOWED, TRANSITIONS, Happening
from services.orders.trade import ActionState
from tests.unit.orders.views import NOW, a_leg, a_report, a_view, filled, protected, working

DOCUMENTED = {
    TradeStatus.OPEN: {TradeStatus.PARTIAL, TradeStatus.FILLED, TradeStatus.CLOSING, TradeStatus.CLOSED},
    TradeStatus.PARTIAL: {TradeStatus.FILLED, TradeStatus.CLOSING, TradeStatus.CLOSED},
    TradeStatus.FILLED: {TradeStatus.CLOSING, TradeStatus.CLOSED},
    TradeStatus.CLOSING: {TradeStatus.FILLED, TradeStatus.CLOSED},
    TradeStatus.CLOSED: set(),
}


@pytest.mark.parametrize(("status", "happening"), list(product(TradeStatus, Happening)))
def test_every_pair_moves_as_the_table_says_or_is_refused(status: TradeStatus, happening: Happening) -> None:
    if (status, happening) in TRANSITIONS:
        after = lifecycle.move(status, happening)
        assert after is status or after in DOCUMENTED[status]
    else:
        with pytest.raises(IllegalTransition):
            lifecycle.move(status, happening)


def test_the_allowed_pairs_are_the_documented_ones() -> None:
    assert {(before, after) for before, afters in DOCUMENTED.items() for after in afters} == ALLOWED


def test_nothing_moves_a_closed_trade() -> None:
    assert not [status for status, _ in TRANSITIONS if status is TradeStatus.CLOSED]


def test_an_entry_filled_in_parts_is_partial_and_then_filled_at_the_exact_average() -> None:
    view = working(a_view(qty=3))
    order = view.entry_orders[0]
    view = lifecycle.applied(view, (a_report(order, OrderStatus.PARTIAL, 1, "4.20"),), NOW)
    assert (view.trade.status, view.trade.filled_qty) == (TradeStatus.PARTIAL, 1)
    view = lifecycle.applied(view, (a_report(order, OrderStatus.FILLED, 3, "4.26666667"),), NOW)
    assert (view.trade.status, view.trade.filled_qty) == (TradeStatus.FILLED, 3)
    assert view.trade.entry_price == Decimal("4.26666667")


def test_a_cancelled_entry_with_executed_quantity_has_filled_that_much() -> None:
    view = working(a_view(qty=5))
    order = view.entry_orders[0]
    view = lifecycle.applied(view, (a_report(order, OrderStatus.CANCELLED, 2, "4.20"),), NOW)
    assert (view.trade.status, view.trade.filled_qty, view.held_qty) == (TradeStatus.FILLED, 2, 2)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (OrderStatus.REJECTED, CloseReason.REJECTED),
        (OrderStatus.CANCELLED, CloseReason.CANCELLED),
        (OrderStatus.EXPIRED, CloseReason.CANCELLED),
    ],
)
def test_an_entry_that_ends_empty_closes_the_trade(status: OrderStatus, reason: CloseReason) -> None:
    view = working(a_view())
    view = lifecycle.applied(view, (a_report(view.entry_orders[0], status, reason="their words"),), NOW)
    assert (view.trade.status, view.trade.close_reason) == (TradeStatus.CLOSED, reason)
    assert (view.trade.reason, view.trade.realized_pnl, view.trade.is_locked) == ("their words", None, True)


@pytest.mark.parametrize("first", sorted(TERMINAL_ORDERS))
@pytest.mark.parametrize("second", OrderStatus)
def test_a_terminal_order_never_lives_again(first: OrderStatus, second: OrderStatus) -> None:
    order = working(a_view()).entry_orders[0]
    ended = merging.merge(order, a_report(order, first, 1, "4.20"), NOW)
    again = merging.merge(ended, a_report(order, second, 0), NOW)
    assert (again.status, again.filled_qty) == (ended.status, 1)


def test_reports_in_any_order_and_twice_end_in_the_same_order() -> None:
    order = working(a_view(qty=3)).entry_orders[0]
    reports = [
        a_report(order, OrderStatus.WORKING),
        a_report(order, OrderStatus.PARTIAL, 1, "4.20"),
        a_report(order, OrderStatus.FILLED, 3, "4.30"),
    ]
    ends = set()
    for sequence in permutations([*reports, reports[1]]):
        merged = order
        for report in sequence:
            merged = merging.merge(merged, report, NOW)
        ends.add((merged.status, merged.filled_qty, merged.avg_price))
    assert ends == {(OrderStatus.FILLED, 3, Decimal("4.30"))}


def test_a_fill_without_its_price_changes_nothing_yet() -> None:
    order = working(a_view()).entry_orders[0]
    merged = merging.merge(order, a_report(order, OrderStatus.FILLED, 2, None), NOW)
    assert (merged.status, merged.filled_qty, merged.reads) == (OrderStatus.WORKING, 0, 1)


@pytest.mark.parametrize(
    ("role", "price", "reason", "pnl"),
    [
        (OrderRole.TAKE_PROFIT, "6.00", CloseReason.TP_HIT, "360.00"),
        (OrderRole.STOP_LOSS, "2.95", CloseReason.SL_HIT, "-250.00"),
    ],
)
def test_a_leg_that_fills_closes_the_trade_as_that_hit(
    role: OrderRole, price: str, reason: CloseReason, pnl: str
) -> None:
    view = protected()
    leg = next(order for order in view.orders if order.role is role)
    hit_at = NOW + timedelta(hours=6)
    view = lifecycle.applied(view, (a_report(leg, OrderStatus.FILLED, 2, price, broker_at=hit_at),), hit_at)
    trade = view.trade
    assert (trade.status, trade.close_reason, trade.realized_pnl) == (TradeStatus.CLOSED, reason, Decimal(pnl))
    assert (trade.close_price, trade.hold_duration_h) == (Decimal(price), Decimal("6.0000"))
    assert trade.protection is Protection.NONE


def test_a_locked_trade_takes_news_of_its_orders_and_keeps_its_own_values() -> None:
    view = protected()
    target, stop = view.live_bracket
    closed = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    later = lifecycle.applied(closed, (a_report(stop, OrderStatus.CANCELLED),), NOW + timedelta(seconds=1))
    assert later.trade == closed.trade
    assert all(order.is_terminal for order in later.orders)


def test_exits_at_two_prices_make_the_exact_sum() -> None:
    view = protected()
    target, stop = view.live_bracket
    view = lifecycle.applied(view, (a_report(target, OrderStatus.CANCELLED, 1, "6.00"),), NOW)
    assert (view.trade.status, view.held_qty) == (TradeStatus.FILLED, 1)
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.FILLED, 1, "2.97"),), NOW + timedelta(seconds=1))
    assert (view.trade.realized_pnl, view.trade.close_price) == (Decimal("57.00"), Decimal("4.485"))


def test_an_order_settled_as_never_placed_that_appears_is_what_the_broker_says() -> None:
    view = filled()
    legs = (a_leg(OrderRole.STOP_LOSS, status=OrderStatus.SENT, broker_order_id=None, group_order_id=None),)
    view = replace(view, orders=(*view.orders, *legs))
    view = lifecycle.never_placed(lifecycle.unknown(view, "bk-oco", "lost", NOW), "bk-oco", NOW)
    assert view.orders[-1].status is OrderStatus.CANCELLED
    view = lifecycle.applied(view, (a_report(view.orders[-1], OrderStatus.WORKING),), NOW)
    assert (view.orders[-1].status, view.orders[-1].reason) == (OrderStatus.WORKING, None)


def test_a_trade_without_exits_asked_for_has_no_protection_to_lose() -> None:
    view = filled(a_view(sl_price=None, tp_price=None))
    assert (view.trade.protection, view.trade.naked_since) == (Protection.NONE, None)


def test_a_stop_asked_for_is_not_covered_by_a_target() -> None:
    view = protected()
    stop = next(order for order in view.orders if order.role is OrderRole.STOP_LOSS)
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.CANCELLED),), NOW)
    assert view.trade.protection is Protection.PENDING
    target = next(order for order in view.orders if order.role is OrderRole.TAKE_PROFIT)
    view = lifecycle.applied(view, (a_report(target, OrderStatus.CANCELLED),), NOW)
    assert view.trade.protection is Protection.NAKED


def test_seconds_naked_are_counted_from_the_fill_to_the_rest_by_the_brokers_times() -> None:
    assert filled().trade.naked_since == NOW
    assert protected().trade.naked_s == Decimal("1.000")


def test_a_failed_close_holds_again() -> None:
    view = asking.with_close(
        protected(), action_id="a1", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW
    )
    assert (view.trade.status, view.trade.protection) == (TradeStatus.CLOSING, Protection.PROTECTED)
    view = asking.failed(view, "a1", "refused", NOW)
    assert view.trade.status is TradeStatus.FILLED
    with pytest.raises(IllegalTransition):
        asking.failed(view, "a1", "refused", NOW)


def test_the_story_tells_when_the_exits_rest_and_how_long_they_did_not() -> None:
    told = [event for event in protected().events if event.kind == "protection"]
    assert [event.data for event in told] == [{"protection": Protection.PROTECTED, "bare_s": "1.000"}]
    assert told[0].text == "protected: stop loss and take profit rest at the broker for all 2, after 1.000 s without"


def test_a_report_in_the_story_holds_what_the_broker_answered() -> None:
    view = working(a_view())
    view = lifecycle.applied(view, (a_report(view.entry_orders[0], OrderStatus.FILLED, 2, "4.20"),), NOW)
    (report,) = [event for event in view.events if event.kind == "order_report"]
    assert report.data | {"id": None} == {
        "id": None,
        "role": OrderRole.ENTRY,
        "status": OrderStatus.FILLED,
        "filled_qty": 2,
        "qty": 2,
        "avg_price": "4.20",
        "reason": None,
        "broker_at": NOW.isoformat(),
    }
