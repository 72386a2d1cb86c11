"""Requests as Tradier's form fields. Pure.

1. Prices have two decimals at most; a third is refused here, not rounded.
2. Groups use flat 0-based keys, both `symbol[i]` and `option_symbol[i]`, and one quantity for every leg.
3. An OTOCO's durations are per leg, never one for the group.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from libs.broker.orders import (
    Duration,
    OcoOrder,
    OptionOrder,
    OrderSide,
    OrderType,
    OtocoOrder,
    PlaceRequest,
)
from libs.common.errors import InvalidInput
from libs.market.options import OccSymbol

Form = dict[str, str]
_TAG: Final = re.compile(r"[A-Za-z0-9-]{1,255}")
_OPTION_SIDES: Final = frozenset(
    {OrderSide.BUY_TO_OPEN, OrderSide.BUY_TO_CLOSE, OrderSide.SELL_TO_OPEN, OrderSide.SELL_TO_CLOSE}
)
_PRICED: Final = frozenset({OrderType.LIMIT, OrderType.STOP_LIMIT})
_STOPPED: Final = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
MAX_QTY: Final = 10_000_000


def place_form(request: PlaceRequest) -> Form:
    """Return the fields of a new order. Raises: InvalidInput for what the broker could only refuse."""
    match request:
        case OptionOrder():
            return option_form(request)
        case OcoOrder():
            return _oco_form(request)
        case OtocoOrder():
            return _otoco_form(request)


def price_text(price: Decimal, name: str) -> str:
    """Write a price. Raises: InvalidInput."""
    if not price.is_finite() or price <= 0 or price % Decimal("0.01") != 0:
        raise InvalidInput(f"{name} must be positive with at most two decimals, was {price}")
    return f"{price:.2f}"


def _check(occ_symbol: str, qty: int, tag: str) -> None:
    OccSymbol.parse(occ_symbol)
    if not 1 <= qty <= MAX_QTY:
        raise InvalidInput(f"a quantity lies between 1 and {MAX_QTY}, was {qty}")
    if _TAG.fullmatch(tag) is None:
        raise InvalidInput("a tag has 1 to 255 letters, digits or hyphens")


def option_form(order: OptionOrder) -> Form:
    """Return the fields of a single-leg order. Raises: InvalidInput."""
    _check(order.occ_symbol, order.qty, order.tag)
    if order.side not in _OPTION_SIDES:
        raise InvalidInput(f"not a side of an option order: {order.side}")
    if order.duration not in {Duration.DAY, Duration.GTC}:
        raise InvalidInput(f"not a duration of an option order: {order.duration}")
    if order.type is OrderType.MARKET and order.duration is not Duration.DAY:
        raise InvalidInput("a market order's duration is day")
    form = {
        "class": "option",
        "symbol": order.underlying,
        "option_symbol": order.occ_symbol,
        "side": order.side.value,
        "quantity": str(order.qty),
        "type": order.type.value,
        "duration": order.duration.value,
        "tag": order.tag,
    }
    match order.type:
        case OrderType.MARKET | OrderType.LIMIT | OrderType.STOP | OrderType.STOP_LIMIT:
            return form | _prices(order.type, order.price, order.stop)
        case _:
            raise InvalidInput(f"not a type of a single-leg order: {order.type}")


def _prices(order_type: OrderType, price: Decimal | None, stop: Decimal | None, suffix: str = "") -> Form:
    """Return exactly the prices a type needs. Raises: InvalidInput when one is missing or too many."""
    form: Form = {}
    for name, value, is_needed in (("price", price, order_type in _PRICED), ("stop", stop, order_type in _STOPPED)):
        if is_needed is (value is None):
            raise InvalidInput(f"a {order_type} order {'needs' if is_needed else 'has no'} {name}")
        if value is not None:
            form[name + suffix] = price_text(value, name)
    return form


def _leg(
    index: int,
    request: OcoOrder | OtocoOrder,
    side: OrderSide,
    order_type: OrderType,
    *,
    price: Decimal | None = None,
    stop: Decimal | None = None,
) -> Form:
    return {
        f"symbol[{index}]": request.underlying,
        f"option_symbol[{index}]": request.occ_symbol,
        f"side[{index}]": side.value,
        f"quantity[{index}]": str(request.qty),
        f"type[{index}]": order_type.value,
        **_prices(order_type, price, stop, f"[{index}]"),
    }


def _exits(first: int, request: OcoOrder | OtocoOrder, side: OrderSide) -> Form:
    """Return the target leg and the stop leg; their types differ by construction."""
    stop_type = OrderType.STOP if request.stop_limit_price is None else OrderType.STOP_LIMIT
    return {
        **_leg(first, request, side, OrderType.LIMIT, price=request.target_price),
        **_leg(first + 1, request, side, stop_type, price=request.stop_limit_price, stop=request.stop_price),
    }


def _oco_form(order: OcoOrder) -> Form:
    _check(order.occ_symbol, order.qty, order.tag)
    return {
        "class": "oco",
        "duration": order.duration.value,
        "tag": order.tag,
        **_exits(0, order, order.side),
    }


def _otoco_form(order: OtocoOrder) -> Form:
    _check(order.occ_symbol, order.qty, order.tag)
    return {
        "class": "otoco",
        "tag": order.tag,
        **_leg(0, order, OrderSide.BUY_TO_OPEN, OrderType.LIMIT, price=order.entry_price),
        "duration[0]": order.entry_duration.value,
        **_exits(1, order, OrderSide.SELL_TO_CLOSE),
        "duration[1]": order.exit_duration.value,
        "duration[2]": order.exit_duration.value,
    }
