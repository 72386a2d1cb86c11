"""Fills, holdings and money from reports."""

from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from libs.broker.orders import OrderStatus as Word
from libs.broker.reports import BalanceReport, PositionReport
from services.monitor.portfolio import holdings, new_executions, status_of
from tests.unit.monitor.test_reconcile import NOW, OCC, a_report


def test_a_second_fill_has_the_price_of_the_difference() -> None:
    first = a_report(status=Word.PARTIALLY_FILLED, exec_qty=1, avg_fill_price=Decimal("4.00"))
    (one,) = new_executions({}, [first], NOW)
    assert (one.broker_execution_id, one.quantity, one.price) == ("10-1", Decimal(1), Decimal("4"))
    both = a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal("4.10"))
    (two,) = new_executions({"10": (one.quantity, one.quantity * one.price)}, [both], NOW)
    assert (two.broker_execution_id, two.quantity, two.price) == ("10-2", Decimal(1), Decimal("4.2"))


def test_a_fill_read_again_is_nothing_new() -> None:
    filled = a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal("4.10"))
    assert new_executions({"10": (Decimal(2), Decimal("8.20"))}, [filled], NOW) == ()
    assert new_executions({}, [a_report(status=Word.FILLED, exec_qty=2)], NOW) == ()


@given(st.lists(st.tuples(st.integers(1, 5), st.integers(1, 2000)), min_size=1, max_size=6))
def test_fills_sum_to_the_orders_average(fills: list[tuple[int, int]]) -> None:
    known: dict[str, tuple[Decimal, Decimal]] = {}
    total, cost = 0, Decimal(0)
    for qty, cents in fills:
        total, cost = total + qty, cost + qty * Decimal(cents) / 100
        report = a_report(exec_qty=total, avg_fill_price=cost / total)
        for fill in new_executions(known, [report], NOW):
            had_qty, had_cost = known.get("10", (Decimal(0), Decimal(0)))
            known["10"] = (had_qty + fill.quantity, had_cost + fill.quantity * fill.price)
    assert known["10"][0] == total
    assert abs(known["10"][1] - cost) < Decimal("0.00001")


def test_a_holding_shows_its_price_per_share_and_its_days() -> None:
    at = datetime(2026, 12, 16, 15, 0, tzinfo=UTC)
    option = PositionReport(symbol=OCC, qty=Decimal(2), cost_basis_usd=Decimal(840))
    shares = PositionReport(symbol="SPY", qty=Decimal(100), cost_basis_usd=Decimal(65000))
    held, stock = holdings([option, shares], at)
    assert (held.avg_price, held.dte, held.instrument_type) == (Decimal("4.2"), 2, "option")
    assert (stock.avg_price, stock.dte, stock.instrument_type) == (Decimal("650"), None, "equity")


def test_what_the_broker_does_not_say_stays_unknown() -> None:
    status = status_of(BalanceReport(account_id="VA1", account_type="margin", total_equity_usd=Decimal(5000)))
    assert (status.net_liquidation, status.excess_liquidity, status.buying_power) == (Decimal(5000), None, None)
