"""Secrets stay where they belong: searched by their real values in everything that others read or keep."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import asyncpg
import httpx
import nats
import nats.js.errors
import pytest
from nats.js.api import ConsumerConfig, DeliverPolicy

from libs.common.messages.durables import SERVICES
from tests.isolation.conftest import Ann
from tests.journey.stack import Stack
from tests.journey.trader import Json, Trader

pytestmark = pytest.mark.faults

TOKEN = f"secret{uuid.uuid4().hex}"
"""A broker's token that Ann enters."""

WRONG = f"wrong{uuid.uuid4().hex}"
"""A password somebody mistyped: it may be right elsewhere."""


@pytest.fixture(scope="module")
def secrets(stack: Stack, ann: Ann, bob: Trader, keyring: Json) -> dict[str, str]:
    """Use every kind of secret once, well and badly, and return all of them by what they are."""
    trader = ann.trader
    with httpx.Client(base_url=stack.gateway_url, headers={"X-Bookend": "1"}) as stranger:
        stranger.post("/api/auth/login", json={"username": trader.name, "password": WRONG})
        stranger.get("/api/trades", headers={"Authorization": f"Bearer bk_{WRONG}"})
        stranger.get("/api/trades", headers={"Cookie": f"bookend_session={WRONG}"}, params={"token": TOKEN})
        stranger.get("/api/trades", headers={"Authorization": f"Bearer {ann.key_secret}"})
    asked = {"broker_mode": "TRADIER_SANDBOX", "account_id": "VA12345678", "token": TOKEN}
    for method, path in (("PUT", "/api/settings/credentials"), ("POST", "/api/settings/credentials/test")):
        trader.call(method, path, asked)
        trader.call(method, path, {**asked, "account_id": {"not": TOKEN}})
        trader.call(method, path, {**asked, "broker_mode": "PAPER"})
    trader.call("PUT", "/api/settings", {"token": TOKEN})
    trader.call("POST", "/api/trades", {"password": WRONG, "token": TOKEN}, key=uuid.uuid4().hex)
    trader.call("POST", "/api/auth/password", {"current_password": WRONG, "new_password": f"{WRONG}2"})
    found = {
        "Ann's password": trader.password,
        "a mistyped password": WRONG,
        "Ann's session": trader.http.cookies["bookend_session"],
        "Bob's session": bob.http.cookies["bookend_session"],
        "Ann's key": ann.key_secret,
        "a broker's token": TOKEN,
        "the demo user's password": keyring["demo_password"],
        "the key to the tokens": keyring["encryption_key"],
        "the bus' administrator": keyring["nats_admin_password"],
    }
    for name in SERVICES:
        found[f"{name}'s database password"] = keyring["database_passwords"][name]
        found[f"{name}'s bus password"] = keyring["nats_passwords"][name]
    return found


def told_in(text: str, secrets: dict[str, str]) -> list[str]:
    return [what for what, value in secrets.items() if value in text]


def test_no_log_holds_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    logs = sorted(Path(stack.data / "logs").glob("*.log"))
    assert {log.stem for log in logs} >= {*SERVICES, "nats", "postgres", "simulator"}
    for log in logs:
        assert told_in(log.read_text(errors="replace"), secrets) == [], log.name


def test_no_stream_holds_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    messages = asyncio.run(_streams(stack.status()["nats_url"]))
    assert any("trade_closed" in message for message in messages)
    assert told_in("\n".join(messages), secrets) == []


def test_no_table_holds_a_secret(stack: Stack, secrets: dict[str, str]) -> None:
    rows = asyncio.run(_tables(stack.status()["database_url"]))
    assert any("trade_closed" in row for row in rows["orders.outbox"])
    found = {table: told for table, texts in rows.items() if (told := told_in("\n".join(texts), secrets))}
    assert found == {}


def test_no_answer_holds_a_secret(stack: Stack, ann: Ann, secrets: dict[str, str]) -> None:
    trader = ann.trader
    asked = {"broker_mode": "TRADIER_SANDBOX", "account_id": "VA12345678", "token": TOKEN}
    answers = [
        trader.call("GET", "/api/settings"),
        trader.call("GET", "/api/keys"),
        trader.call("GET", "/api/accounts"),
        trader.call("GET", "/api/system/status"),
        trader.call("PUT", "/api/settings/credentials", asked),
        trader.call("PUT", "/api/settings/credentials", {**asked, "account_id": [TOKEN]}),
        trader.call("POST", "/api/settings/credentials/test", {**asked, "confirm": TOKEN}),
        trader.call("POST", "/api/auth/password", {"current_password": WRONG, "new_password": "x"}),
        trader.call("GET", "/metrics"),
        trader.call("GET", "/readyz"),
    ]
    for answer in answers:
        assert told_in(answer.text, secrets) == [], answer.request.url
        assert told_in(str(answer.headers), {k: v for k, v in secrets.items() if "session" not in k}) == []


async def _streams(url: str) -> list[str]:
    """Read every message kept on the bus, headers included."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream(timeout=5)
        found = []
        for name in ("EVENTS", "DEAD"):
            left = (await stream.stream_info(name)).state.messages
            pull = await stream.pull_subscribe("", stream=name, config=ConsumerConfig(deliver_policy=DeliverPolicy.ALL))
            while left > 0:
                for message in await pull.fetch(min(left, 500), timeout=5):
                    found.append(f"{message.subject} {message.headers} {message.data.decode(errors='replace')}")
                    await message.ack()
                    left -= 1
        return found
    finally:
        await client.close()


async def _tables(url: str) -> dict[str, list[str]]:
    """Read every row of every table as text."""
    connection = await asyncpg.connect(url)
    try:
        tables = await connection.fetch(
            "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace"
            " where nspname = any($1) and relkind in ('r', 'p') and not relispartition",
            list(SERVICES),
        )
        return {
            name: [row[0] for row in await connection.fetch(f"select row_to_json(t)::text from {name} t")]
            for (name,) in tables
        }
    finally:
        await connection.close()
