"""Broker words that mean neither working nor over, and news of orders whose id is not yet known."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as BrokerWord
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import BrokerMode, OrderRole, OrderStatus, Protection, TradeStatus
from services.orders import concerns, lifecycle
from services.orders.plan import next_step
from services.orders.reading import report_of_fact, reports_of
from services.orders.steps import Moment, Read, Wait, Waits
from services.orders.trade import View
from tests.unit.orders.views import NOW, OCC, a_leg, a_view, protected, working


def shown(view: View, word: BrokerWord, order_id: str, at: datetime, **changes: Any) -> View:
    """Let the broker show an order so."""
    values: dict[str, Any] = {
        "id": order_id,
        "order_class": OrderClass.OPTION,
        "status": word,
        "raw_status": word.value,
        "side": OrderSide.BUY_TO_OPEN,
        "type": OrderType.MARKET,
        "occ_symbol": OCC,
        "qty": 2,
    }
    report = OrderReport(**values | changes)
    return lifecycle.applied(view, reports_of(view.orders, report), at)


def kinds(view: View, at: datetime) -> set[str]:
    return {found.kind for found in concerns.found(view, Moment(at))}


def test_an_error_counts_only_when_a_second_look_says_so_again() -> None:
    once = shown(working(a_view()), BrokerWord.ERROR, "100", NOW)
    assert once.orders[0].status is OrderStatus.WORKING
    assert shown(once, BrokerWord.ERROR, "100", NOW).orders[0].status is OrderStatus.WORKING
    twice = shown(once, BrokerWord.ERROR, "100", NOW + timedelta(seconds=2))
    assert (twice.orders[0].status, twice.trade.status) == (OrderStatus.REJECTED, TradeStatus.CLOSED)
    assert "error" in (twice.trade.reason or "")


def test_an_error_that_executed_something_has_filled_that_much() -> None:
    view = working(a_view())
    for seconds in (0, 2):
        at = NOW + timedelta(seconds=seconds)
        view = shown(view, BrokerWord.ERROR, "100", at, exec_qty=1, avg_fill_price=Decimal("4.20"))
    assert (view.trade.status, view.trade.filled_qty) == (TradeStatus.FILLED, 1)


def test_an_error_that_passes_is_forgotten() -> None:
    view = shown(working(a_view()), BrokerWord.ERROR, "100", NOW)
    view = shown(view, BrokerWord.OPEN, "100", NOW + timedelta(seconds=2))
    assert view.orders[0].odd_since is None
    again = shown(view, BrokerWord.ERROR, "100", NOW + timedelta(seconds=4))
    assert again.orders[0].status is OrderStatus.WORKING


@pytest.mark.parametrize("word", [BrokerWord.UNRECOGNISED, BrokerWord.PENDING])
def test_an_order_that_stays_so_is_read_ever_more_seldom_and_then_told(word: BrokerWord) -> None:
    waits = Waits()
    view, at, gaps = working(a_view()), NOW, []
    for _ in range(40):
        view = shown(view, word, "100", at)
        step = next_step(view, Moment(at))
        assert isinstance(step, Wait)
        assert step.until is not None
        gaps.append((step.until - at).total_seconds())
        at = step.until
        assert isinstance(next_step(view, Moment(at)), Read)
    assert gaps[-1] == waits.confirm_slow_s
    assert "odd_order" in kinds(view, at)
    assert "odd_order" not in kinds(view, NOW + timedelta(seconds=5))
    assert kinds(shown(view, BrokerWord.OPEN, "100", at), at) == set()


def test_a_resting_exit_that_turns_odd_protects_nothing_and_is_read() -> None:
    view = protected()
    leg = next(order for order in view.orders if order.role is OrderRole.STOP_LOSS)
    odd = shown(
        view,
        BrokerWord.UNRECOGNISED,
        leg.broker_order_id or "",
        NOW + timedelta(minutes=5),
        side=OrderSide.SELL_TO_CLOSE,
        type=OrderType.STOP,
        stop=leg.stop,
    )
    assert odd.trade.protection is not Protection.PROTECTED
    step = next_step(odd, Moment(NOW + timedelta(minutes=6)))
    assert step == Read(leg.group_order_id or "")
    assert {"odd_order", "naked"} <= kinds(odd, NOW + timedelta(minutes=6))


# ── news of orders whose id is not yet known ─────────────────────────────────────────────────────────────────────────


def news(**changes: Any) -> OrderChanged:
    values: dict[str, Any] = {
        "order_key": "PAPER:VA1:900",
        "broker_mode": BrokerMode.PAPER,
        "account_id": "VA1",
        "broker_order_id": "900",
        "status": OrderStatus.WORKING,
        "qty": 2,
        "filled_qty": 0,
        "seen_at": NOW,
    }
    return OrderChanged(**values | changes)


def unknown() -> View:
    return lifecycle.unknown(lifecycle.sent(a_view(), "bk-entry", NOW), "bk-entry", "no answer", NOW)


@pytest.mark.parametrize("role", [None, OrderRole.ENTRY, OrderRole.TAKE_PROFIT])
def test_news_under_a_tag_settles_a_single_order_whatever_role_was_guessed(role: OrderRole | None) -> None:
    report = report_of_fact(unknown(), news(tag="bk-entry", role=role))
    assert report is not None
    assert report.order_id == "o-entry"


@pytest.mark.parametrize("role", [None, OrderRole.ENTRY])
def test_news_without_tag_and_group_is_about_none_of_ours(role: OrderRole | None) -> None:
    assert report_of_fact(unknown(), news(role=role)) is None
    assert report_of_fact(unknown(), news(tag="bk-other", role=role)) is None


def test_news_of_a_leg_is_found_by_its_group_and_role() -> None:
    legs = tuple(replace(a_leg(role), broker_order_id=None) for role in (OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS))
    view = replace(protected(), orders=legs)
    report = report_of_fact(view, news(parent_broker_order_id="bk-oco", role=OrderRole.STOP_LOSS))
    assert report is not None
    assert report.order_id == legs[1].id
    assert report_of_fact(view, news(parent_broker_order_id="bk-oco")) is None
