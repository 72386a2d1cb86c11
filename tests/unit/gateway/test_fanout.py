"""The hub hands each fact to its user's readers once, also when the stream is another than before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from libs.common.clock import ManualClock
from libs.common.errors import Throttled, UpstreamUnavailable
from services.gateway.fanout import Hub
from services.gateway.reader import Reader

MADE_AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def envelope(fact_id: str, occurred_at: datetime = MADE_AT) -> bytes:
    return orjson.dumps({"id": fact_id, "occurred_at": occurred_at, "data": {"id": fact_id}})


def hub_of(per_user: int = 2) -> Hub:
    hub = Hub(ManualClock(), per_user=per_user)
    hub.begin("e1", 0, created_at=MADE_AT, is_filled=True)
    hub.is_filled.set()
    return hub


def say(hub: Hub, sequence: int, fact_id: str, *, user: str = "alice", occurred_at: datetime = MADE_AT) -> None:
    hub.see(sequence, f"evt.{user}.orders.trade_filled", envelope(fact_id, occurred_at))


def given(reader: Reader) -> bytes:
    return b"".join(frame for frame, _ in reader._waiting)


def test_a_reader_gets_what_he_missed_then_where_he_is_then_what_comes() -> None:
    hub = hub_of()
    say(hub, 1, "a")
    say(hub, 2, "b", user="bob")
    say(hub, 3, "c")
    reader = hub.open("alice", "s1", "e1-1")
    say(hub, 4, "d")
    assert [part for part in given(reader).decode().split("\n\n") if part] == [
        'id: e1-3\nevent: trade_filled\ndata: {"id":"c"}',
        "id: e1-3",
        'id: e1-4\nevent: trade_filled\ndata: {"id":"d"}',
    ]


def test_a_new_stream_shows_nothing_twice_and_everything_new() -> None:
    hub = hub_of()
    reader = hub.open("alice", "s1", None)
    say(hub, 1, "shown")
    later = MADE_AT + timedelta(minutes=5)
    hub.begin("e2", 0, created_at=later, is_filled=False)
    say(hub, 1, "days-old", occurred_at=MADE_AT - timedelta(days=3))
    say(hub, 2, "shown")
    say(hub, 3, "said-while-the-bus-was-away", occurred_at=later - timedelta(minutes=1))
    text = given(reader).decode()
    assert text.count("event: resync") == 1
    assert text.count('"shown"') == 1
    assert "days-old" not in text
    assert text.count("said-while-the-bus-was-away") == 1
    assert hub.ring.last == 3
    hub.begin("e3", 0, created_at=later, is_filled=False)
    say(hub, 1, "shown", occurred_at=later)
    assert given(reader).decode().count('"shown"') == 1


def test_nobody_reads_from_a_ring_that_is_not_filled_or_a_hub_that_stops() -> None:
    hub = hub_of()
    hub.begin("e2", 0, created_at=MADE_AT, is_filled=False)
    with pytest.raises(UpstreamUnavailable):
        hub.open("alice", "s1", None)
    hub.is_filled.set()
    reader = hub.open("alice", "s1", None)
    hub.end_all()
    with pytest.raises(UpstreamUnavailable):
        hub.open("alice", "s1", None)
    hub.close(reader)
    assert hub.readers() == []


def test_a_users_share_of_feeds_is_his_own_and_comes_back() -> None:
    hub = hub_of(per_user=2)
    first, _ = hub.open("alice", "s1", None), hub.open("alice", "s1", None)
    with pytest.raises(Throttled):
        hub.open("alice", "s2", None)
    hub.open("bob", "s3", None)
    hub.close(first)
    hub.close(first)
    hub.open("alice", "s2", None)


def test_a_banner_for_everybody_reaches_everybody() -> None:
    hub = hub_of()
    readers = [hub.open(user, "s", None) for user in ("alice", "bob")]
    hub.tell("_", "banner", b"{}")
    hub.tell("bob", "prices", b"{}")
    assert [b"banner" in given(reader) for reader in readers] == [True, True]
    assert [b"prices" in given(reader) for reader in readers] == [False, True]


def test_comment_lines_carry_a_new_place_only_when_it_moved() -> None:
    hub = hub_of()
    reader = hub.open("alice", "s1", None)
    hub.keep_awake()
    hub.keep_awake()
    say(hub, 1, "b", user="bob")
    hub.keep_awake()
    assert given(reader).decode().count(":\n\n") == 3
    assert given(reader).decode().count("id: e1-1\n\n") == 1
