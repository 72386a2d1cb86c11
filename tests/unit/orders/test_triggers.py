"""A stop with a limit behind it: reached, filled in its moment or missed."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.broker.orders import OrderType
from libs.common.messages.vocabulary import CloseReason, OrderStatus
from services.orders import asking, lifecycle, triggers
from services.orders.steps import Moment
from services.orders.trade import ActionState, Order, View
from tests.unit.orders.views import NOW, a_report, protected

STOP = Decimal("3.00")


def limited(view: View | None = None) -> View:
    """Write a protected trade whose stop is a stop limit."""
    view = view or protected()
    stop = view.live_bracket[1]
    return view.with_order(replace(stop, type=OrderType.STOP_LIMIT, price=Decimal("2.80")))


def stop_of(view: View) -> Order:
    return view.orders[2]


def after(seconds: float) -> Moment:
    return Moment(NOW + timedelta(seconds=seconds))


@pytest.mark.parametrize(("bid", "reached"), [("3.01", False), ("3.00", True), ("2.50", True), ("0", True)])
def test_a_bid_at_or_below_the_stop_reaches_it(bid: str, reached: bool) -> None:
    view = triggers.judged(limited(), Decimal(bid), after(0), is_open=True)
    assert (stop_of(view).triggered_at == NOW) is reached
    assert ("stop_reached" in [event.kind for event in view.events]) is reached


def test_it_is_missed_only_after_its_moment_and_below_the_stop() -> None:
    view = triggers.judged(limited(), Decimal("2.50"), after(0), is_open=True)
    again = triggers.judged(view, Decimal("2.40"), after(4), is_open=True)
    assert stop_of(again).triggered_at == NOW
    assert not triggers.is_missed(view, Decimal("2.50"), after(9.9))
    assert triggers.next_look(view, after(4)) == NOW + timedelta(seconds=10)
    assert triggers.is_missed(view, Decimal("2.50"), after(10))
    assert not triggers.is_missed(view, Decimal("3.10"), after(10))
    assert not triggers.is_missed(view, None, after(10))


def test_a_closed_session_starts_the_moment_anew() -> None:
    view = triggers.judged(limited(), Decimal("2.50"), after(0), is_open=True)
    view = triggers.judged(view, Decimal("2.50"), after(5), is_open=False)
    assert stop_of(view).triggered_at is None
    view = triggers.judged(view, Decimal("2.50"), after(60), is_open=True)
    assert not triggers.is_missed(view, Decimal("2.50"), after(61))


def test_a_stop_without_a_limit_or_in_another_flows_hands_is_left_alone() -> None:
    assert triggers.resting(protected()) is None
    busy = asking.with_close(
        limited(), action_id="a1", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW
    )
    assert triggers.resting(busy) is None
    view = limited()
    filled = lifecycle.applied(view, (a_report(stop_of(view), OrderStatus.FILLED, 2, "2.90"),), NOW)
    assert triggers.resting(filled) is None
    leaving = lifecycle.cancel_asked(view, stop_of(view).group_order_id or "", NOW)
    assert triggers.resting(leaving) is None
