"""Tradier's JSON: collection shapes, eight decimals, orders, positions, balances. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson

from simulator.book import GROUPS, Account, Order, Position, Status
from simulator.exchange import Exchange
from simulator.rules import Quote

Json = dict[str, Any]


def number(value: Decimal | int | None) -> orjson.Fragment | None:
    """Write a number with eight decimals; zero as `0E-8`, which is how it has been seen."""
    if value is None:
        return None
    return orjson.Fragment(b"0E-8" if value == 0 else f"{Decimal(value):.8f}".encode())


def iso_instant(at: datetime) -> str:
    """Write an instant with milliseconds and a Z."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def collection(outer: str, inner: str, items: Sequence[object]) -> Json:
    """Shape a collection: the string null, one object, or a list."""
    if not items:
        return {outer: "null"}
    return {outer: {inner: items[0] if len(items) == 1 else list(items)}}


def _terms(order: Order, *, late_price: bool) -> Json:
    body: Json = {"type": order.type, "symbol": order.symbol, "side": order.side}
    body |= {"quantity": number(order.quantity), "duration": order.duration}
    if order.price is not None:
        body["price"] = number(order.price)
    if order.stop is not None:
        body["stop_price"] = number(order.stop)
    body["avg_fill_price"] = None if late_price else number(order.average or 0)
    body["exec_quantity"] = number(order.executed)
    body["last_fill_price"] = number(order.last_price or 0)
    body["last_fill_quantity"] = number(order.last_quantity)
    body["remaining_quantity"] = number(order.remaining)
    if order.option_symbol:
        body["option_symbol"] = order.option_symbol
    return body


def render_order(exchange: Exchange, order: Order, *, with_tags: bool) -> Json:
    """Write an order as the list and the single look-up show it. A group's parent is sparse."""
    just_filled = exchange.real_s - order.filled_s < exchange.toggles.late_price_ms / 1000
    body: Json = {"id": order.id}
    if not order.is_group:
        body |= _terms(order, late_price=order.status is Status.FILLED and just_filled)
    body |= {
        "status": order.status.value,
        "create_date": iso_instant(order.created_at),
        "transaction_date": iso_instant(order.changed_at),
        "class": order.kind,
    }
    if order.reason:
        body["reason_description"] = order.reason
    if with_tags and order.parent_id is None and order.tag is not None:
        body["tag"] = None if exchange.toggles.null_tag and order.kind in GROUPS else order.tag
    if order.is_group:
        body["leg"] = [render_order(exchange, leg, with_tags=False) for leg in exchange.legs(order)]
    return body


def render_position(position: Position) -> Json:
    """Write a position; its cost in dollars, multiplier included."""
    return {
        "cost_basis": number(position.cost),
        "date_acquired": iso_instant(position.acquired_at),
        "id": position.id,
        "quantity": number(position.quantity),
        "symbol": position.symbol,
    }


def market_value(position: Position, quote: Quote | None) -> Decimal:
    """Value a position at the middle of the market; at 0 without a bid. Units: dollars."""
    if quote is None or quote.bid <= 0:
        return Decimal(0)
    multiplier = 100 if len(position.symbol) > 6 else 1
    return position.quantity * multiplier * (quote.bid + quote.ask) / 2


def position_values(exchange: Exchange, account: Account) -> dict[str, Decimal]:
    """Value every position of an account. Units: dollars."""
    return {
        symbol: market_value(position, exchange.quotes.quote(symbol)) for symbol, position in account.positions.items()
    }


def render_balances(exchange: Exchange, account: Account, reserved: Decimal) -> Json:
    """Write an account's money at this moment's marks."""
    values = position_values(exchange, account)
    option_long = sum((value for name, value in values.items() if len(name) > 6 and value > 0), Decimal(0))
    option_short = sum((value for name, value in values.items() if len(name) > 6 and value < 0), Decimal(0))
    stock_long = sum((value for name, value in values.items() if len(name) <= 6 and value > 0), Decimal(0))
    stock_short = sum((value for name, value in values.items() if len(name) <= 6 and value < 0), Decimal(0))
    total = sum(values.values(), Decimal(0))
    cost = sum((position.cost for position in account.positions.values()), Decimal(0))
    today = account.realized_today if account.realized_date == exchange.session_date else Decimal(0)
    power = account.cash - reserved
    requirement = abs(stock_short) / 2 + stock_long / 2
    figures: dict[str, Decimal] = {
        "option_short_value": option_short, "total_equity": account.cash + total, "close_pl": today,
        "current_requirement": requirement, "equity": account.cash + total,
        "long_market_value": option_long + stock_long,
        "market_value": total, "open_pl": total - cost, "option_long_value": option_long,
        "option_requirement": Decimal(0), "short_market_value": option_short + stock_short,
        "stock_long_value": stock_long, "total_cash": account.cash, "uncleared_funds": Decimal(0),
        "pending_cash": reserved,
    }  # fmt: skip
    body: Json = {name: cents_of(value) for name, value in figures.items()}
    waiting = [exchange.orders[one] for one in exchange.unfinished[account.id]]
    body |= {
        "account_number": account.id,
        "account_type": "margin",
        "pending_orders_count": sum(order.parent_id is None for order in waiting),
        "margin": {
            "fed_call": 0,
            "maintenance_call": 0,
            "option_buying_power": cents_of(power),
            "stock_buying_power": cents_of(power * 2),
            "stock_short_value": cents_of(stock_short),
            "sweep": 0,
        },
    }
    return {"balances": body}


def cents_of(value: Decimal) -> float:
    """Round dollars to the cent for an answer."""
    return float(round(value, 2))
