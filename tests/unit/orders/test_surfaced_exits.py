"""An exit settled as never placed turns up after all: taken down before anything else may execute beside it.

Source: order path §1, late tags; §3, one sale of what is held.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.orders import OrderType
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus, Protection
from services.orders import asking, concerns, lifecycle
from services.orders.merging import NOT_PLACED
from services.orders.plan import next_step
from services.orders.steps import Cancel, Moment, Read, Send, Void, Wait
from services.orders.trade import ActionState, Group, Order, View
from tests.unit.orders.views import NOW, a_leg, a_report, filled, protected

EARLIER = NOW - timedelta(seconds=30)


def given_up(role: OrderRole, tag: str = "bk-late", **changes: Any) -> Order:
    """Write an exit that no list showed, and that was settled as never placed."""
    over: dict[str, Any] = {
        "status": OrderStatus.CANCELLED,
        "reason": NOT_PLACED,
        "created_at": EARLIER,
        "confirmed_at": None,
    }
    nowhere: dict[str, Any] = {"broker_order_id": None, "group_order_id": None, "reads": 0, "rested_at": None}
    return replace(a_leg(role, tag=tag), **{**over, **nowhere, **changes})


def a_sale(tag: str = "bk-late", **changes: Any) -> Order:
    values: dict[str, Any] = {"sent_as": Group.SINGLE, "type": OrderType.LIMIT, "price": Decimal("0.05"), "stop": None}
    return given_up(OrderRole.CLOSE, tag, **{**values, **changes})


def surfaced(view: View, *late: Order) -> View:
    """Let the broker show what was given up as working."""
    view = replace(view, orders=(*view.entry_orders, *late, *view.orders[1:]))
    for order in late:
        report = a_report(order, OrderStatus.WORKING, broker_order_id=f"L-{order.role}", group_order_id="LATE")
        view = lifecycle.applied(view, (report,), NOW)
    return view


def taken_down(view: View) -> View:
    """Ask for the cancel that is next, and let the broker confirm it."""
    assert next_step(view, Moment(NOW)) == Cancel("LATE")
    view = lifecycle.cancel_asked(view, "LATE", NOW)
    assert next_step(view, Moment(NOW)) == Read("LATE")
    for order in view.orders:
        if order.group_order_id == "LATE":
            view = lifecycle.applied(view, (a_report(order, OrderStatus.CANCELLED),), NOW)
    return view


def closing(view: View, action_id: str = "c") -> View:
    reason, running = CloseReason.MANUAL_CLOSE, ActionState.RUNNING
    return asking.with_close(view, action_id=action_id, reason=reason, state=running, now=NOW)


def test_a_bracket_that_surfaces_beside_the_next_one_is_taken_down_and_that_stays() -> None:
    view = surfaced(protected(), given_up(OrderRole.TAKE_PROFIT), given_up(OrderRole.STOP_LOSS))
    assert view.trade.protection is Protection.PROTECTED
    view = taken_down(view)
    assert view.trade.protection is Protection.PROTECTED
    assert {order.tag for order in view.live_bracket} == {"bk-oco"}
    assert next_step(view, Moment(NOW + timedelta(seconds=10))) == Wait()


def test_a_sale_that_surfaces_after_its_close_had_failed_is_taken_down_before_exits_go_back() -> None:
    view = taken_down(surfaced(filled(), a_sale(action_id="before")))
    assert type(next_step(view, Moment(NOW))).__name__ == "PlaceBracket"


def test_a_sale_of_an_earlier_close_that_surfaces_is_taken_down_before_anything_is_sold_again() -> None:
    view = taken_down(surfaced(closing(filled()), a_sale(action_id="before")))
    assert type(next_step(view, Moment(NOW))).__name__ == "PlaceSell"


@pytest.mark.parametrize("is_sent", [False, True])
def test_a_sale_that_surfaces_beside_the_one_that_replaced_it_leaves_one_of_them(is_sent: bool) -> None:
    view = closing(filled())
    again = a_sale("bk-again", action_id="c", status=OrderStatus.INTENT, reason=None, created_at=NOW)
    view = replace(view, orders=(*view.orders, again))
    view = surfaced(view, a_sale(action_id="c"))
    if not is_sent:
        assert next_step(view, Moment(NOW)) == Void("bk-again")
        return
    view = lifecycle.accepted(lifecycle.sent(view, "bk-again", NOW), "bk-again", "300", NOW)
    view = taken_down(view)
    assert not isinstance(next_step(view, Moment(NOW)), Send | Cancel)


def test_a_purchase_to_cover_that_surfaces_beside_the_one_that_replaced_it_is_an_alarm() -> None:
    view = protected()
    for leg in view.live_bracket:
        view = lifecycle.applied(view, (a_report(leg, OrderStatus.FILLED, 2, "3.00"),), NOW)
    values: dict[str, Any] = {"sent_as": Group.SINGLE, "type": OrderType.MARKET, "price": None, "stop": None}
    covers = (given_up(OrderRole.COVER, **values), given_up(OrderRole.COVER, "bk-again", **values))
    short = replace(view, orders=(*view.orders, *covers))
    assert [one.kind for one in concerns.found(short, Moment(NOW))] == ["short"]
    flat = lifecycle.applied(short, (a_report(covers[1], OrderStatus.FILLED, 2, "3.10"),), NOW)
    assert concerns.found(flat, Moment(NOW)) == ()
    long = lifecycle.applied(flat, (a_report(covers[0], OrderStatus.FILLED, 2, "3.10"),), NOW)
    [alarm] = concerns.found(long, Moment(NOW))
    assert (alarm.kind, "2 more were bought back" in alarm.text) == ("naked", True)
