"""Every route of the document, asked by those who may not: a table made from the document itself.

Another user's things are tried in `tests/isolation`, against the whole house.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from services.gateway.api import document
from services.gateway.models_auth import Scope
from tests.integration.gateway.house import House

pytestmark = pytest.mark.integration

METHODS = ("get", "post", "put", "delete", "patch")
SAFE = frozenset({"get"})
IDS = {"{id}": "t1", "{ticker}": "SPY", "{broker_mode}": "PAPER", "{account_id}": "VA00000001"}


def operations() -> Iterator[tuple[str, str, bool]]:
    """List (method, path, whether a sign-in is needed) of every documented operation."""
    for path, found in document()["paths"].items():
        for method, operation in found.items():
            if method in METHODS:
                yield method, path, operation.get("security", None) != []


ALL = list(operations())
SIGNED_IN = [(method, path) for method, path, needs in ALL if needs]
UNSAFE = [(method, path) for method, path in SIGNED_IN if method not in SAFE]
PUBLIC_UNSAFE = [(method, path) for method, path, needs in ALL if not needs and method not in SAFE]

LOOKING = frozenset({"/api/notifications/trades/read-all", "/api/notifications/trades/{id}/read"})
"""Unsafe in method only: whoever may look may do it."""
ADMINISTRATION = ("/api/keys", "/api/audit", "/api/settings/", "/api/auth/password")
SIGNALS_ONLY = frozenset({("post", "/api/signals")})


async def ask(client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]) -> httpx.Response:
    """Send a request without a body; who must not ask is turned away before anybody looks at one."""
    for name, value in IDS.items():
        path = path.replace(name, value)
    async with client.stream(method.upper(), path, headers=headers) as answer:
        if answer.headers.get("content-type", "").startswith("application/problem"):
            await answer.aread()
        return answer


async def key_of(house: House, *scopes: Scope, name: str = "alice") -> tuple[httpx.AsyncClient, dict[str, Any]]:
    owner = await house.signed_in(name)
    made = (await owner.post("/api/keys", json={"name": "program", "scopes": list(scopes)})).json()
    return owner, made


def test_the_table_holds_every_route_and_only_a_few_need_no_sign_in() -> None:
    assert len(SIGNED_IN) > 40
    assert {path for _, path in PUBLIC_UNSAFE} == {"/api/auth/register", "/api/auth/login", "/api/auth/logout"}


async def test_without_a_session_or_key_every_route_is_401(house: House) -> None:
    stranger = house.client()
    answers = {(m, p): (await ask(stranger, m, p, {"X-Bookend": "1"})).status_code for m, p in SIGNED_IN}
    assert {route for route, status in answers.items() if status != 401} == set()
    assert house.asked == []


async def test_a_revoked_key_is_401_on_every_route(house: House) -> None:
    owner, made = await key_of(house, *Scope)
    assert (await owner.delete(f"/api/keys/{made['id']}")).status_code == 204
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    program = house.client()
    answers = {(m, p): (await ask(program, m, p, bearer)).status_code for m, p in SIGNED_IN}
    assert {route for route, status in answers.items() if status != 401} == set()
    assert house.asked == []


async def test_a_session_without_our_header_or_from_another_site_changes_nothing_anywhere(house: House) -> None:
    alice = await house.signed_in("alice")
    cookie = {"Cookie": f"bookend_session={alice.cookies['bookend_session']}"}
    browser = house.client()
    foreign = cookie | {"X-Bookend": "1", "Origin": "https://evil.example"}
    for method, path in UNSAFE:
        for headers, words in ((cookie, "X-Bookend"), (foreign, "another site")):
            answer = await ask(browser, method, path, headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), (method, path)
            assert words in answer.json()["detail"], (method, path)
    for method, path in PUBLIC_UNSAFE:
        answer = await ask(browser, method, path, foreign)
        assert answer.status_code in {403, 422}, (method, path)
    assert house.asked == []
    assert (await alice.get("/api/auth/me")).status_code == 200, "nobody was signed out"


async def test_a_reading_key_is_turned_away_wherever_something_changes_or_is_administered(house: House) -> None:
    _, made = await key_of(house, Scope.READ)
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    program = house.client()
    let_in = {(m, p) for m, p in SIGNED_IN if (await ask(program, m, p, bearer)).status_code not in {401, 403}}
    may = {(m, p) for m, p in SIGNED_IN if m in SAFE and not p.startswith(ADMINISTRATION)}
    may |= {(m, p) for m, p in SIGNED_IN if p in LOOKING}
    assert let_in == may


async def test_a_trading_key_administers_nothing_and_a_signalling_key_only_signals(house: House) -> None:
    program = house.client()
    let_in = {}
    for scope, owner in ((Scope.TRADE, "alice"), (Scope.SIGNAL, "bob"), (Scope.ADMIN, "carol")):
        _, made = await key_of(house, scope, name=owner)
        bearer = {"Authorization": f"Bearer {made['secret']}"}
        let_in[scope] = {
            (m, p) for m, p in SIGNED_IN if (await ask(program, m, p, bearer)).status_code not in {401, 403}
        }
    administration = {
        (m, p) for m, p in SIGNED_IN if p.startswith(ADMINISTRATION) or (m, p) == ("put", "/api/settings")
    }
    assert let_in[Scope.TRADE] & administration == set()
    assert let_in[Scope.SIGNAL] == SIGNALS_ONLY
    assert administration <= let_in[Scope.ADMIN] | {("post", "/api/auth/password")}
