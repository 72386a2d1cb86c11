"""Every documented route, tried by Bob with what is Ann's: the answer is the one for what does not exist."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.gateway.api import document
from tests.isolation.conftest import Ann
from tests.journey.stack import Simulator
from tests.journey.trader import Json, Trader

pytestmark = pytest.mark.faults

METHODS = ("get", "post", "put", "delete", "patch")
SHARED = ("{ticker}",)
"""Names in a path that are everybody's."""

BODIES: dict[tuple[str, str], Any] = {
    ("post", "/api/trades/{id}/close"): {"version": 1},
    ("post", "/api/trades/{id}/adjust"): {"version": 1, "new_tp": "9.90"},
    ("post", "/api/trades/{id}/resolve"): {"broker_order_id": None},
}
QUERIES = {"/api/market/chain/{ticker}": "?expiry=2026-12-18"}
ENDLESS = "/api/stream"


def operations() -> Iterator[tuple[str, str]]:
    """List (method, path) of every documented operation."""
    for path, found in document()["paths"].items():
        yield from ((method, path) for method in found if method in METHODS)


OF_SOMEBODY = [(m, p) for m, p in operations() if "{" in p and not any(name in p for name in SHARED)]
LISTS = [p for m, p in operations() if m == "get" and "{" not in p and p != ENDLESS]
WITH_ACCOUNT = [
    (method, path)
    for method, path in operations()
    if any(one["name"] == "account_id" for one in document()["paths"][path][method].get("parameters", []))
]


def hers(ann: Ann, path: str) -> list[str]:
    """Return the ids of Ann's that fit into a path."""
    if path.startswith("/api/trades/"):
        return [ann.held["id"], ann.closed["id"]]
    if path.startswith("/api/signals/"):
        return [ann.signal_id]
    if path.startswith("/api/settings/credentials/"):
        return [ann.account_id]
    return {"/api/keys/{id}": [ann.key_id], "/api/notifications/trades/{id}/read": [ann.line_id]}[path]


def filled(path: str, found: str) -> str:
    """Put an id, or an account's, into a path."""
    return path.replace("{broker_mode}", "PAPER").replace("{account_id}", found).replace("{id}", found)


def try_it(trader: Trader, method: str, path: str, found: str) -> httpx.Response:
    """Send a request that would be carried out if `found` were the caller's own."""
    return trader.call(method.upper(), filled(path, found), BODIES.get((method, path)), key=uuid.uuid4().hex)


def shape(answer: httpx.Response, found: str) -> Any:
    """Return everything an answer says, but for the id that was asked for and the thread it belongs to."""
    body = answer.json()
    assert body.pop("correlation_id")
    said = {name: value.replace(found, "ID") if isinstance(value, str) else value for name, value in body.items()}
    headers = {name: value for name, value in answer.headers.items() if name not in {"x-correlation-id", "date"}}
    headers.pop("content-length")
    return answer.status_code, said, headers


def test_there_are_routes_to_try() -> None:
    assert len(OF_SOMEBODY) >= 9
    assert len(LISTS) >= 12
    assert WITH_ACCOUNT


@pytest.mark.parametrize(("method", "path"), OF_SOMEBODY)
def test_anothers_id_is_answered_like_one_that_never_was(method: str, path: str, ann: Ann, bob: Trader) -> None:
    for found in hers(ann, path):
        random = uuid.uuid4().hex
        other, never = try_it(bob, method, path, found), try_it(bob, method, path, random)
        assert other.status_code == 404, f"{other.status_code} {other.text}"
        assert shape(other, found) == shape(never, random)


def test_nothing_of_hers_was_touched_by_trying(ann: Ann, bob: Trader) -> None:
    before = ann.trader.protected(ann.held["id"], 30)
    for method, path in OF_SOMEBODY:
        for found in hers(ann, path):
            try_it(bob, method, path, found)
    now = ann.trader.trade(ann.held["id"])
    assert (now["status"], now["protection"], now["version"]) == ("FILLED", "PROTECTED", before["version"])
    assert ann.key_id in {key["id"] for key in ann.trader.ok("GET", "/api/keys")["keys"]}
    (waiting,) = ann.trader.ok("GET", "/api/signals?state=pending")["signals"]
    assert waiting["id"] == ann.signal_id
    inbox = ann.trader.ok("GET", "/api/notifications/trades?limit=200")["notifications"]
    assert next(line for line in inbox if line["id"] == ann.line_id)["read_at"] is None


@pytest.mark.parametrize("path", LISTS)
def test_no_list_or_export_shows_hers(path: str, ann: Ann, bob: Trader) -> None:
    for query in ("", "?format=csv", "?format=json", f"?account_id={ann.account_id}", "?status=OPEN", "?limit=200"):
        answer = bob.call("GET", path + query)
        assert answer.status_code in {200, 404, 422}, answer.text
        asked_for = {ann.account_id} if "account_id" in query else set()
        assert [mark for mark in ann.marks if mark in answer.text and mark not in asked_for] == [], path + query


def test_her_cursors_lead_bob_nowhere(ann: Ann, bob: Trader) -> None:
    for path in ("/api/trades", "/api/trades/history", "/api/executions", "/api/notifications/trades"):
        cursor = ann.trader.ok("GET", f"{path}?limit=1").get("next_cursor")
        if cursor is None:
            continue
        answer = bob.call("GET", path, None).request.url.copy_merge_params({"cursor": cursor, "limit": "200"})
        shown = bob.http.get(answer)
        assert [mark for mark in ann.marks if mark in shown.text] == []


@pytest.mark.parametrize(("method", "path"), WITH_ACCOUNT)
def test_her_account_is_not_there_for_bob(method: str, path: str, ann: Ann, bob: Trader) -> None:
    answers = []
    for account in (ann.account_id, "VA00000000"):
        there = path.replace("{broker_mode}", "PAPER").replace("{account_id}", account)
        answers.append(bob.call(method.upper(), f"{there}?account_id={account}"))
    assert [one.status_code for one in answers] == [404, 404], [one.text for one in answers]
    assert shape(answers[0], ann.account_id) == shape(answers[1], "VA00000000")


def test_her_account_can_neither_be_chosen_nor_traded_nor_taken(ann: Ann, bob: Trader, simulator: Simulator) -> None:
    before = simulator.orders(ann.account_id)
    chosen = bob.call("PUT", "/api/settings", {"account_id": ann.account_id})
    assert 400 <= chosen.status_code < 500, chosen.text
    placed = bob.call("POST", "/api/trades", {**ann.placed_with[1], "account_id": ann.account_id}, key=uuid.uuid4().hex)
    assert placed.status_code in {404, 422}, placed.text
    taken = {"broker_mode": "PAPER", "account_id": ann.account_id, "token": "paper-guess"}
    for method, path in (("PUT", "/api/settings/credentials"), ("POST", "/api/settings/credentials/test")):
        answer = bob.call(method, path, taken)
        assert not (answer.is_success and answer.json().get("ok", True)), answer.text
    without_token = {"broker_mode": "PAPER", "account_id": ann.account_id}
    answer = bob.call("POST", "/api/settings/credentials/test", without_token)
    assert not (answer.is_success and answer.json()["ok"]), answer.text
    assert bob.ok("GET", "/api/settings")["account_id"] != ann.account_id
    assert simulator.orders(ann.account_id) == before


def test_her_etag_is_not_bobs(ann: Ann, bob: Trader) -> None:
    tag = ann.trader.call("GET", "/api/trades").headers["ETag"]
    mine = ann.trader.http.get("/api/trades", headers={"If-None-Match": tag})
    his = bob.http.get("/api/trades", headers={"If-None-Match": tag})
    assert (mine.status_code, his.status_code) == (304, 200)
    assert his.headers["Cache-Control"] != mine.headers.get("ETag")
    assert "public" not in his.headers.get("Cache-Control", "")


def test_her_idempotency_key_is_bobs_own_when_he_uses_it(ann: Ann, bob: Trader, simulator: Simulator) -> None:
    key, body = ann.placed_with
    before = simulator.orders(ann.account_id)
    answer = bob.call("POST", "/api/trades", body, key=key)
    assert answer.status_code == 201, answer.text
    assert "Idempotent-Replayed" not in answer.headers
    his: Json = answer.json()
    assert his["id"] != ann.held["id"]
    assert his["username"] == bob.name
    assert simulator.orders(ann.account_id) == before
    again = ann.trader.call("POST", "/api/trades", body, key=key)
    assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (ann.held["id"], "true")
    bob.protected(his["id"], 30)


def test_her_correlation_id_brings_bob_nothing(ann: Ann, bob: Trader) -> None:
    thread = f"thread-{uuid.uuid4().hex}"
    ann.trader.http.get("/api/trades", headers={"X-Correlation-Id": thread})
    answer = bob.http.get("/api/trades/none", headers={"X-Correlation-Id": thread})
    assert answer.headers["X-Correlation-Id"] == answer.json()["correlation_id"] == thread
    assert [mark for mark in ann.marks if mark in answer.text] == []
