"""Ticks and results."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidInput
from libs.market import money
from libs.market.money import TickClass

PRICES = st.decimals("0.01", "500", places=4)
CLASSES = st.sampled_from(TickClass)


@given(PRICES, CLASSES)
def test_a_rounded_price_is_on_its_tick_and_stays_there(price: Decimal, tick_class: TickClass) -> None:
    for rounding in (money.round_down, money.round_nearest, money.round_up):
        rounded = rounding(price, tick_class)
        assert money.is_on_tick(rounded, tick_class)
        assert rounding(rounded, tick_class) == rounded


@given(PRICES, CLASSES)
def test_an_entry_limit_never_rises_and_an_exit_moves_half_a_tick_at_most(
    price: Decimal, tick_class: TickClass
) -> None:
    assert money.round_down(price, tick_class) <= price <= money.round_up(price, tick_class)
    assert abs(money.round_nearest(price, tick_class) - price) <= money.tick_at(price, tick_class) / 2


@given(PRICES)
def test_a_coarse_price_is_valid_in_every_finer_class(price: Decimal) -> None:
    coarse = money.round_nearest(price, TickClass.COARSE)
    assert money.is_on_tick(coarse, TickClass.PENNY)
    assert money.is_on_tick(coarse, TickClass.FINE)


@pytest.mark.parametrize(
    ("root", "price", "entry", "exit_"),
    [
        ("SPY", "4.237", "4.23", "4.24"),
        ("AAPL", "2.987", "2.98", "2.99"),
        ("AAPL", "3.07", "3.05", "3.05"),
        ("AAPL", "3.075", "3.05", "3.10"),
        ("SPXW", "2.99", "2.95", "3.00"),
        ("SPXW", "12.34", "12.30", "12.30"),
        ("ZZZ", "2.93", "2.93", "2.95"),
        ("ZZZ", "4.17", "4.15", "4.20"),
    ],
)
def test_prices_are_rounded_by_what_is_known_of_the_class(root: str, price: str, entry: str, exit_: str) -> None:
    assert money.round_down(Decimal(price), money.entry_tick_class(root)) == Decimal(entry)
    assert money.round_nearest(Decimal(price), money.exit_tick_class(root)) == Decimal(exit_)


def test_a_refused_price_is_sent_again_one_class_coarser_and_then_not() -> None:
    assert money.coarser(TickClass.PENNY) is TickClass.COARSE
    assert money.coarser(TickClass.COARSE) is None


def test_a_quote_off_the_nickel_proves_a_penny_class() -> None:
    assert money.shows_penny_steps([Decimal("2.95"), Decimal("1.07")])
    assert not money.shows_penny_steps(
        [Decimal("2.95"), Decimal("1.10"), Decimal("4.07"), Decimal("0"), Decimal("1.005")]
    )


def test_results_are_exact_to_the_cent() -> None:
    assert money.pnl_usd(Decimal("4.20"), Decimal("5.35"), 3, 100) == Decimal("345.00")
    assert money.pnl_usd(Decimal("0.333333"), Decimal("0"), 1, 100) == Decimal("-33.33")
    assert money.premium_usd(Decimal("1.05"), 2, 100) == Decimal("210.00")
    assert money.pnl_pct(Decimal("4.00"), Decimal("5.00")) == Decimal("25.00")
    assert money.pnl_pct(Decimal("0"), Decimal("5.00")) == Decimal("0.00")


@given(st.lists(st.tuples(st.integers(1, 500), st.decimals("0.01", "100", places=2)), min_size=1, max_size=8))
def test_the_average_times_the_quantity_is_the_money_paid(fills: list[tuple[int, Decimal]]) -> None:
    average = money.average_price(fills)
    assert average is not None
    assert money.cents(average * sum(qty for qty, _ in fills)) == sum(qty * price for qty, price in fills)


def test_nothing_filled_has_no_average_and_a_negative_fill_is_refused() -> None:
    assert money.average_price([]) is None
    assert money.average_price([(0, Decimal("1"))]) is None
    with pytest.raises(InvalidInput):
        money.average_price([(-1, Decimal("1"))])


def test_a_zero_bid_beside_an_ask_has_a_middle_and_a_missing_side_has_none() -> None:
    assert money.mid(Decimal(0), Decimal("0.10")) == Decimal("0.05")
    assert money.mid(None, Decimal("0.10")) is None
    assert money.mid(Decimal(0), Decimal(0)) is None


def test_an_average_of_whole_tens_is_written_in_plain_digits() -> None:
    assert str(money.average_price([(2, Decimal("10.00"))])) == "10"
    assert str(money.average_price([(1, Decimal("100"))])) == "100"
    assert str(money.average_price([(1, Decimal("4.20")), (1, Decimal("4.30"))])) == "4.25"
