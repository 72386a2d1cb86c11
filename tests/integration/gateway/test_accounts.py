"""Sign-in, sessions, passwords and keys over HTTP; limits §5: 31, 33, 34, 35."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from libs.common.messages.gateway import UserRegistered
from libs.common.testing import eventually
from services.gateway.names import RESERVED
from tests.integration.gateway.house import PASSWORD, UNSAFE, House, running

pytestmark = pytest.mark.integration

LOGIN = "/api/auth/login"


def code(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["correlation_id"] == answer.headers["x-correlation-id"]
    assert problem["status"] == answer.status_code
    return str(problem["code"])


async def test_a_new_user_is_signed_in_and_can_sign_in_again(house: House) -> None:
    alice = await house.signed_in("alice")
    me = (await alice.get("/api/auth/me")).json()
    assert (me["username"], me["is_admin"], me["via"]) == ("alice", False, "session")

    again = house.client()
    answer = await again.post(LOGIN, json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await again.get("/api/auth/me")).json()["username"] == "alice"


async def test_registration_is_told_to_the_other_services(house: House) -> None:
    await house.signed_in("alice")

    async def told() -> int | None:
        async with house.database.admin() as admin:
            rows = await admin.fetch("select subject, published_at from gateway.outbox where username = 'alice'")
        return len(rows) == 1 and rows[0]["subject"] == UserRegistered.subject("alice") and rows[0]["published_at"]

    await eventually(told)


@pytest.mark.parametrize(
    "name",
    [
        "SYSTEM", "system", "_", "a", "ab", "*", ">", "evt.>", "bob.bot", "bob bot", "bob*", "Bob", "-bob",
        "bob_tenant", "gateway_worker", "bookend_owner", "pg_read_all_data", "postgres", "admin", "a" * 33,
        "bob\u0000x", "bób", "' or 1=1", "orders", "public",
    ],
)  # fmt: skip
async def test_a_name_that_looks_like_a_subject_a_role_or_the_system_is_refused(house: House, name: str) -> None:
    answer = await house.client().post("/api/auth/register", json={"username": name, "password": PASSWORD})
    assert answer.status_code == 422
    assert code(answer) == "invalid_input"


def test_reserved_names_are_names_that_could_be_taken_otherwise() -> None:
    from services.gateway.names import is_possible

    assert all(is_possible(name) for name in RESERVED if len(name) > 2)


async def test_a_taken_name_is_a_conflict_and_keeps_its_password(house: House) -> None:
    await house.signed_in("alice")
    client = house.client()
    answer = await client.post("/api/auth/register", json={"username": "alice", "password": "another password"})
    assert (answer.status_code, code(answer)) == (409, "conflict")
    assert (await client.post(LOGIN, json={"username": "alice", "password": PASSWORD})).status_code == 200


async def test_closed_registration_says_so(house: House) -> None:
    async with running(house.database, house.nats, registration="closed") as closed:
        answer = await closed.client().post("/api/auth/register", json={"username": "carol", "password": PASSWORD})
        assert (answer.status_code, code(answer)) == (403, "forbidden")


async def test_nobody_gets_in_without_a_session_or_key(house: House) -> None:
    client = house.client()
    for path in ("/api/auth/me", "/api/trades", "/api/stream", "/api/settings", "/api/keys", "/api/system/status"):
        assert (await client.get(path)).status_code == 401, path
    for given in ("Bearer bk_nothing", "Bearer x", "Basic YTpi", "bk_", "Bearer bk_" + "x" * 5000):
        answer = await client.get("/api/auth/me", headers={"Authorization": given})
        assert (answer.status_code, code(answer)) == (401, "unauthenticated")
    assert (await client.get("/api/auth/me", headers={"Cookie": "bookend_session=guess"})).status_code == 401


async def test_an_unsafe_request_with_the_cookie_needs_our_header_and_our_origin(house: House) -> None:
    alice = await house.signed_in("alice")
    forged = house.client(cookies=dict(alice.cookies))
    body = {"name": "stolen", "scopes": ["read"]}
    assert code(await forged.post("/api/keys", json=body)) == "forbidden"
    assert code(await forged.post("/api/keys", json=body, headers={"X-Bookend": "0"})) == "forbidden"
    other_site = {**UNSAFE, "Origin": "https://evil.example"}
    assert code(await forged.post("/api/keys", json=body, headers=other_site)) == "forbidden"
    assert code(await forged.post("/api/auth/logout", headers=other_site)) == "forbidden"
    own = {**UNSAFE, "Origin": house.url}
    assert (await forged.post("/api/keys", json=body, headers=own)).status_code == 201
    form = await forged.post("/api/keys", content="name=x", headers={**own, "Content-Type": "text/plain"})
    assert form.status_code == 422
    assert len((await alice.get("/api/keys")).json()["keys"]) == 1


async def test_another_site_cannot_sign_a_browser_in(house: House) -> None:
    await house.signed_in("alice")
    answer = await house.client().post(
        LOGIN, json={"username": "alice", "password": PASSWORD}, headers={"Origin": "https://evil.example"}
    )
    assert code(answer) == "forbidden"


async def test_signing_in_never_keeps_a_session_that_was_there_before(house: House) -> None:
    alice = await house.signed_in("alice")
    fixed = alice.cookies["bookend_session"]
    answer = await alice.post(LOGIN, json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200
    assert alice.cookies["bookend_session"] != fixed
    assert (await house.client(cookies={"bookend_session": fixed}).get("/api/auth/me")).status_code == 401
    assert (await alice.get("/api/auth/me")).status_code == 200


async def test_a_session_is_over_after_logout_wherever_its_cookie_went(house: House) -> None:
    alice = await house.signed_in("alice")
    copy = house.client(cookies=dict(alice.cookies))
    assert (await alice.post("/api/auth/logout")).status_code == 204
    assert "bookend_session" not in alice.cookies
    assert (await copy.get("/api/auth/me")).status_code == 401
    assert (await alice.post("/api/auth/logout")).status_code == 204


async def test_a_changed_password_ends_the_other_sessions_and_the_old_password(house: House) -> None:
    here = await house.signed_in("alice")
    there = house.client()
    await there.post(LOGIN, json={"username": "alice", "password": PASSWORD})
    wrong = await here.post("/api/auth/password", json={"current_password": "no", "new_password": "a new password"})
    assert (wrong.status_code, code(wrong)) == (403, "forbidden")
    assert (await there.get("/api/auth/me")).status_code == 200

    change = {"current_password": PASSWORD, "new_password": "a new password"}
    assert (await here.post("/api/auth/password", json=change)).status_code == 204
    assert (await here.get("/api/auth/me")).status_code == 200
    assert (await there.get("/api/auth/me")).status_code == 401
    assert (await there.post(LOGIN, json={"username": "alice", "password": PASSWORD})).status_code == 401
    assert (await there.post(LOGIN, json={"username": "alice", "password": "a new password"})).status_code == 200


async def test_guessing_is_slowed_down_from_one_address_and_the_owner_still_gets_in_from_another(house: House) -> None:
    owner = await house.signed_in("alice", transport=httpx.AsyncHTTPTransport(local_address="127.0.0.2"))
    thief = house.client()
    guesses = [await thief.post(LOGIN, json={"username": "alice", "password": f"guess {n}"}) for n in range(12)]
    statuses = [guess.status_code for guess in guesses]
    assert statuses[:5] == [401] * 5
    assert 429 in statuses
    throttled = guesses[statuses.index(429)]
    assert code(throttled) == "throttled"
    assert int(throttled.headers["retry-after"]) >= 1
    answer = await owner.post(LOGIN, json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200


async def test_parallel_guesses_get_no_more_tries_than_guesses_one_by_one(house: House) -> None:
    await house.signed_in("alice")
    thief = house.client()
    answers = await asyncio.gather(
        *(thief.post(LOGIN, json={"username": "alice", "password": f"guess {n}"}) for n in range(40))
    )
    assert sum(answer.status_code == 401 for answer in answers) <= 6


async def test_many_right_sign_ins_of_one_user_at_once_all_get_in(house: House) -> None:
    await house.signed_in("alice")
    clients = [house.client() for _ in range(25)]
    answers = await asyncio.gather(
        *(client.post(LOGIN, json={"username": "alice", "password": PASSWORD}) for client in clients)
    )
    assert {answer.status_code for answer in answers} == {200}


async def test_a_known_and_an_unknown_name_cost_the_same_time_and_answer_alike(house: House) -> None:
    async with running(house.database, house.nats, argon2_memory_kib=8192, argon2_rounds=2) as real:
        await real.signed_in("alice")
        client = real.client()

        async def timed(name: str) -> tuple[float, str]:
            began = time.perf_counter()
            answer = await client.post(LOGIN, json={"username": name, "password": "wrong"})
            assert answer.status_code == 401
            return time.perf_counter() - began, answer.json()["detail"]

        # By turns and by the quietest of each: what else the machine does hits all three alike.
        turns = [
            (await timed("alice"), await timed(f"nobody{turn}"), await timed(f"No.Body{turn}")) for turn in range(4)
        ]
    assert len({detail for turn in turns for _, detail in turn}) == 1
    least = [min(took for took, _ in kind) for kind in zip(*turns, strict=True)]
    assert max(least) < 3 * min(least), least


async def test_passwords_tokens_and_keys_are_stored_only_as_hashes(house: House) -> None:
    alice = await house.signed_in("alice")
    key = (await alice.post("/api/keys", json={"name": "bot", "scopes": ["read"]})).json()["secret"]
    async with house.database.admin() as admin:
        tables = await admin.fetch(
            "select relname from pg_class join pg_namespace n on n.oid = relnamespace "
            "where nspname = 'gateway' and relkind = 'r'"
        )
        texts = [str(await admin.fetch(f"select * from gateway.{row['relname']}")) for row in tables]
    stored = "\n".join(texts)
    assert "alice" in stored
    for secret in (PASSWORD, alice.cookies["bookend_session"], key):
        assert secret not in stored


async def test_the_administrators_command_makes_a_user_whatever_registration_says(house: House) -> None:
    from services.gateway.admin import add_user
    from tests.integration.gateway.house import settings_for

    settings = settings_for(house.database, house.nats, registration="closed")
    await add_user(settings, "carol", PASSWORD, is_admin=True)
    client = house.client()
    assert (await client.post(LOGIN, json={"username": "carol", "password": PASSWORD})).json()["is_admin"] is True
