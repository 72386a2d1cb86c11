"""What every service stored, what it told, and what the others made of it: counted, so that nothing is lost or doubled.

1. Every fact of every outbox is on EVENTS exactly once, by its id, and nothing else is there.
2. Every durable has read everything and acknowledged it.
3. Whoever must know a fact knows it: newest versions where versions count, one line and one outcome where each counts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import nats
import nats.errors
import orjson
from nats.js.api import ConsumerConfig, DeliverPolicy

from libs.common.messages.base import SYSTEM_USER
from libs.common.messages.durables import DURABLES, EVENTS, SERVICES
from libs.common.messages.orders import TRADE_FACTS
from tests.journey.stack import Stack
from tests.journey.trader import eventually

NOTED = frozenset({"trade_closed", "trade_rejected", "trade_unprotected", "trade_unknown"})
OVER = frozenset({"trade_closed", "trade_rejected", "trade_changed"})
OF_TRADES = frozenset(kind.topic for kind in TRADE_FACTS)


@dataclass(frozen=True)
class Told:
    """One row of an outbox."""

    fact_id: str
    subject: str
    user: str
    topic: str
    key: str
    key_version: int | None
    published_at: datetime | None
    data: str


@dataclass(frozen=True)
class Books:
    """Everything at one moment. `on_stream`: how often each message id is there."""

    told: dict[str, Told]
    on_stream: Counter[str]
    unread: dict[str, int]
    latest: dict[tuple[str, str, str], int]
    lines: dict[tuple[str, str], str]
    seen: frozenset[tuple[str, str]]
    outcomes: dict[str, dict[str, Any]]
    closed: dict[str, dict[str, Any]]

    def wrong(self) -> list[str]:
        """List what does not add up; empty when everything does."""
        return [*self._stream(), *self._newest(), *self._lines(), *self._outcomes()]

    def _stream(self) -> list[str]:
        wrong = [f"not published: {one.subject}" for one in self.told.values() if one.published_at is None]
        wrong += [f"{self.on_stream[one]} times on the stream: {told.subject}" for one, told in self.told.items()
                  if self.on_stream[one] != 1]  # fmt: skip
        wrong += [f"nobody told {one}" for one in self.on_stream if one not in self.told]
        return wrong + [f"{durable} has not read {count}" for durable, count in self.unread.items() if count]

    def _newest(self) -> list[str]:
        """Compare versions known with versions told, consumer by consumer."""
        wanted: dict[tuple[str, str, str], int] = {}
        for fact in self.told.values():
            for durable, topics in (
                ("orders-broker", {"order_changed"}),
                ("monitor-orders", OF_TRADES),
                ("pricing-orders", OF_TRADES),
                ("forensics-orders", OVER),
            ):
                if fact.topic in topics and fact.user != SYSTEM_USER:
                    place = (durable, fact.user, fact.key)
                    wanted[place] = max(wanted.get(place, 0), fact.key_version or 0)
        return [f"{place} is at {self.latest.get(place)}, told was {version}"
                for place, version in wanted.items() if self.latest.get(place) != version]  # fmt: skip

    def _lines(self) -> list[str]:
        """Every fact a person hears of was taken in once, and made its one line."""
        wrong = []
        for fact in self.told.values():
            if fact.topic not in NOTED:
                continue
            if ("gateway-orders", fact.fact_id) not in self.seen:
                wrong.append(f"the inbox never saw {fact.subject} {fact.fact_id}")
            once = fact.topic in {"trade_closed", "trade_rejected"}
            cause = f"trade:{fact.key}:{fact.topic}" + ("" if once else f":{fact.key_version}")
            if (fact.user, cause) not in self.lines:
                wrong.append(f"no line for {cause}")
        return wrong

    def _outcomes(self) -> list[str]:
        wrong = [f"{trade} has no outcome" for trade in self.closed if trade not in self.outcomes]
        for trade, outcome in self.outcomes.items():
            closed = self.closed.get(trade)
            if closed is None or closed["realized_pnl"] != outcome["realized_pnl"]:
                wrong.append(f"the outcome of {trade} is not its close: {outcome} and {closed}")
        return wrong

    def kept(self) -> dict[str, Any]:
        """Return what may not change by facts that come again."""
        return {"lines": self.lines, "outcomes": self.outcomes, "closed": self.closed}


def read_books(stack: Stack) -> Books:
    """Read everything now."""
    status = stack.status()
    return asyncio.run(_read(status["database_url"], status["nats_url"]))


def balanced_books(stack: Stack, within_s: float = 40) -> Books:
    """Wait until everything told has arrived, once, and return the books."""
    last: list[Books] = []

    def is_right() -> bool:
        try:
            last[:] = [read_books(stack)]
        except (OSError, nats.errors.Error, asyncpg.PostgresError):
            return False
        return not last[0].wrong()

    assert eventually(is_right, within_s), last[0].wrong()[:20] if last else "the books cannot be read"
    return last[0]


async def _read(database_url: str, nats_url: str) -> Books:
    connection = await asyncpg.connect(database_url)
    try:
        told = await _told(connection)
        latest = {
            (row["consumer"], row["username"], row["key"]): row["key_version"]
            for service in SERVICES
            for row in await connection.fetch(f"select * from {service}.latest")
        }
        lines = await connection.fetch("select username, cause, id from gateway.trade_notifications")
        seen = await connection.fetch("select consumer, message_id from gateway.inbox")
        outcomes = await connection.fetch(
            "select trade_id, realized_pnl, close_reason, was_held from forensics.outcomes"
        )
        closed = await connection.fetch(
            "select id, close_reason, close_price, qty, filled_qty, realized_pnl + ("
            "  select coalesce(sum(amount_usd), 0) from orders.corrections where trade_id = t.id) as realized_pnl"
            " from orders.trades t where status = 'CLOSED'"
        )
        on_stream, unread = await _bus(nats_url)
    finally:
        await connection.close()
    return Books(
        told={one.fact_id: one for one in told},
        on_stream=on_stream,
        unread=unread,
        latest=latest,
        lines={(row["username"], row["cause"]): row["id"] for row in lines},
        seen=frozenset((row["consumer"], row["message_id"]) for row in seen),
        outcomes={row["trade_id"]: dict(row) for row in outcomes},
        closed={row["id"]: dict(row) for row in closed},
    )


async def _told(connection: asyncpg.Connection) -> list[Told]:
    found = []
    for service in SERVICES:
        for row in await connection.fetch(f"select * from {service}.outbox"):
            version, topic = row["key_version"], row["subject"].rsplit(".", 1)[-1]
            found.append(
                Told(row["fact_id"], row["subject"], row["username"], topic, row["key"],
                     version, row["published_at"], row["data"])
            )  # fmt: skip
    return found


async def _bus(url: str) -> tuple[Counter[str], dict[str, int]]:
    client = await nats.connect(url, allow_reconnect=False, connect_timeout=3)
    try:
        stream = client.jetstream(timeout=5)
        unread = {}
        for name, durable in DURABLES.items():
            told = await stream.consumer_info(durable.stream, name)
            unread[name] = (told.num_pending or 0) + (told.num_ack_pending or 0)
        counted: Counter[str] = Counter()
        config = ConsumerConfig(deliver_policy=DeliverPolicy.ALL, headers_only=True)
        pull = await stream.pull_subscribe("evt.>", stream=EVENTS, config=config)
        left = (await stream.stream_info(EVENTS)).state.messages
        while left > 0:
            for message in await pull.fetch(min(left, 500), timeout=5):
                # A test's own message has no id.
                counted.update([one for one in [(message.headers or {}).get("Nats-Msg-Id")] if one])
                await message.ack()
                left -= 1
        await pull.unsubscribe()
        return counted, unread
    finally:
        await client.close()


def facts_about(books: Books, trade_id: str) -> list[dict[str, Any]]:
    """Return the data of what was told of one trade, in the order it was stored."""
    return [orjson.loads(one.data) for one in books.told.values() if one.key == trade_id]
