"""The hand behind the scenes: prices, clock, faults, toggles, and the truth at the broker."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from simulator import truth, wire
from simulator.edge import account_of
from simulator.events import Event, EventRefused, happen
from simulator.faults import KINDS, Fault
from simulator.feed import Pin, UnknownSymbol
from simulator.replay import BadRecording, Replay, read_bars
from simulator.truth import answer
from simulator.universe import TICKERS
from simulator.world import World

Price = Annotated[Decimal, Field(ge=0, le=1_000_000, decimal_places=2)]


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


def _wrong(words: str) -> Response:
    return answer({"error": words}, 422)


def _pin(world: World, symbol: str, pin: Pin) -> Response:
    if symbol in TICKERS and pin.price <= 0:
        return _wrong(f"the price of an underlying must be above 0, was {pin.price}")
    world.sync(budget_s=0)
    underlying = world.feed.pin(symbol, pin)
    world.evaluate(underlying)
    world.store_price(symbol)
    world.commit()
    return answer({"symbol": symbol, "bid": float(pin.bid), "ask": float(pin.ask)})


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
    world.sync(budget_s=0)
    world.evaluate(underlying)
    world.commit()
    return answer({"symbol": body.symbol})


async def _set_clock(world: World, request: Request) -> Response:
    body = ClockBody.model_validate_json(await request.body())
    now_s = None
    if body.now is not None:
        now_s = (body.now if body.now.tzinfo else body.now.replace(tzinfo=UTC)).timestamp()
    world.sync()
    clock = world.feed.clock.changed(time.time(), now_s=now_s, speed=body.speed, session=body.session)
    world.set_clock(clock)
    return _tell_clock(world)


def _tell_clock(world: World) -> Response:
    state, _, _ = world.feed.clock.state(time.time())
    clock = world.feed.clock
    told = {"now": wire.iso_instant(world.feed.now()), "speed": clock.speed, "session": clock.session, "state": state}
    return answer(told)


async def _clock(world: World, request: Request) -> Response:
    _ = request
    return _tell_clock(world)


async def _reset(world: World, request: Request) -> Response:
    _ = request
    world.reset()
    return answer({"status": "ok"})


async def _faults(world: World, request: Request) -> Response:
    body = FaultBody.model_validate_json(await request.body())
    if body.kind not in KINDS:
        return _wrong(f"kind is one of {', '.join(sorted(KINDS))}")
    method = body.match.method.upper() if body.match.method else None
    path = re.compile(body.match.path) if body.match.path else None
    fault = Fault(body.kind, body.times, method, path, body.match.account, body.delay_ms, body.quantity)
    world.faults.waiting.append(fault)
    return answer({"waiting": len(world.faults.waiting)})


async def _list_faults(world: World, request: Request) -> Response:
    _ = request
    waiting = [
        {"kind": one.kind, "times": one.times, "match": {
            "method": one.method, "path": one.path.pattern if one.path else None, "account": one.account}}
        for one in world.faults.waiting
    ]  # fmt: skip
    return answer(waiting)


async def _clear_faults(world: World, request: Request) -> Response:
    account = request.query_params.get("account")
    world.faults.waiting = [one for one in world.faults.waiting if account not in (None, one.account)]
    return answer([])


async def _set_toggles(world: World, request: Request) -> Response:
    changes = orjson.loads(await request.body() or b"{}")
    if not isinstance(changes, dict):
        return _wrong("an object of toggles is wanted")
    world.set_toggles(changes)
    world.store_toggles()
    return answer(world.toggles.model_dump())


async def _toggles(world: World, request: Request) -> Response:
    _ = request
    return answer(world.toggles.model_dump())


async def _events(world: World, request: Request) -> Response:
    event = Event.model_validate_json(await request.body())
    world.sync(budget_s=0)
    happened = happen(world, event)
    world.commit()
    return answer(happened)


async def _replay(world: World, request: Request) -> Response:
    body = ReplayBody.model_validate_json(await request.body())
    text = body.csv
    if "\n" not in text:
        text = await asyncio.to_thread(Path(text).read_text, "utf-8")
    replay = Replay(read_bars(text), world.feed.clock.second(time.time()), body.speed)
    world.feed.replay(body.symbol, replay)
    world.store_replay(body.symbol, replay)
    world.sync()
    return answer({"symbol": body.symbol, "bars": len(replay.prices) // 4})


async def _pay(world: World, request: Request) -> Response:
    body = CashBody.model_validate_json(await request.body())
    world.sync()
    account = world.exchange.account(body.account)
    account.cash += body.amount
    account.deposited += body.amount
    world.exchange.changed_accounts.add(account.id)
    world.commit()
    return answer({"account": account.id, "cash": float(account.cash)})


async def _whose(world: World, request: Request) -> Response:
    _ = world
    return answer({"account": account_of(request.query_params.get("token", ""))})


Control = Callable[[World, Request], Awaitable[Response]]


def routes(world: World) -> list[Route]:
    """List the controls."""

    def guarded(control: Control) -> Callable[[Request], Awaitable[Response]]:
        async def guard(request: Request) -> Response:
            try:
                return await control(world, request)
            except UnknownSymbol as error:
                return _wrong(f"unknown symbol {error.args[0]}")
            except ValidationError as error:
                return answer(
                    {"error": error.errors(include_url=False, include_context=False, include_input=False)}, 422
                )
            except (EventRefused, BadRecording, re.error, OSError, orjson.JSONDecodeError) as error:
                return _wrong(str(error))

        return guard

    table: tuple[tuple[str, str, Control], ...] = (
        ("POST", "price", _price), ("POST", "quote", _quote), ("POST", "release", _release),
        ("POST", "clock", _set_clock), ("GET", "clock", _clock), ("POST", "reset", _reset),
        ("POST", "faults", _faults), ("GET", "faults", _list_faults), ("DELETE", "faults", _clear_faults),
        ("POST", "toggles", _set_toggles), ("GET", "toggles", _toggles), ("POST", "events", _events),
        ("POST", "replay", _replay), ("GET", "orders", truth.orders), ("GET", "requests", truth.requests),
        ("GET", "cash", truth.cash), ("POST", "cash", _pay), ("GET", "account", _whose),
    )  # fmt: skip
    return [Route(f"/_control/{path}", guarded(control), methods=[method]) for method, path, control in table]
