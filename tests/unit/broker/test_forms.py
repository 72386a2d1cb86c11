"""Requests as form fields."""

from dataclasses import replace
from decimal import Decimal

import pytest

from libs.broker.base import Duration, OcoOrder, OptionOrder, OrderSide, OrderType, OtocoOrder
from libs.broker.tradier_forms import place_form
from libs.common.errors import InvalidInput

OCC = "SPY261218C00650000"
LIMIT = OptionOrder(
    occ_symbol=OCC,
    underlying="SPY",
    side=OrderSide.BUY_TO_OPEN,
    qty=3,
    type=OrderType.LIMIT,
    duration=Duration.DAY,
    tag="bk-1",
    price=Decimal("4.2"),
)
OCO = OcoOrder(
    occ_symbol=OCC, underlying="SPY", qty=3, target_price=Decimal("6.30"), stop_price=Decimal("2.10"), tag="bk-2"
)
OTOCO = OtocoOrder(
    occ_symbol=OCC,
    underlying="SPY",
    qty=2,
    entry_price=Decimal("4.20"),
    target_price=Decimal("6.30"),
    stop_price=Decimal("2.10"),
    tag="bk-3",
)


def test_a_limit_order() -> None:
    assert place_form(LIMIT) == {
        "class": "option",
        "symbol": "SPY",
        "option_symbol": OCC,
        "side": "buy_to_open",
        "quantity": "3",
        "type": "limit",
        "duration": "day",
        "price": "4.20",
        "tag": "bk-1",
    }


def test_an_oco_names_both_symbols_on_both_legs_with_equal_quantities_and_different_types() -> None:
    form = place_form(OCO)
    assert form["class"] == "oco"
    assert form["duration"] == "gtc"
    assert [form[f"type[{leg}]"] for leg in (0, 1)] == ["limit", "stop"]
    assert (form["price[0]"], form["stop[1]"]) == ("6.30", "2.10")
    assert "stop[0]" not in form
    assert "price[1]" not in form
    for leg in (0, 1):
        assert (form[f"symbol[{leg}]"], form[f"option_symbol[{leg}]"]) == ("SPY", OCC)
        assert (form[f"quantity[{leg}]"], form[f"side[{leg}]"]) == ("3", "sell_to_close")


def test_a_stop_limit_leg_has_both_prices() -> None:
    form = place_form(replace(OCO, stop_limit_price=Decimal("2.00")))
    assert (form["type[1]"], form["stop[1]"], form["price[1]"]) == ("stop_limit", "2.10", "2.00")


def test_an_otoco_has_durations_per_leg_and_none_for_the_group() -> None:
    form = place_form(OTOCO)
    assert "duration" not in form
    assert [form[f"duration[{leg}]"] for leg in range(3)] == ["day", "gtc", "gtc"]
    assert [form[f"type[{leg}]"] for leg in range(3)] == ["limit", "limit", "stop"]
    assert [form[f"side[{leg}]"] for leg in range(3)] == ["buy_to_open", "sell_to_close", "sell_to_close"]
    assert (form["price[0]"], form["price[1]"], form["stop[2]"]) == ("4.20", "6.30", "2.10")


@pytest.mark.parametrize(
    "wrong",
    [
        replace(LIMIT, qty=0),
        replace(LIMIT, qty=10_000_001),
        replace(LIMIT, price=None),
        replace(LIMIT, price=Decimal("4.205")),
        replace(LIMIT, price=Decimal(0)),
        replace(LIMIT, price=Decimal("NaN")),
        replace(LIMIT, stop=Decimal("2.00")),
        replace(LIMIT, tag="bk_1"),
        replace(LIMIT, tag=""),
        replace(LIMIT, tag="a" * 256),
        replace(LIMIT, occ_symbol="SPY"),
        replace(LIMIT, side=OrderSide.BUY),
        replace(LIMIT, duration=Duration.PRE),
        replace(LIMIT, type=OrderType.MARKET),
        replace(LIMIT, type=OrderType.MARKET, price=None, duration=Duration.GTC),
        replace(LIMIT, type=OrderType.CREDIT),
        replace(OCO, qty=0),
        replace(OCO, stop_price=Decimal("-1")),
        replace(OTOCO, tag="a b"),
    ],
)
def test_what_the_broker_could_only_refuse_is_not_sent(wrong: OptionOrder | OcoOrder | OtocoOrder) -> None:
    with pytest.raises(InvalidInput):
        place_form(wrong)


def test_a_market_order_has_no_price() -> None:
    form = place_form(replace(LIMIT, type=OrderType.MARKET, price=None))
    assert "price" not in form
    assert form["type"] == "market"
