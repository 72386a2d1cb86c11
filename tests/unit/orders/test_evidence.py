"""An unknown write ends by what the broker shows, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderStatus, OrderType
from libs.common.messages.vocabulary import CloseReason, OrderRole, TradeStatus
from libs.common.messages.vocabulary import OrderStatus as Ours
from services.orders import evidence, lifecycle
from services.orders.evidence import Seen
from services.orders.steps import Moment
from services.orders.trade import View
from tests.unit.orders.views import NOW, OCC, a_view, filled

LATER = NOW + timedelta(seconds=31)


def unknown() -> View:
    return lifecycle.unknown(lifecycle.sent(a_view(), "bk-entry", NOW), "bk-entry", "no answer", NOW)


def listed(**changes: Any) -> OrderReport:
    values: dict[str, Any] = {
        "id": "900",
        "order_class": OrderClass.OPTION,
        "status": OrderStatus.OPEN,
        "raw_status": "open",
        "side": OrderSide.BUY_TO_OPEN,
        "type": OrderType.MARKET,
        "occ_symbol": OCC,
        "qty": 2,
        "tag": "bk-entry",
        "created_at": NOW + timedelta(milliseconds=50),
    }
    return OrderReport(**values | changes)


def look(view: View, *orders: OrderReport, at: Any = NOW, position: int = 0) -> View:
    return evidence.judged(view, "bk-entry", Seen(orders, Decimal(position)), Moment(at))


def test_found_by_its_tag_it_is_ours() -> None:
    view = look(unknown(), listed(status=OrderStatus.FILLED, exec_qty=2, avg_fill_price=Decimal("4.20")), position=2)
    assert (view.trade.status, view.trade.tradier_order_id) == (TradeStatus.FILLED, "900")


def test_two_looks_a_gap_apart_prove_that_it_was_never_placed() -> None:
    view = look(look(unknown()), at=LATER)
    assert (view.trade.close_reason, view.trade.reason) == (CloseReason.REJECTED, "not_placed")


@pytest.mark.parametrize("seconds", [0, 3, 29])
def test_two_looks_closer_than_the_gap_prove_nothing(seconds: int) -> None:
    view = look(look(unknown()), at=NOW + timedelta(seconds=seconds))
    assert view.orders[0].status is Ours.UNKNOWN


def test_a_position_that_nobody_can_explain_proves_nothing_and_starts_the_count_again() -> None:
    view = look(look(unknown()), at=LATER, position=2)
    assert (view.orders[0].status, view.orders[0].look_at) == (Ours.UNKNOWN, None)


def test_looks_of_two_days_prove_nothing() -> None:
    view = look(unknown(), at=NOW + timedelta(days=1))
    view = look(view, at=NOW + timedelta(days=1, seconds=31))
    assert view.orders[0].status is Ours.UNKNOWN


def test_one_untagged_twin_is_taken_for_ours() -> None:
    view = look(unknown(), listed(tag=None))
    assert (view.orders[0].status, view.orders[0].broker_order_id) == (Ours.WORKING, "900")


def test_two_untagged_twins_leave_it_unknown() -> None:
    view = look(look(unknown(), listed(tag=None), listed(id="901", tag=None)), at=LATER)
    assert view.orders[0].status is Ours.UNKNOWN
    view = look(unknown(), listed(tag=None), listed(id="901", tag=None), at=LATER)
    assert view.orders[0].status is Ours.UNKNOWN


@pytest.mark.parametrize(
    "different",
    [
        {"qty": 3},
        {"side": OrderSide.SELL_TO_CLOSE},
        {"type": OrderType.LIMIT, "price": Decimal(4)},
        {"occ_symbol": "SPY261218P00650000"},
        {"created_at": NOW - timedelta(seconds=5)},
        {"tag": "somebody-elses"},
    ],
)
def test_what_differs_is_no_twin(different: dict[str, Any]) -> None:
    stranger = listed(**{"tag": None} | different)
    view = look(look(unknown(), stranger), stranger, at=LATER)
    assert view.trade.reason == "not_placed"


def test_what_is_settled_is_not_judged_again() -> None:
    view = look(unknown(), listed())
    assert look(view, at=LATER) == view
    assert evidence.judged(view, "bk-other", Seen((), Decimal(0)), Moment(NOW)) is view


def test_an_exit_has_the_shorter_gap() -> None:
    view = filled()
    leg = replace(
        view.orders[0], id="o2", tag="bk-sell", role=OrderRole.CLOSE, status=Ours.UNKNOWN, sent_at=NOW, filled_qty=0
    )
    view = replace(view, orders=(*view.orders, leg))
    once = evidence.judged(view, "bk-sell", Seen((), Decimal(2)), Moment(NOW))
    twice = evidence.judged(once, "bk-sell", Seen((), Decimal(2)), Moment(NOW + timedelta(seconds=3)))
    assert (twice.orders[-1].status, twice.orders[-1].reason) == (Ours.CANCELLED, "not_placed")
