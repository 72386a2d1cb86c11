"""What a ticket must look like before the broker takes it, and what it fills at. Pure.

Shape mistakes are `BadParameter` (HTTP 400, plain text); what only the order back end knows is `Refused` (HTTP 200 with
`errors`).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from simulator.book import Order
from simulator.universe import TICKERS, Contract, parse_occ, tick_size

OPTION_SIDES = frozenset({"buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"})
EQUITY_SIDES = frozenset({"buy", "buy_to_cover", "sell", "sell_short"})
TYPES = ("market", "limit", "stop", "stop_limit")
LEG_COUNTS = {"oco": 2, "oto": 2, "otoco": 3}
MOST_CONTRACTS = 10_000_000
LEAST_EXIT_DISTANCE = Decimal("0.10")
BACK_OFFICE = "Backoffice rejected override of the order."
NOT_CLOSING = "Sell order cannot be placed unless you are closing a long position, please check open orders. "
_TAG = re.compile(r"[A-Za-z0-9-]*")
_INDEXED = re.compile(r"([a-z_]+)\[(\d+)\]")


class BadParameter(Exception):
    """The request is malformed; the text is the whole answer."""


class Refused(Exception):
    """The back end says no: words, or the standard words and a code."""

    def __init__(self, *errors: str) -> None:
        super().__init__(*errors)
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Quote:
    """Both sides of a market and its last price; a side of 0 is absent."""

    bid: Decimal
    ask: Decimal
    last: Decimal


@dataclass(frozen=True, slots=True)
class Leg:
    """The terms of one order."""

    symbol: str
    option_symbol: str | None
    side: str
    quantity: int
    type: str
    duration: str
    price: Decimal | None
    stop: Decimal | None

    @property
    def security(self) -> str:
        """Name what is bought or sold."""
        return self.option_symbol or self.symbol

    @property
    def is_sell(self) -> bool:
        """Say whether it takes from the position."""
        return self.side.startswith("sell")


@dataclass(frozen=True, slots=True)
class Ticket:
    """A whole request to place."""

    kind: str
    tag: str | None
    legs: tuple[Leg, ...]


def is_true(value: str | None) -> bool:
    """Read a flag the way clients write it."""
    return (value or "").strip().lower() == "true"


def invalid(name: str) -> BadParameter:
    """Word the refusal of one parameter."""
    return BadParameter(f"Invalid parameter, {name}: is not valid.")


def read_money(form: Mapping[str, str], key: str) -> Decimal | None:
    """Read a price: positive, at most two decimals."""
    text = form.get(key)
    if text is None or not text.strip():
        return None
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise invalid(key) from None
    if not value.is_finite() or value <= 0 or value != value.quantize(Decimal("0.01")):
        raise invalid(key)
    return value


def read_tag(form: Mapping[str, str]) -> str | None:
    """Check a tag: letters, digits and hyphens."""
    tag = form.get("tag")
    if not tag:
        return None
    if len(tag) > 255:
        raise BadParameter("Invalid parameter, tag: contains more than 255 characters.")
    if not _TAG.fullmatch(tag):
        raise BadParameter("Invalid parameter, tag: contains invalid characters.")
    return tag


def _read_quantity(form: Mapping[str, str], key: str) -> int:
    text = form.get(key, "")
    try:
        value = Decimal(text)
    except InvalidOperation:
        raise invalid(key) from None
    if not value.is_finite() or value != value.to_integral_value() or not 1 <= value <= MOST_CONTRACTS:
        raise invalid(key)
    return int(value)


def _read_duration(form: Mapping[str, str], suffix: str, is_option: bool) -> str:
    duration = form.get(f"duration{suffix}") or form.get("duration") or ""
    allowed = ("day", "gtc") if is_option else ("day", "gtc", "pre", "post")
    if duration not in allowed:
        raise invalid("duration")
    return duration


def _read_leg(form: Mapping[str, str], suffix: str, is_option: bool) -> Leg:
    option_symbol = (form.get(f"option_symbol{suffix}") or "").upper() or None
    symbol = (form.get(f"symbol{suffix}") or "").upper()
    if is_option and option_symbol is None:
        raise invalid(f"option_symbol{suffix}")
    if not symbol:
        if option_symbol is None or not suffix:
            raise invalid(f"symbol{suffix}")
        contract = parse_occ(option_symbol)
        symbol = contract.underlying if contract else option_symbol
    side = form.get(f"side{suffix}", "")
    if side not in (OPTION_SIDES if option_symbol else EQUITY_SIDES):
        raise invalid(f"side{suffix}")
    order_type = form.get(f"type{suffix}", "")
    if order_type not in TYPES:
        raise invalid(f"type{suffix}")
    price, stop = read_money(form, f"price{suffix}"), read_money(form, f"stop{suffix}")
    if order_type in ("limit", "stop_limit") and price is None:
        raise invalid(f"price{suffix}")
    if order_type in ("stop", "stop_limit") and stop is None:
        raise invalid(f"stop{suffix}")
    return Leg(
        symbol=symbol,
        option_symbol=option_symbol,
        side=side,
        quantity=_read_quantity(form, f"quantity{suffix}"),
        type=order_type,
        duration=_read_duration(form, suffix, option_symbol is not None),
        price=price if order_type in ("limit", "stop_limit") else None,
        stop=stop if order_type in ("stop", "stop_limit") else None,
    )


def _check_exits(first: Leg, second: Leg) -> None:
    if "market" in (first.type, second.type) or first.type == second.type:
        raise invalid("type[1]")
    if first.security != second.security:
        raise invalid("option_symbol[1]" if second.option_symbol else "symbol[1]")
    if first.duration != second.duration:
        raise Refused(BACK_OFFICE, "OcoExpirationTypeNotTheSame")
    if first.is_sell != second.is_sell:
        raise Refused(BACK_OFFICE, "OcoOrderWithOppositeLegs")
    prices = [leg.price if leg.type == "limit" else leg.stop for leg in (first, second)]
    if prices[0] is not None and prices[1] is not None and abs(prices[0] - prices[1]) < LEAST_EXIT_DISTANCE:
        raise Refused(BACK_OFFICE, "OcoPriceDifferenceIsLessThanDelta")


def read_ticket(form: Mapping[str, str], *, market_entry_allowed: bool = False) -> Ticket:
    """Read a request to place. Raises: BadParameter, Refused."""
    kind = form.get("class", "")
    if kind in ("option", "equity"):
        if any(_INDEXED.fullmatch(key) for key in form):
            raise BadParameter("legs are not allowed for this order class")
        leg = _read_leg(form, "", kind == "option")
        if leg.type == "market" and leg.duration == "gtc":
            raise Refused(BACK_OFFICE, "MarketOrderIsGtc")
        return Ticket(kind, read_tag(form), (leg,))
    if kind not in LEG_COUNTS:
        raise invalid("class")
    indices = {int(match[2]) for match in map(_INDEXED.fullmatch, form) if match}
    if indices != set(range(LEG_COUNTS[kind])):
        raise BadParameter(f"number of legs must be {LEG_COUNTS[kind]}")
    legs = tuple(_read_leg(form, f"[{n}]", is_option=False) for n in range(LEG_COUNTS[kind]))
    if kind != "oco" and legs[0].type == "market" and not market_entry_allowed:
        raise Refused(BACK_OFFICE, "OtoOcoMarketNotAllowed" if kind == "otoco" else "OtoFirstLesIsMarketNotAllowed")
    if kind != "oto":
        _check_exits(legs[-2], legs[-1])
    elif legs[1].is_sell and legs[1].stop and legs[0].price and legs[1].stop < legs[0].price:
        raise Refused("price[1] must be higher than price[0]")
    return Ticket(kind, read_tag(form), legs)


def contract_of(leg: Leg) -> Contract | None:
    """Tell the contract of a leg; None for shares. Raises: Refused for what nobody lists."""
    if leg.option_symbol is None:
        if leg.symbol not in TICKERS or TICKERS[leg.symbol].is_index:
            raise Refused(f"Undefined symbol: {leg.symbol}")
        return None
    contract = parse_occ(leg.option_symbol)
    if contract is None or leg.symbol not in (contract.underlying, contract.root):
        raise Refused(f"Undefined symbol: {leg.option_symbol}")
    return contract


def off_tick(leg: Leg) -> bool:
    """Say whether a price is between the ticks of its contract."""
    contract = parse_occ(leg.option_symbol) if leg.option_symbol else None
    root = contract.root if contract else "SPY"
    return any(price is not None and price % tick_size(root, price) != 0 for price in (leg.price, leg.stop))


def wrong_side(order: Leg | Order, quote: Quote) -> str | None:
    """Name the refusal of a stop that the market has already passed."""
    if order.stop is None:
        return None
    if order.is_sell:
        return "SellStopOrderStopPriceGreaterBid" if order.stop >= quote.bid else None
    return "BuyStopOrderStopPriceLessAsk" if order.stop <= quote.ask else None


def _reached(order: Order, quote: Quote, trigger: str) -> bool:
    if order.stop is None or order.triggered:
        return True
    if order.is_sell:
        return order.stop >= (quote.last if trigger == "last" else quote.bid)
    return order.stop <= (quote.last if trigger == "last" else quote.ask)


def fill_price(order: Order, quote: Quote, trigger: str) -> Decimal | None:
    """Tell what an order executes at now, if it does; a stop that is reached stays triggered.

    A sell limit fills at its limit, a stop and a market order at the bid; buys fill at the ask; nothing sells at bid 0.
    """
    price = quote.bid if order.is_sell else quote.ask
    if price <= 0 or not _reached(order, quote, trigger):
        return None
    order.triggered = order.stop is not None
    if order.price is None:
        return price
    if order.is_sell:
        if price < order.price:
            return None
        return order.price if order.type == "limit" else price
    return price if price <= order.price else None
