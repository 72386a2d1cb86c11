"""How soon 200 browsers see what happened: a fact stored on the bus, and a mark that pricing publishes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import urlsplit

import httpx

from libs.common.bus import Bus
from libs.common.ids import new_id
from libs.common.messages.base import Envelope
from libs.common.messages.orders import TradeChanged
from libs.common.messages.pricing import Mark, Marks
from libs.common.streams import Streams
from libs.common.testing import eventually
from tests.bench.report import Line, Report, percentile
from tests.bench.secrets_of import environment_of
from tests.journey.stack import Stack
from tests.journey.trader import WIDE

USERS, FEEDS_EACH, ROUNDS = 10, 20, 30
PASSWORD = "correct horse battery staple"
SETTLE_S = 30.0


@dataclass
class Feed:
    """One open live feed and when each event of interest came."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    came_at: dict[str, list[float]] = field(default_factory=lambda: {"trade_changed": [], "prices": []})

    async def follow(self) -> None:
        """Note the time of each event until the feed ends."""
        while line := await self.reader.readline():
            name = line.strip().removeprefix(b"event: ").decode(errors="replace")
            if name in self.came_at:
                self.came_at[name].append(time.perf_counter())


@dataclass(frozen=True)
class Person:
    """A user with a session and one open trade."""

    name: str
    cookie: str
    trade: dict[str, object]


async def measure(stack: Stack, report: Report) -> None:
    """Open 200 feeds, then say facts and marks and see when they come."""
    async with httpx.AsyncClient(base_url=stack.gateway_url, timeout=30) as http:
        body = await _order(http)
        people = [await _person(http, body) for _ in range(USERS)]
    async with _feeds(stack, people) as feeds, _bus(stack, "orders") as orders, _bus(stack, "pricing") as pricing:
        acks, facts = await _facts(orders, people, feeds)
        what = "the bus's own acknowledgement"
        p99 = 1000 * percentile(facts, 0.99)
        report.add(Line("feed: fact to browser, p50", 1000 * percentile(facts, 0.5), "ms"))
        report.add(Line("feed: fact to browser, p99", p99, "ms", 1000 * percentile(acks, 0.99), what, "<= 100 ms"))
        marks = await _marks(pricing, people, feeds)
        report.add(Line("feed: snapshot to browser, p50", 1000 * percentile(marks, 0.5), "ms"))
        report.add(Line("feed: snapshot to browser, p99", 1000 * percentile(marks, 0.99), "ms", target="<= 100 ms"))


async def _facts(bus: Bus, people: list[Person], feeds: list[Feed]) -> tuple[list[float], list[float]]:
    """Say one fact to each user, round by round; return how long acknowledgements and arrivals took."""
    streams = Streams(bus, service="orders")
    acks, took = [], []
    for _ in range(ROUNDS):
        counts = [len(feed.came_at["trade_changed"]) for feed in feeds]
        began = time.perf_counter()
        for person in people:
            fact = TradeChanged.model_validate({**person.trade, "trade_id": person.trade["id"]}, extra="ignore")
            envelope = Envelope(
                id=new_id(), user=person.name, key=fact.key, occurred_at=datetime.now(UTC), correlation_id=new_id()
            )
            said = time.perf_counter()
            await streams.publish(TradeChanged.subject(person.name), envelope.encode(fact), envelope.id)
            acks.append(time.perf_counter() - said)
        await _all_came(feeds, "trade_changed", counts)
        took += [feed.came_at["trade_changed"][-1] - began for feed in feeds]
    return acks, took


async def _marks(bus: Bus, people: list[Person], feeds: list[Feed]) -> list[float]:
    """Publish the contract's mark, which all users hold; return how long its price took to each browser."""
    occ, ticker = str(people[0].trade["occ_symbol"]), str(people[0].trade["ticker"])
    took = []
    for number in range(ROUNDS):
        counts = [len(feed.came_at["prices"]) for feed in feeds]
        price, now = Decimal(5) + Decimal(number) / 100, datetime.now(UTC)
        mark = Mark(occ_symbol=occ, bid=price, ask=price, mark=price, quoted_at=now)
        marks = Marks(ticker=ticker, underlying_price=None, source="bench", as_of=now, marks=(mark,))
        began = time.perf_counter()
        await bus.tick(marks, ticker)
        await _all_came(feeds, "prices", counts)
        took += [feed.came_at["prices"][counts[at]] - began for at, feed in enumerate(feeds)]
    return took


async def _all_came(feeds: list[Feed], name: str, counts: list[int]) -> None:
    def all_came() -> bool:
        return all(len(feed.came_at[name]) > count for feed, count in zip(feeds, counts, strict=True))

    await eventually(all_came, within_s=SETTLE_S)


@asynccontextmanager
async def _feeds(stack: Stack, people: list[Person]) -> AsyncIterator[list[Feed]]:
    address = urlsplit(stack.gateway_url)
    feeds = []
    async with asyncio.TaskGroup() as tasks:
        for person in people:
            for _ in range(FEEDS_EACH):
                reader, writer = await asyncio.open_connection(address.hostname, address.port)
                cookie = f"Cookie: bookend_session={person.cookie}"
                writer.write(f"GET /api/stream HTTP/1.1\r\nHost: {address.netloc}\r\n{cookie}\r\n\r\n".encode())
                head = await reader.readuntil(b"\r\n\r\n")
                if b" 200 " not in head.splitlines()[0]:
                    raise RuntimeError(head.decode())
                feeds.append(Feed(reader, writer))
        following = [tasks.create_task(feed.follow()) for feed in feeds]
        try:
            yield feeds
        finally:
            for task in following:
                task.cancel()
            for feed in feeds:
                feed.writer.close()


@asynccontextmanager
async def _bus(stack: Stack, service: str) -> AsyncIterator[Bus]:
    environment = environment_of(stack, service)
    bus = Bus(environment["NATS_URL"], name=service, password=environment[f"{service.upper()}_NATS_PASSWORD"])
    await bus.connect()
    try:
        yield bus
    finally:
        await bus.close()


async def _order(http: httpx.AsyncClient) -> dict[str, object]:
    """Choose a call near the money with exits far away."""
    http.headers["Cookie"] = f"bookend_session={await _join(http, f'bench{new_id()[-8:]}')}"
    expiry = (await http.get("/api/market/expirations/SPY")).json()["expirations"][4]
    chain = (await http.get("/api/market/chain/SPY", params={"expiry": expiry})).json()
    del http.headers["Cookie"]
    calls = [one for one in chain["options"] if one["option_type"] == "CALL" and one["ask"]]
    near = min(calls, key=lambda one: abs(Decimal(str(one["strike"])) - Decimal(str(chain["underlying_price"]))))
    ask = Decimal(str(near["ask"]))
    return {
        "ticker": "SPY",
        "option_type": "CALL",
        "strike": str(near["strike"]),
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "market"},
        "sl_price": str(round(ask / 10, 1)),
        "tp_price": str(round(ask * 9, 1)),
    }


async def _join(http: httpx.AsyncClient, name: str) -> str:
    answer = await http.post("/api/auth/register", json={"username": name, "password": PASSWORD})
    answer.raise_for_status()
    cookie = answer.cookies["bookend_session"]
    http.cookies.clear()
    return cookie


async def _person(http: httpx.AsyncClient, body: dict[str, object]) -> Person:
    name = f"bench{new_id()[-8:]}"
    cookie = await _join(http, name)
    headers = {"Cookie": f"bookend_session={cookie}", "X-Bookend": "1"}
    (await http.put("/api/settings", json=WIDE, headers=headers)).raise_for_status()
    placed = await http.post("/api/trades", json=body, headers={**headers, "Idempotency-Key": new_id()})
    placed.raise_for_status()
    return Person(name, cookie, placed.json())
