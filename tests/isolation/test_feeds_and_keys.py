"""The live feed and the credentials that open it: each carries one person's news, and ends when it is taken away."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import httpx
import orjson
import pytest

from services.gateway.api import document
from tests.isolation.conftest import Ann
from tests.isolation.test_routes import BODIES, METHODS, filled
from tests.journey.stack import Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.faults

FOR_ANY_KEY = {
    ("post", "/api/auth/register"), ("post", "/api/auth/login"), ("post", "/api/auth/logout"),
    ("post", "/api/notifications/trades/read-all"), ("post", "/api/notifications/trades/{id}/read"),
}  # fmt: skip
"""Unsafe methods that need no more than looking: they trade nothing and change no account."""

FOR_TRADING_KEYS = ("/api/trades", "/api/sync", "/api/signals/", "/api/kill-switch")
PLACEABLE: Json = {
    "ticker": "SPY", "option_type": "CALL", "strike": "500", "expiry": "2027-01-15", "qty": 1,
    "entry": {"type": "market"}, "sl_price": "1.00",
}  # fmt: skip
FITTING: dict[tuple[str, str], Json] = {
    ("post", "/api/trades"): PLACEABLE,
    ("post", "/api/keys"): {"name": "another", "scopes": ["admin"]},
    ("post", "/api/auth/password"): {"current_password": "no matter", "new_password": "another password"},
    ("put", "/api/settings"): {"sounds": False},
    ("put", "/api/settings/credentials"): {"broker_mode": "PAPER", "account_id": "VA1", "token": "t"},
    ("post", "/api/settings/credentials/test"): {"broker_mode": "PAPER", "account_id": "VA1"},
    **BODIES,
}

UNSAFE = [
    (method, path)
    for path, found in document()["paths"].items()
    for method in found
    if method in METHODS and method != "get" and (method, path) not in FOR_ANY_KEY
]


def betrays(heard: list[Json], ann: Ann) -> list[str]:
    text = orjson.dumps(heard).decode()
    return [mark for mark in ann.marks if mark in text]


def move_target(ann: Ann) -> None:
    """Let something happen to Ann's trade."""
    now = ann.trader.protected(ann.held["id"], 30)
    change = {"version": now["version"], "new_tp": str(Decimal(now["tp_price"]) + Decimal("0.10"))}
    ann.trader.ok("POST", f"/api/trades/{now['id']}/adjust", change, key=uuid.uuid4().hex)


def test_bobs_feed_never_carries_hers_live_after_reconnect_or_with_her_cursor(ann: Ann, bob: Trader) -> None:
    with ann.trader.listening() as her_feed, bob.listening() as his_feed:
        move_target(ann)
        assert ann.trader.eventually(lambda: any(ann.held["id"] in str(frame) for frame in her_feed), 15)
        trade = bob.protected(bob.place(bob.body(bob.contract("AAPL", 0)))["id"], 30)
        assert bob.eventually(lambda: any(trade["id"] in str(frame) for frame in his_feed), 15)
        assert betrays(his_feed, ann) == []
        cursors = [frame["id"] for frame in (*her_feed, *his_feed) if "id" in frame]
        epoch, sequence = cursors[0].rsplit("-", 1)
    move_target(ann)
    for cursor in (cursors[0], f"{epoch}-{max(int(sequence) - 40, 0)}", f"{epoch}-0", "nonsense", "-1", "*"):
        with bob.listening(last_event_id=cursor) as again:
            body = {"sounds": True}
            bob.ok("PUT", "/api/settings", body)
            closing = bob.trade(trade["id"])
            assert closing["username"] == bob.name
            assert bob.eventually(lambda: replayed_or_reloaded(again, trade["id"]), 15), (cursor, again)
            assert betrays(again, ann) == []


def replayed_or_reloaded(heard: list[Json], trade_id: str) -> bool:
    return any(frame["event"] == "resync" or trade_id in str(frame) for frame in heard)


@contextmanager
def program(stack: Stack, secret: str) -> Iterator[httpx.Client]:
    """Be a program with an API key."""
    with httpx.Client(base_url=stack.gateway_url, headers={"Authorization": f"Bearer {secret}"}, timeout=15) as client:
        yield client


def test_a_reading_key_looks_and_does_nothing_else(stack: Stack, ann: Ann) -> None:
    with program(stack, ann.key_secret) as client:
        assert client.get("/api/trades").status_code == 200
        assert client.get("/api/keys").status_code == 403
        for method, path in UNSAFE:
            found = ann.account_id if "account" in path else ann.key_id if "keys" in path else ann.held["id"]
            there = filled(path, found)
            body = FITTING.get((method, path))
            answer = client.request(method, there, json=body, headers={"Idempotency-Key": uuid.uuid4().hex})
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{method} {path} {answer.text}"
    assert ann.trader.protected(ann.held["id"], 30)


def test_a_trading_key_changes_no_account_and_sees_no_one_else(stack: Stack, ann: Ann, bob: Trader) -> None:
    made = bob.ok("POST", "/api/keys", {"name": "bot", "scopes": ["trade"]})
    with program(stack, made["secret"]) as client:
        for method, path in UNSAFE:
            if path.startswith(FOR_TRADING_KEYS):
                continue
            answer = client.request(method, filled(path, made["id"]), json=FITTING.get((method, path)))
            assert answer.status_code == 403, f"{method} {path} {answer.text}"
        assert client.get(f"/api/trades/{ann.held['id']}").status_code == 404
        answer = client.get("/api/trades", headers={"Cookie": f"bookend_session={session_of(ann.trader)}"})
        assert [mark for mark in ann.marks if mark in answer.text] == []


def session_of(trader: Trader) -> str:
    return str(trader.http.cookies["bookend_session"])


def test_a_revoked_key_and_an_ended_session_are_over_at_once_with_their_open_feeds(stack: Stack) -> None:
    with Trader(stack.gateway_url) as somebody:
        made = somebody.ok("POST", "/api/keys", {"name": "feed", "scopes": ["read"]})
        with program(stack, made["secret"]) as client, client.stream("GET", "/api/stream") as feed:
            assert feed.status_code == 200
            somebody.ok("DELETE", f"/api/keys/{made['id']}")
            assert is_over(feed)
            assert client.get("/api/trades").status_code == 401
        elsewhere = httpx.Client(base_url=stack.gateway_url, cookies={"bookend_session": session_of(somebody)})
        with elsewhere, elsewhere.stream("GET", "/api/stream") as feed:
            assert feed.status_code == 200
            somebody.ok("POST", "/api/auth/logout")
            assert is_over(feed)
            assert elsewhere.get("/api/trades").status_code == 401


def is_over(feed: httpx.Response) -> bool:
    """Read a feed to its end, which must come by itself: the client's own time-out is five seconds of silence."""
    try:
        for _ in feed.iter_raw():
            pass
    except httpx.TransportError:
        return False
    return True


@pytest.mark.parametrize(
    "name",
    ["SYSTEM", "_", "*", ">", "evt.>", "ann.bot", "orders", "orders_worker", "gateway_tenant", "bookend_owner",
     "pg_monitor", "postgres", "admin", "Ann", "ann ", "' or 1=1", "a" * 33, "demo"],
)  # fmt: skip
def test_a_name_that_is_more_than_a_name_is_refused_and_nobody(stack: Stack, name: str) -> None:
    with httpx.Client(base_url=stack.gateway_url, headers={"X-Bookend": "1"}) as stranger:
        joined = stranger.post("/api/auth/register", json={"username": name, "password": "correct horse battery"})
        assert joined.status_code in {409, 422}, joined.text
        signed_in = stranger.post("/api/auth/login", json={"username": name, "password": "correct horse battery"})
        assert signed_in.status_code in {401, 422}, signed_in.text
        assert eventually(lambda: stranger.get("/api/auth/me").status_code == 401, 1)
