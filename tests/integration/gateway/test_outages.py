"""PostgreSQL, NATS or its data gone for a while: said at once, and over by itself."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import EmbeddedPostgres
from libs.common.errors import UpstreamUnavailable
from libs.common.messages.orders import ListTrades
from libs.common.testing import TestDatabase, eventually
from tests.integration.gateway.facts import trade
from tests.integration.gateway.house import House, own_nats, running
from tests.integration.gateway.sse import reading

pytestmark = pytest.mark.integration


@dataclass
class Frail:
    """A house whose servers this test may stop."""

    house: House
    nats: EmbeddedNats
    postgres: EmbeddedPostgres


@pytest.fixture
async def frail(tmp_path: Path) -> AsyncIterator[Frail]:
    postgres = EmbeddedPostgres(tmp_path / "postgres").start()
    try:
        database = TestDatabase(postgres.url)
        await database.migrate()
        with own_nats(tmp_path / "nats") as nats:
            async with running(database, nats) as house:
                house.answers[ListTrades] = {"trades": [], "next_cursor": None}
                yield Frail(house, nats, postgres)
    finally:
        postgres.stop()


async def test_without_the_bus_reads_and_writes_fail_at_once_and_the_status_says_so(frail: Frail) -> None:
    alice = await frail.house.signed_in("alice")
    frail.nats.stop()
    await eventually(lambda: not frail.house.process.bus.connected)
    began = time.perf_counter()
    for path in ("/api/trades", "/api/settings", "/api/account", "/api/market/status"):
        answer = await alice.get(path)
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable"), path
    assert time.perf_counter() - began < 2
    status = (await alice.get("/api/system/status")).json()
    assert status["banners"][0]["code"] == "bus_unavailable"
    assert {line["name"] for line in status["services"] if line["ok"]} == {"gateway"}
    assert (await alice.get("/api/auth/me")).status_code == 200

    frail.nats.start()

    async def is_back() -> bool:
        return (await alice.get("/api/trades")).status_code == 200

    await eventually(is_back, within_s=20)


async def test_feeds_stay_open_over_a_restart_of_the_bus_and_miss_no_fact(frail: Frail) -> None:
    alice = await frail.house.signed_in("alice")
    async with reading(alice) as feed:
        await frail.house.say(trade(trade_id="before"), "alice")
        await feed.until("trade_filled")
        frail.nats.stop()
        frail.nats.start()
        await sure(frail.house, "after")
        await feed.until("trade_filled", 2, within_s=20)
        assert [event.data["trade_id"] for event in feed.events] == ["before", "after"]


async def test_when_the_bus_loses_its_data_readers_load_again_and_old_cursors_mean_nothing(frail: Frail) -> None:
    alice = await frail.house.signed_in("alice")
    async with reading(alice) as feed:
        await frail.house.say(trade(trade_id="before"), "alice")
        await feed.until("trade_filled")
        old_cursor = feed.last_id
        frail.nats.stop()
        shutil.rmtree(frail.nats.store_dir)
        frail.nats.start()
        await sure(frail.house, "after")
        await feed.until("resync", within_s=20)
        await feed.until("trade_filled", 2, within_s=20)
        assert feed.last_id.split("-")[0] != old_cursor.split("-")[0]
    async with reading(alice, old_cursor) as again:
        await again.until("resync")


async def test_without_the_database_answers_are_503_at_once_and_feeds_go_on(frail: Frail) -> None:
    alice = await frail.house.signed_in("alice")
    async with reading(alice) as feed:
        await asyncio.to_thread(frail.postgres.stop)
        began = time.perf_counter()
        answer = await alice.get("/api/trades")
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
        assert (await alice.get("/openapi.json")).status_code == 200
        login = await alice.post("/api/auth/login", json={"username": "alice", "password": "x" * 9})
        assert login.status_code == 503
        assert time.perf_counter() - began < 6
        await frail.house.say(trade(), "alice")
        await feed.until("trade_filled")
        await asyncio.to_thread(frail.postgres.start)

        async def is_back() -> bool:
            return (await alice.get("/api/trades")).status_code == 200

        await eventually(is_back, within_s=20)
        assert not feed.is_over


async def sure(house: House, trade_id: str) -> None:
    """Say a fact until it is stored, as a relay does; the stream is made again where it was lost."""

    async def said() -> bool:
        try:
            await house.streams["orders"].ensure()
            await house.say(trade(trade_id=trade_id), "alice")
        except UpstreamUnavailable:
            return False
        return True

    await eventually(said, within_s=20, every_s=0.1)
