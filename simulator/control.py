"""The hand behind the scenes: prices, clock, faults, toggles, and the truth at the broker."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import wire
from simulator.book import Order
from simulator.edge import account_of
from simulator.events import Event, EventRefused, happen
from simulator.faults import KINDS, Fault
from simulator.feed import Pin, UnknownSymbol
from simulator.replay import BadRecording, Replay, read_bars
from simulator.world import World

Price = Annotated[Decimal, Field(ge=0, le=1_000_000)]


class Body(BaseModel):
    """What every control's body has in common: nothing unknown."""

    model_config = ConfigDict(extra="forbid")


class PriceBody(Body):
    """Pin one price."""

    symbol: str
    price: Price


class QuoteBody(Body):
    """Pin both sides."""

    symbol: str
    bid: Price
    ask: Price


class SymbolBody(Body):
    """Name a symbol."""

    symbol: str


class ClockBody(Body):
    """Set market time, its speed or the session."""

    now: datetime | None = None
    speed: Annotated[float, Field(ge=0, le=100_000)] | None = None
    session: Literal["open", "closed", "calendar"] | None = None


class MatchBody(Body):
    """Which requests a fault meets."""

    method: str | None = None
    path: str | None = None
    account: str | None = None


class FaultBody(Body):
    """A fault to come."""

    match: MatchBody = MatchBody()
    kind: str
    times: Annotated[int, Field(ge=1)] = 1
    delay_ms: Annotated[int, Field(ge=0)] | None = None
    quantity: Annotated[int, Field(ge=0)] | None = None


class ReplayBody(Body):
    """Recorded minute bars: the text itself or the path of a file."""

    symbol: str
    csv: str
    speed: Annotated[float, Field(gt=0, le=100_000)] = 1.0


class CashBody(Body):
    """Pay money in (or, below zero, out)."""

    account: str
    amount: Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000)]


def _answer(body: object, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")


def _wrong(words: str) -> Response:
    return _answer({"error": words}, 422)


def _pin(world: World, symbol: str, pin: Pin) -> Response:
    world.sync()
    underlying = world.feed.pin(symbol, pin)
    world.evaluate(underlying)
    world.store_price(symbol)
    world.commit()
    return _answer({"symbol": symbol, "bid": float(pin.bid), "ask": float(pin.ask)})


async def _price(world: World, request: Request) -> Response:
    body = PriceBody.model_validate_json(await request.body())
    return _pin(world, body.symbol, Pin(body.price, body.price, body.price))


async def _quote(world: World, request: Request) -> Response:
    body = QuoteBody.model_validate_json(await request.body())
    if body.ask < body.bid:
        return _wrong(f"ask must not be below bid {body.bid}, was {body.ask}")
    middle = ((body.bid + body.ask) / 2).quantize(Decimal("0.01"))
    return _pin(world, body.symbol, Pin(body.bid, body.ask, middle))


async def _release(world: World, request: Request) -> Response:
    body = SymbolBody.model_validate_json(await request.body())
    underlying = world.feed.release(body.symbol)
    world.store_price(body.symbol)
    world.sync()
    world.evaluate(underlying)
    world.commit()
    return _answer({"symbol": body.symbol})


async def _set_clock(world: World, request: Request) -> Response:
    body = ClockBody.model_validate_json(await request.body())
    now_s = None
    if body.now is not None:
        now_s = (body.now if body.now.tzinfo else body.now.replace(tzinfo=UTC)).timestamp()
    world.sync()
    clock = world.feed.clock.changed(time.time(), now_s=now_s, speed=body.speed, session=body.session)
    world.feed.clock = clock
    world.feed.forget_versions()
    world.store_clock()
    world.sync()
    return _tell_clock(world)


def _tell_clock(world: World) -> Response:
    state, _, _ = world.feed.clock.state(time.time())
    clock = world.feed.clock
    told = {"now": wire.iso_instant(world.feed.now()), "speed": clock.speed, "session": clock.session, "state": state}
    return _answer(told)


async def _clock(world: World, request: Request) -> Response:
    _ = request
    return _tell_clock(world)


async def _reset(world: World, request: Request) -> Response:
    _ = request
    world.reset()
    return _answer({"status": "ok"})


async def _faults(world: World, request: Request) -> Response:
    body = FaultBody.model_validate_json(await request.body())
    if body.kind not in KINDS:
        return _wrong(f"kind is one of {', '.join(sorted(KINDS))}")
    method = body.match.method.upper() if body.match.method else None
    path = re.compile(body.match.path) if body.match.path else None
    fault = Fault(body.kind, body.times, method, path, body.match.account, body.delay_ms, body.quantity)
    world.faults.waiting.append(fault)
    return _answer({"waiting": len(world.faults.waiting)})


async def _list_faults(world: World, request: Request) -> Response:
    _ = request
    waiting = [
        {"kind": one.kind, "times": one.times, "match": {
            "method": one.method, "path": one.path.pattern if one.path else None, "account": one.account}}
        for one in world.faults.waiting
    ]  # fmt: skip
    return _answer(waiting)


async def _clear_faults(world: World, request: Request) -> Response:
    _ = request
    world.faults.waiting.clear()
    return _answer([])


async def _set_toggles(world: World, request: Request) -> Response:
    changes = orjson.loads(await request.body() or b"{}")
    if not isinstance(changes, dict):
        return _wrong("an object of toggles is wanted")
    world.set_toggles(changes)
    world.store_toggles()
    return _answer(world.toggles.model_dump())


async def _toggles(world: World, request: Request) -> Response:
    _ = request
    return _answer(world.toggles.model_dump())


async def _events(world: World, request: Request) -> Response:
    event = Event.model_validate_json(await request.body())
    world.sync()
    answer = happen(world, event)
    world.commit()
    return _answer(answer)


async def _replay(world: World, request: Request) -> Response:
    body = ReplayBody.model_validate_json(await request.body())
    text = body.csv
    if "\n" not in text:
        text = await asyncio.to_thread(Path(text).read_text, "utf-8")
    replay = Replay(read_bars(text), world.feed.clock.second(time.time()), body.speed)
    world.feed.replay(body.symbol, replay)
    world.store_replay(body.symbol, replay)
    world.sync()
    return _answer({"symbol": body.symbol, "bars": len(replay.prices) // 4})


def _number(value: Decimal | None) -> float | None:
    return None if value is None else float(value)


def truth(world: World, order: Order) -> dict[str, Any]:
    """Word an order as it really is at the broker."""
    return {
        "account": order.account,
        "id": order.id,
        "class": order.kind,
        "status": order.status.value,
        "tag": order.tag,
        "symbol": order.symbol or None,
        "option_symbol": order.option_symbol,
        "side": order.side or None,
        "type": order.type or None,
        "price": _number(order.price),
        "stop": _number(order.stop),
        "quantity": order.quantity,
        "exec_quantity": order.executed,
        "avg_fill_price": _number(order.average),
        "reason": order.reason,
        "duration": order.duration or None,
        "create_date": wire.iso_instant(order.created_at),
        "transaction_date": wire.iso_instant(order.changed_at),
        "leg": [truth(world, leg) for leg in world.exchange.legs(order)] if order.is_group else [],
    }


async def _orders(world: World, request: Request) -> Response:
    world.sync()
    wanted = request.query_params.get("account")
    tops = (order for order in world.exchange.orders.values() if order.parent_id is None)
    return _answer([truth(world, order) for order in tops if wanted in (None, order.account)])


async def _requests(world: World, request: Request) -> Response:
    wanted = request.query_params.get("account")
    rows = [
        {"time": one.at.isoformat(), "method": one.method, "path": one.path, "token_hash": one.token_hash,
         "account": one.account}
        for one in world.requests
        if wanted in (None, one.account)
    ]  # fmt: skip
    return _answer(rows)


async def _cash(world: World, request: Request) -> Response:
    world.sync()
    wanted = request.query_params.get("account")
    rows = []
    for account in world.exchange.accounts.values():
        if wanted not in (None, account.id):
            continue
        values = wire.position_values(world.exchange, account)
        rows.append({
            "account": account.id,
            "cash": float(account.cash),
            "deposited": float(account.deposited),
            "position_value": float(sum(values.values(), Decimal(0))),
            "realized": float(account.realized),
            "positions": {name: held.quantity for name, held in account.positions.items()},
        })  # fmt: skip
    return _answer(rows)


async def _pay(world: World, request: Request) -> Response:
    body = CashBody.model_validate_json(await request.body())
    world.sync()
    account = world.exchange.account(body.account)
    account.cash += body.amount
    account.deposited += body.amount
    world.exchange.changed_accounts.add(account.id)
    world.commit()
    return _answer({"account": account.id, "cash": float(account.cash)})


async def _whose(world: World, request: Request) -> Response:
    _ = world
    return _answer({"account": account_of(request.query_params.get("token", ""))})


Control = Callable[[World, Request], Awaitable[Response]]


def routes(world: World) -> list[Route]:
    """List the controls."""

    def guarded(control: Control) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            try:
                return await control(world, request)
            except UnknownSymbol as error:
                return _wrong(f"unknown symbol {error.args[0]}")
            except ValidationError as error:
                return _answer({"error": error.errors(include_url=False, include_context=False, include_input=False)}, 422)
            except (EventRefused, BadRecording, re.error, OSError, orjson.JSONDecodeError) as error:
                return _wrong(str(error))

        return answer

    table: tuple[tuple[str, str, Control], ...] = (
        ("POST", "price", _price), ("POST", "quote", _quote), ("POST", "release", _release),
        ("POST", "clock", _set_clock), ("GET", "clock", _clock), ("POST", "reset", _reset),
        ("POST", "faults", _faults), ("GET", "faults", _list_faults), ("DELETE", "faults", _clear_faults),
        ("POST", "toggles", _set_toggles), ("GET", "toggles", _toggles), ("POST", "events", _events),
        ("POST", "replay", _replay), ("GET", "orders", _orders), ("GET", "requests", _requests),
        ("GET", "cash", _cash), ("POST", "cash", _pay), ("GET", "account", _whose),
    )  # fmt: skip
    return [Route(f"/_control/{path}", guarded(control), methods=[method]) for method, path, control in table]
