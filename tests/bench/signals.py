"""Signals: from publishing to the entry's sending, a burst of many users', and a thousand bots at the door."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import nats
import orjson
import psutil
from nats.aio.client import Client

from libs.common.messages import bots
from libs.common.testing import eventually
from tests.bench.report import Line, Report, percentile
from tests.journey.stack import Stack
from tests.journey.trader import Json, Trader

ONE_BY_ONE, USERS, EACH, PLACED_EACH, BOTS = 16, 50, 20, 2, 1000
WIDE = {"max_positions": 500, "account_balance": "100000", "daily_loss_limit": "90000", "heat_limit_pct": "100"}
BOT = "scanner"
DOOR_AT_ONCE = 50

_SENT = """
select extract(epoch from o.sent_at)::float8 as sent from orders.broker_orders o
join orders.signals s on s.trade_id = o.trade_id where s.signal_id = $1 and o.role = 'ENTRY'
"""
_SENT_BY_HAND = """
select extract(epoch from sent_at)::float8 from orders.broker_orders where trade_id = $1 and role = 'ENTRY'
"""
_COUNT = """
select count(*) filter (where state in ('accepted', 'pending')) as well, count(*) as stored,
    count(distinct trade_id) as trades,
    (select count(*) from orders.trades where idempotency_key like 'sig.%') as all_trades
from orders.signals where signal_id = any($1)
"""


@dataclass
class Publisher:
    """One user's bot: when it published, and when it heard the first outcome of each signal."""

    trader: Trader
    key: str
    client: Client
    published: dict[str, float] = field(default_factory=dict)
    heard: dict[str, float] = field(default_factory=dict)

    async def publish(self, body: Json) -> str:
        """Publish a signal and wait for the ack."""
        name = uuid.uuid4().hex
        expires_at = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
        raw = orjson.dumps({**body, "v": 1, "signal_id": name, "expires_at": expires_at})
        self.published[name] = time.time()
        ack = orjson.loads((await self.client.request(f"signals.{self.trader.name}.{BOT}", raw, timeout=30)).data)
        assert "error" not in ack, ack
        return name


async def measure(stack: Stack, report: Report) -> None:
    """Publish one by one, all at once, and let many bots in."""
    status = stack.status()
    database = await asyncpg.connect(status["database_url"])
    address = f"nats://127.0.0.1:{urlsplit(status['nats_url']).port}"
    try:
        with _people(stack) as people:
            bodies = _bodies(people[0][0])
            async with _publishers(people, address) as publishers:
                await _one_by_one(publishers[0], bodies, database, report)
                await _burst(publishers, bodies, EACH, "queued for approval", database, report)
                for trader, _ in people:
                    trader.ok("PUT", "/api/settings", {"signal_mode": "auto"})
                await _burst(publishers[1:], bodies, PLACED_EACH, "placed", database, report)
            await _at_the_door(people, address, status, report)
    finally:
        await database.close()


@contextmanager
def _people(stack: Stack) -> Iterator[list[tuple[Trader, str]]]:
    with ExitStack() as kept:
        people = []
        for _ in range(USERS):
            trader = kept.enter_context(Trader(stack.gateway_url))
            trader.ok("PUT", "/api/settings", WIDE)
            made = trader.ok("POST", "/api/keys", {"name": BOT, "scopes": ["signal"]})
            people.append((trader, made["secret"]))
        yield people


def _bodies(trader: Trader) -> list[Json]:
    kinds = [(kind, expiry) for kind in ("CALL", "PUT") for expiry in (3, 4, 5)]
    return [trader.body(trader.contract("SPY", nth, kind, expiry)) for kind, expiry in kinds for nth in range(8)]


@asynccontextmanager
async def _publishers(people: list[tuple[Trader, str]], address: str) -> AsyncIterator[list[Publisher]]:
    made = []
    for trader, key in people:
        inbox = bots.inbox(trader.name, BOT).encode()
        client = await nats.connect(address, user=f"{trader.name}.{BOT}", password=key, inbox_prefix=inbox)
        publisher = Publisher(trader, key, client)
        made.append(publisher)
        for subject in bots.heard(trader.name, BOT)[1:]:
            await client.subscribe(subject, cb=_noting(publisher))
        await client.flush()
    yield made
    for publisher in made:
        await publisher.client.close()


def _noting(publisher: Publisher) -> Any:
    async def note(message: Any) -> None:
        name = orjson.loads(message.data)["data"]["signal_id"]
        publisher.heard.setdefault(name, time.time())

    return note


async def _one_by_one(one: Publisher, bodies: list[Json], database: asyncpg.Connection, report: Report) -> None:
    one.trader.ok("PUT", "/api/settings", {"signal_mode": "auto"})
    to_sent, bare = [], []
    for body in bodies[:ONE_BY_ONE]:
        name = await one.publish(body)
        await _until_heard([one], len(one.published))
        row = await database.fetchrow(_SENT, name)
        assert row is not None
        to_sent.append(1000 * (row["sent"] - one.published[name]))
    # The same placement by a person, from the request to its sending: what the checks and the preview take of it.
    for body in bodies[ONE_BY_ONE : 2 * ONE_BY_ONE]:
        began = time.time()
        trade = one.trader.place(body)
        sent = await database.fetchval(_SENT_BY_HAND, trade["id"])
        bare.append(1000 * (sent - began))
    ours, theirs = percentile(to_sent, 0.5), percentile(bare, 0.5)
    report.add(Line("signal published to entry sent, p50", ours, "ms", theirs, "a person's request to entry sent"))
    report.add(Line("  on top of checks and preview", ours - theirs, "ms", target="<= 30 ms"))
    one.trader.ok("PUT", "/api/settings", {"signal_mode": "review"})


async def _burst(
    publishers: list[Publisher],
    bodies: list[Json],
    each: int,
    outcome: str,
    database: asyncpg.Connection,
    report: Report,
) -> None:
    for publisher in publishers:
        publisher.published.clear()
        publisher.heard.clear()
    before = await database.fetchval("select count(*) from orders.trades where idempotency_key like 'sig.%'")
    began = time.time()
    await asyncio.gather(*(one.publish(body) for one in publishers for body in bodies[:each]))
    acked_s = time.time() - began
    await _until_heard(publishers, each)
    names = [name for one in publishers for name in one.published]
    row = await database.fetchrow(_COUNT, names)
    assert row is not None
    assert row["stored"] == len(names), "some were lost"
    made = row["all_trades"] - before
    assert made == row["trades"], "some were placed twice"
    times = [1000 * (one.heard[name] - one.published[name]) for one in publishers for name in one.published]
    what = f"{len(names)} signals of {len(publishers)} users at once"
    report.add(Line(f"{what}: all acknowledged", 1000 * acked_s, "ms"))
    report.add(Line(f"{what}: {outcome}, p50", percentile(times, 0.5), "ms"))
    report.add(Line(f"{what}: {outcome}, p99", percentile(times, 0.99), "ms"))
    report.add(Line(f"{what}: refused", len(names) - row["well"], ""))


async def _until_heard(publishers: list[Publisher], each: int) -> None:
    async def is_heard() -> bool:
        return all(len(one.heard) >= each for one in publishers)

    await eventually(is_heard, within_s=120)


async def _at_the_door(people: list[tuple[Trader, str]], address: str, status: Json, report: Report) -> None:
    server, gateway = (psutil.Process(status["services"][name]["pid"]) for name in ("nats", "gateway"))
    before = [one.memory_info().rss for one in (server, gateway)]
    slots, took, writers = asyncio.Semaphore(DOOR_AT_ONCE), [], []

    async def come(number: int) -> None:
        trader, key = people[number % len(people)]
        async with slots:
            began = time.perf_counter()
            writers.append(await _let_in(address, f"{trader.name}.bot{number}", key))
            took.append(1000 * (time.perf_counter() - began))

    began = time.perf_counter()
    await asyncio.gather(*(come(number) for number in range(BOTS)))
    total_s = time.perf_counter() - began
    grown = [(one.memory_info().rss - was) / 2**20 for one, was in zip((server, gateway), before, strict=True)]
    report.add(Line(f"{BOTS} bots let in, {DOOR_AT_ONCE} at a time: each, p50", percentile(took, 0.5), "ms"))
    report.add(Line(f"{BOTS} bots let in, {DOOR_AT_ONCE} at a time: each, p99", percentile(took, 0.99), "ms"))
    report.add(Line(f"{BOTS} bots let in: all", total_s, "s"))
    report.add(Line(f"{BOTS} bots connected: nats-server grew by", grown[0], "MB", target="<= 64 MB"))
    report.add(Line(f"{BOTS} bots connected: gateway grew by", grown[1], "MB", target="<= 32 MB"))
    for writer in writers:
        writer.close()


async def _let_in(address: str, name: str, key: str) -> asyncio.StreamWriter:
    """Come in by hand, knocking again when the door was too slow, as a library does."""
    for _ in range(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(address).port)
        await reader.readline()
        login = orjson.dumps({"user": name, "pass": key, "verbose": False, "lang": "bench", "version": "1"})
        writer.write(b"CONNECT " + login + b"\r\nPING\r\n")
        if (await reader.readline()).startswith(b"PONG"):
            return writer
        writer.close()
    message = f"{name} was not let in"
    raise AssertionError(message)
