"""A trade bears its share of each day's commissions, once, when the history tells all of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.broker.reports import PastTrade
from libs.common.messages.vocabulary import OrderRole, OrderStatus
from services.orders import charging, corrections
from services.orders.contract import OurFill
from services.orders.trade import View
from tests.unit.orders.views import NOW, OCC, protected

DAY = date(2026, 11, 20)
AFTER = DAY + timedelta(days=1)
LATER = NOW + timedelta(days=1)


def traded(qty: int = 2) -> View:
    """Write a trade that bought and, by its target, sold on one day."""
    view = protected(qty=qty)
    for order in view.orders:
        if order.role in (OrderRole.ENTRY, OrderRole.TAKE_PROFIT):
            filled = replace(order, status=OrderStatus.FILLED, filled_qty=qty, filled_at=NOW, avg_price=Decimal(6))
            view = view.with_order(filled)
    return view


def told(qty: int, usd: str, *, day: date = DAY, symbol: str = OCC) -> PastTrade:
    return PastTrade(day=day, symbol=symbol, qty=Decimal(qty), price=Decimal(4), commission_usd=Decimal(usd))


def fills(*qtys: int) -> list[OurFill]:
    return [OurFill(at=NOW, qty=qty, price=Decimal(4)) for qty in qtys]


def test_both_sides_of_a_day_are_borne() -> None:
    history = [told(2, "0.70"), told(-1, "0.35"), told(-1, "0.40"), told(2, "9.00", symbol="SPY261218P00650000")]
    assert charging.told_usd(traded(), history, fills(2, -2), AFTER) == Decimal("1.45")


def test_what_others_traded_of_the_contract_bears_its_own_share() -> None:
    history = [told(5, "2.50"), told(-2, "0.70")]
    assert charging.told_usd(traded(), history, fills(2, -2, 1), AFTER) == Decimal("1.70")


@pytest.mark.parametrize(
    ("history", "today"),
    [
        ([told(2, "0.70"), told(-2, "0.70")], DAY),
        ([told(2, "0.70"), told(-1, "0.35")], AFTER),
        ([told(2, "0.70")], AFTER),
        ([told(2, "0.70"), told(-2, "0.70", day=AFTER)], AFTER),
        ([], AFTER),
    ],
)
def test_nothing_is_known_while_a_day_lasts_or_the_history_tells_less_than_our_orders_did(
    history: list[PastTrade], today: date
) -> None:
    assert charging.told_usd(traded(), history, fills(2, -2), today) is None


def test_a_history_that_lacks_another_trade_of_ours_is_not_complete() -> None:
    history = [told(2, "0.70"), told(-2, "0.70")]
    assert charging.told_usd(traded(), history, fills(2, -2, 1), AFTER) is None


def test_an_exit_that_executed_over_several_days_bears_what_each_of_them_tells() -> None:
    view = traded(3)
    target = next(order for order in view.orders if order.role is OrderRole.TAKE_PROFIT)
    last_at = NOW + timedelta(days=2)
    view = view.with_order(replace(target, filled_at=last_at))
    assert charging.first_day(view) == DAY
    history = [told(3, "1.05"), told(-2, "0.70"), told(-1, "0.40", day=DAY + timedelta(days=2))]
    ours = [OurFill(at=NOW, qty=3, price=Decimal(4)), OurFill(at=last_at, qty=-3, price=Decimal(6))]
    after = DAY + timedelta(days=3)
    assert charging.told_usd(view, history, ours, after) == Decimal("2.15")
    assert charging.told_usd(view, history[:2], ours, after) is None
    assert charging.told_usd(view, history, ours, DAY + timedelta(days=2)) is None


def test_an_exit_that_rested_for_days_and_executed_on_the_last_bears_that_day_alone() -> None:
    view = traded()
    target = next(order for order in view.orders if order.role is OrderRole.TAKE_PROFIT)
    last_at = NOW + timedelta(days=2)
    view = view.with_order(replace(target, filled_at=last_at))
    history = [told(2, "0.70"), told(-9, "90.00"), told(-2, "0.70", day=DAY + timedelta(days=2))]
    ours = [OurFill(at=NOW, qty=2, price=Decimal(4)), OurFill(at=last_at, qty=-2, price=Decimal(6))]
    assert charging.told_usd(view, history, ours, DAY + timedelta(days=3)) == Decimal("1.40")


def test_it_is_taken_from_the_result_once_and_noted_even_where_it_is_nothing() -> None:
    view = replace(traded(), events=())
    once = charging.booked(view, Decimal("1.4000"), LATER)
    assert corrections.total_usd(once) == Decimal("-1.4")
    assert [event.kind for event in once.events] == ["correction", "fees"]
    twice = charging.booked(once, Decimal("1.4000"), LATER)
    assert twice.corrections == once.corrections
    nothing = charging.booked(view, Decimal("0.0000"), LATER)
    assert (nothing.corrections, [event.kind for event in nothing.events]) == ((), ["fees"])


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 5), st.integers(0, 900))
def test_trades_of_a_contract_together_bear_no_more_than_was_told(own: list[int], others: int, cents: int) -> None:
    total = sum(own) + others
    history = [told(total, str(Decimal(cents) / 100)), told(-total, str(Decimal(cents) / 100))]
    ours = fills(*own, *(-qty for qty in own))
    shares = [charging.told_usd(traded(qty), history, ours, AFTER) for qty in own]
    assert None not in shares
    borne = sum((share for share in shares if share is not None), Decimal(0))
    assert abs(borne - Decimal(2 * cents) / 100 * sum(own) / total) <= Decimal("0.0001") * len(own)
