"""The live feed: whose facts, in what order, and how a reader goes on. Limits §5: 29, 35, 39; delivery §5."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.common.messages.monitor import Banner, BannerChanged, IncidentOpened, SyncProgress
from libs.common.messages.orders import (
    ConcernRaised,
    CredentialsChanged,
    PriceMark,
    Prices,
    TradeFilled,
    TradePlaced,
    TradingSettingsChanged,
)
from libs.common.messages.vocabulary import BrokerMode, Severity
from libs.common.testing import eventually
from tests.integration.gateway.facts import NOW, order, trade
from tests.integration.gateway.house import PASSWORD, House, running
from tests.integration.gateway.sse import reading

pytestmark = pytest.mark.integration


async def test_a_fact_arrives_as_its_flat_json_with_a_cursor(house: House) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice) as feed:
        fact = trade(TradeFilled, entry_price=Decimal("4.20"))
        await house.say(fact, "alice", key_version=3)
        [event] = await feed.until("trade_filled")
    assert event.id
    assert event.data == fact.model_dump(mode="json")
    assert (event.data["trade_id"], event.data["entry_price"], event.data["key_version"]) == ("t1", "4.20", 3)


async def test_nobody_gets_another_users_facts_or_ticks_live_or_replayed(house: House) -> None:
    alice, bob = await house.signed_in("alice"), await house.signed_in("bob")
    async with reading(alice) as before:
        start = before.last_id
    async with reading(alice) as of_alice, reading(bob) as of_bob:
        await house.say(trade(user="bob", trade_id="b1"), "bob")
        await house.buses["orders"].tick(prices("b1"), "bob")
        await of_bob.until("trade_filled")
        await of_bob.until("prices")
        await house.say(trade(trade_id="a1"), "alice")
        await of_alice.until("trade_filled")
        assert [event.data["trade_id"] for event in of_alice.events] == ["a1"]
        assert {event.name for event in of_bob.events} == {"trade_filled", "prices"}
        bobs_cursor = of_bob.last_id
    async with reading(alice, start) as replayed:
        await replayed.until("trade_filled")
        assert [event.data["trade_id"] for event in replayed.events] == ["a1"]
    async with reading(alice, bobs_cursor) as with_bobs_cursor:
        await house.say(trade(TradePlaced, trade_id="a2"), "alice")
        await with_bobs_cursor.until("trade_placed")
        assert {event.data["trade_id"] for event in with_bobs_cursor.events} <= {"a1", "a2"}


async def test_a_reader_who_was_away_gets_every_fact_once_and_in_order(house: House) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice) as feed:
        await house.say(trade(trade_id="t0"), "alice")
        await feed.until("trade_filled")
        cursor = feed.last_id
    for number in range(1, 31):
        await house.say(trade(trade_id=f"t{number}", key_version=number), "alice")
    async with reading(alice, cursor) as again:
        for number in range(31, 41):
            await house.say(trade(trade_id=f"t{number}", key_version=number), "alice")
        await again.until("trade_filled", 40)
    assert [event.data["trade_id"] for event in again.events] == [f"t{number}" for number in range(1, 41)]


async def test_a_reader_cut_off_before_his_first_fact_loses_none(house: House) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice) as feed:
        cursor = feed.last_id
    assert feed.events == []
    await house.say(trade(), "alice")
    async with reading(alice, cursor) as again:
        await again.until("trade_filled")


@pytest.mark.parametrize("cursor", ["0-1", "zzz-1", "nonsense", "-", "5", "ffffffffffffff-99999999"])
async def test_a_cursor_that_means_nothing_here_gets_one_resync_and_goes_on_live(house: House, cursor: str) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice, cursor) as feed:
        await feed.until("resync")
        await house.say(trade(), "alice")
        await feed.until("trade_filled")
    assert [event.name for event in feed.events] == ["resync", "trade_filled"]


async def test_only_facts_meant_for_people_are_sent(house: House) -> None:
    alice = await house.signed_in("alice")
    account: dict[str, Any] = {"broker_mode": BrokerMode.PAPER, "account_id": "VA1"}
    concern: dict[str, Any] = {
        "concern_key": "c",
        "kind": "naked",
        "severity": Severity.ERROR,
        "text": "x",
        "since_at": NOW,
    }
    opened: dict[str, Any] = {
        "id": "i1",
        "kind": "naked",
        "severity": Severity.ERROR,
        "text": "no exits",
        "opened_at": NOW,
    }
    async with reading(alice) as feed:
        await house.say(order().model_copy(update={"trade_id": None}), "alice", key_version=1)
        await house.say(CredentialsChanged(account_key="k", **account), "alice", key_version=1)
        await house.say(ConcernRaised(**concern), "alice", key_version=1)
        await house.say(TradingSettingsChanged(username="alice", settings={"max_positions": 5}), "alice")
        await house.say(IncidentOpened(**opened), "alice", key_version=1)
        await feed.until("notification_created")
        names = {event.name for event in feed.events}
    assert names == {"settings_changed", "incident_opened", "notification_created"}


async def test_ticks_come_without_a_cursor(house: House) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice) as feed:
        await house.buses["orders"].tick(prices("t1"), "alice")
        banner = Banner(code="stale_data", level=Severity.WARNING, text="old", since=NOW)
        await house.buses["pricing"].tick(BannerChanged(origin="pricing", banners=(banner,)), "_")
        await house.buses["monitor"].tick(SyncProgress(account_id="VA1", step="orders", done=1, total=3), "alice")
        await feed.until("prices")
        await feed.until("banner")
        await feed.until("sync_progress")
    assert all(event.id is None for event in feed.events)
    assert feed.named("prices")[0].data["prices"][0]["current_price"] == "4.20"
    assert feed.named("banner")[0].data["banners"][0]["code"] == "stale_data"


async def test_idle_feeds_get_comment_lines(house: House) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice) as feed:
        await eventually(lambda: feed.comments >= 3)


async def test_one_user_holds_a_bounded_number_of_feeds_and_gets_their_room_back(house: House) -> None:
    alice, bob = await house.signed_in("alice"), await house.signed_in("bob")
    async with AsyncExitStack() as stack:
        feeds = await asyncio.gather(*(stack.enter_async_context(reading(alice)) for _ in range(20)))
        assert all(feed.status == 200 for feed in feeds)
        async with reading(alice) as refused:
            assert (refused.status, refused.problem["code"]) == (429, "throttled")
        async with reading(bob) as of_bob:
            assert of_bob.status == 200

    async def has_room() -> bool:
        async with reading(alice) as feed:
            return feed.status == 200

    await eventually(has_room)


async def test_logout_ends_the_feeds_of_that_session_only(house: House) -> None:
    here = await house.signed_in("alice")
    there = house.client(headers={"X-Bookend": "1"})
    await there.post("/api/auth/login", json={"username": "alice", "password": PASSWORD})
    async with reading(here) as ended, reading(there) as going_on:
        await here.post("/api/auth/logout")
        await eventually(lambda: ended.is_over)
        await house.say(trade(), "alice")
        await going_on.until("trade_filled")


async def test_a_revoked_key_and_a_session_ended_elsewhere_end_their_feeds(house: House) -> None:
    alice = await house.signed_in("alice")
    key = (await alice.post("/api/keys", json={"name": "bot", "scopes": ["read"]})).json()
    program = house.client(headers={"Authorization": f"Bearer {key['secret']}"})
    async with reading(program) as by_key, reading(alice) as by_session:
        await alice.delete(f"/api/keys/{key['id']}")
        await eventually(lambda: by_key.is_over)
        assert not by_session.is_over
        async with house.database.admin() as admin:
            await admin.execute("delete from gateway.sessions")
        await eventually(lambda: by_session.is_over)


async def test_feeds_end_when_the_gateway_stops_and_facts_from_before_its_start_are_kept(house: House) -> None:
    alice = await house.signed_in("alice")
    async with reading(alice) as feed:
        cursor = feed.last_id
    await house.say(trade(trade_id="while-starting"), "alice")
    async with running(house.database, house.nats) as second:
        other = second.client(cookies=dict(alice.cookies))
        async with reading(other, cursor) as again:
            await again.until("trade_filled")
            second.process.stop()
            await eventually(lambda: again.is_over)


def prices(trade_id: str) -> Prices:
    mark = PriceMark(
        trade_id=trade_id,
        current_price=Decimal("4.20"),
        unrealized_pnl=Decimal(10),
        price_source="orats",
        last_updated=datetime(2026, 11, 20, tzinfo=UTC),
    )
    return Prices(prices=(mark,))
