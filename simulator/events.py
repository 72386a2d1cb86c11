"""Things that happen at a broker without the customer's program."""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from simulator import settlement
from simulator.book import GROUPS, Order, Status
from simulator.rules import Leg, Ticket
from simulator.universe import parse_occ
from simulator.world import World

Answer = dict[str, Any]
Kind = Literal[
    "manual_order", "manual_cancel", "double_fill", "fill", "exercise", "broker_liquidation", "corporate_action", "wipe"
]


class EventRefused(ValueError):
    """The event makes no sense for this account."""


class Event(BaseModel):
    """One event; which fields it needs depends on its kind."""

    model_config = ConfigDict(extra="forbid")

    kind: Kind
    account: str
    order_id: int | None = None
    option_symbol: str | None = None
    side: Literal["buy_to_open", "buy_to_close", "sell_to_open", "sell_to_close"] | None = None
    quantity: Annotated[int, Field(ge=1)] | None = None
    type: Literal["market", "limit", "stop"] = "market"
    price: Annotated[Decimal, Field(gt=0)] | None = None


def _order(world: World, event: Event) -> Order:
    order = world.exchange.orders.get(event.order_id or 0)
    if order is None or order.account != event.account:
        raise EventRefused(f"{event.account} has no order {event.order_id}")
    return order


def _symbol(event: Event) -> str:
    if event.option_symbol is None or parse_occ(event.option_symbol) is None:
        raise EventRefused(f"{event.kind} needs an option_symbol, got {event.option_symbol}")
    return event.option_symbol


def _manual_order(world: World, event: Event) -> Answer:
    symbol = _symbol(event)
    contract = parse_occ(symbol)
    if contract is None or event.side is None or event.quantity is None:
        raise EventRefused("manual_order needs option_symbol, side and quantity")
    if event.type != "market" and event.price is None:
        raise EventRefused(f"a {event.type} order needs a price")
    limit, stop = (event.price if event.type == kind else None for kind in ("limit", "stop"))
    leg = Leg(contract.underlying, symbol, event.side, event.quantity, event.type, "day", limit, stop)
    order = world.exchange.place(event.account, Ticket("option", None, (leg,)))
    return {"order_id": order.id, "status": order.status}


def _manual_cancel(world: World, event: Event) -> Answer:
    top = world.exchange.top(_order(world, event))
    world.exchange.finish(top, Status.CANCELED)
    return {"order_id": top.id, "status": top.status}


def _double_fill(world: World, event: Event) -> Answer:
    top = world.exchange.top(_order(world, event))
    if top.kind not in GROUPS:
        raise EventRefused(f"order {top.id} is not a group, it is of class {top.kind}")
    settlement.fill_every_leg(world.exchange, top)
    return {"order_id": top.id, "status": top.status}


def _fill(world: World, event: Event) -> Answer:
    """Execute what a fault or the market holds back, at the order's price or the one given."""
    order = _order(world, event)
    quote = world.feed.quote(order.security)
    price = event.price or order.price or (quote and (quote.bid if order.is_sell else quote.ask))
    if order.is_group or order.remaining == 0 or not price:
        raise EventRefused(f"order {order.id} cannot execute, it is {order.status}")
    order.held, order.cap = False, None
    world.exchange.fill(order, min(event.quantity or order.remaining, order.remaining), price)
    return {"order_id": order.id, "status": order.status}


def _exercise(world: World, event: Event) -> Answer:
    symbol = _symbol(event)
    exchange = world.exchange
    account = exchange.account(event.account)
    position, contract = account.positions.get(symbol), parse_occ(symbol)
    # Only who is long may exercise; a short one waits to be assigned.
    if position is None or position.quantity <= 0 or contract is None:
        raise EventRefused(f"{event.account} is not long {symbol}")
    settlement.cancel_all_of(exchange, account.id, symbol)
    quantity = min(event.quantity or position.quantity, position.quantity)
    price = exchange.quotes.official_price(contract.underlying, exchange.now)
    settlement.exercise(exchange, account, position, contract, quantity=quantity, price=price)
    return {"account": account.id, "positions": {name: held.quantity for name, held in account.positions.items()}}


def _liquidation(world: World, event: Event) -> Answer:
    account = world.exchange.account(event.account)
    symbols = [_symbol(event)] if event.option_symbol else [s for s in account.positions if parse_occ(s)]
    orders = []
    for symbol in symbols:
        position = account.positions.get(symbol)
        if position is None or position.quantity <= 0:
            raise EventRefused(f"{event.account} is not long {symbol}")
        quantity = min(event.quantity or position.quantity, position.quantity)
        orders.append(settlement.liquidate(world.exchange, account.id, symbol, quantity).id)
    return {"order_ids": orders}


def _corporate_action(world: World, event: Event) -> Answer:
    successor = settlement.adjust_contract(world.exchange, _symbol(event), event.account)
    return {"option_symbol": successor}


def _wipe(world: World, event: Event) -> Answer:
    gone = settlement.wipe(world.exchange, event.account)
    world.journal.remove("order", map(str, gone))
    world.journal.forget(event.account)
    world.served_lists.pop(event.account, None)
    return {"account": event.account, "orders_removed": len(gone)}


_KINDS: dict[str, Callable[[World, Event], Answer]] = {
    "manual_order": _manual_order,
    "manual_cancel": _manual_cancel,
    "double_fill": _double_fill,
    "fill": _fill,
    "exercise": _exercise,
    "broker_liquidation": _liquidation,
    "corporate_action": _corporate_action,
    "wipe": _wipe,
}


def happen(world: World, event: Event) -> Answer:
    """Let an event happen. Raises: EventRefused."""
    return _KINDS[event.kind](world, event)
