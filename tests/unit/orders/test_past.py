"""A history of days and prices, less what our own orders did: what others sold, as orders no list shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from libs.broker.orders import OrderReport, OrderSide
from libs.broker.reports import PastTrade
from services.orders import past
from services.orders.contract import OurFill

OCC = "SPY261218C00650000"
TUESDAY, WEDNESDAY, THURSDAY = date(2026, 11, 17), date(2026, 11, 18), date(2026, 11, 19)
BOUGHT_AT = datetime(2026, 11, 17, 15, 0, tzinfo=UTC)


def told(day: date, qty: int, price: str, symbol: str = OCC) -> PastTrade:
    return PastTrade(day=day, symbol=symbol, qty=Decimal(qty), price=Decimal(price))


def ours(day: date, qty: int, price: str) -> OurFill:
    return OurFill(at=datetime(day.year, day.month, day.day, 15, 0, tzinfo=UTC), qty=qty, price=Decimal(price))


def sold(*trades: PastTrade, fills: tuple[OurFill, ...] = (), **more: Any) -> list[tuple[date, int, Decimal]]:
    terms: dict[str, Any] = {"since": BOUGHT_AT, "today": THURSDAY} | more
    found = past.sales_by_others(OCC, trades, fills or (ours(TUESDAY, 2, "4.20"),), **terms)
    return [(_day(one), one.exec_qty, one.avg_fill_price or Decimal(0)) for one in found]


def _day(report: OrderReport) -> date:
    assert report.transaction_at is not None
    assert (report.side, report.occ_symbol) == (OrderSide.SELL_TO_CLOSE, OCC)
    return report.transaction_at.date()


BUY = told(TUESDAY, 2, "4.20")


def test_what_our_orders_did_not_sell_others_sold() -> None:
    assert sold(BUY, told(WEDNESDAY, -2, "3.90")) == [(WEDNESDAY, 2, Decimal("3.90"))]


def test_what_we_sold_ourselves_is_taken_out_with_its_price() -> None:
    both = (ours(TUESDAY, 2, "4.20"), ours(WEDNESDAY, -1, "4.00"))
    assert sold(BUY, told(WEDNESDAY, -1, "4.00"), told(WEDNESDAY, -1, "3.50"), fills=both) == [
        (WEDNESDAY, 1, Decimal("3.50"))
    ]
    assert sold(BUY, told(WEDNESDAY, -1, "4.00"), fills=both) == []


def test_a_history_that_lacks_an_execution_of_ours_is_not_complete_and_proves_nothing() -> None:
    assert sold(told(WEDNESDAY, -2, "3.90")) == []


def test_lots_of_their_own_are_sold_first_and_explain_nothing() -> None:
    sales = (told(WEDNESDAY, -3, "3.90"),)
    assert sold(BUY, *sales, foreign_lots=Decimal(3)) == []
    assert sold(BUY, *sales, foreign_lots=Decimal(1)) == [(WEDNESDAY, 2, Decimal("3.90"))]
    assert sold(BUY, told(TUESDAY, 2, "4.50"), told(WEDNESDAY, -2, "3.90")) == []


def test_other_contracts_days_before_ours_and_today_are_left_out() -> None:
    others = (told(WEDNESDAY, -2, "1.00", "SPY261218P00650000"), told(date(2026, 11, 16), -2, "1.00"))
    assert sold(BUY, *others, told(THURSDAY, -2, "1.00")) == []


def test_the_same_day_and_contract_is_always_the_same_order() -> None:
    fills, trades = (ours(TUESDAY, 2, "4.20"),), (BUY, told(WEDNESDAY, -2, "3.90"))
    (first,) = past.sales_by_others(OCC, trades, fills, since=BOUGHT_AT, today=THURSDAY)
    (again,) = past.sales_by_others(OCC, trades, fills, since=BOUGHT_AT, today=date(2026, 11, 23))
    assert first.id == again.id
    assert past.is_past(first.id)
    assert not past.is_past("100124")
    assert not past.is_past(None)


def test_a_sale_of_the_day_we_bought_is_never_before_it() -> None:
    late = datetime(2026, 11, 17, 21, 10, tzinfo=UTC)
    trades = (told(TUESDAY, 2, "4.20"), told(TUESDAY, -2, "3.90"))
    (found,) = past.sales_by_others(OCC, trades, (ours(TUESDAY, 2, "4.20"),), since=late, today=THURSDAY)
    assert found.transaction_at == late
