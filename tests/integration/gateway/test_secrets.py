"""What nobody may read stays out of logs, answers and facts, and what a page may do is bounded. Limits §5: 38, 40."""

from __future__ import annotations

import pytest

from libs.common.errors import UpstreamAuth
from libs.common.messages.orders import PlaceTrade, StoreCredentials
from tests.integration.gateway.house import PASSWORD, House

pytestmark = pytest.mark.integration

TOKEN = "broker-token-that-nobody-may-see"


async def test_no_password_token_session_or_key_reaches_a_log_a_fact_or_an_error(
    house: House, capfd: pytest.CaptureFixture[str]
) -> None:
    house.answers[StoreCredentials] = UpstreamAuth("the broker refused the token")
    alice = await house.signed_in("alice")
    secrets = [PASSWORD, TOKEN, alice.cookies["bookend_session"]]
    made = (await alice.post("/api/keys", json={"name": "bot", "scopes": ["admin"]})).json()
    secrets.append(made["secret"])
    body = {"broker_mode": "TRADIER_SANDBOX", "account_id": "VA1", "token": TOKEN}
    answers = [
        await alice.put("/api/settings/credentials", json=body),
        await alice.put("/api/settings/credentials", json={**body, "account_id": "!"}),
        await alice.put("/api/settings/credentials", json={**body, "surprise": TOKEN}),
        await alice.post("/api/auth/login", json={"username": "alice", "password": PASSWORD, "surprise": PASSWORD}),
        await alice.post("/api/auth/login", json={"username": [PASSWORD], "password": PASSWORD}),
        await alice.get("/api/trades", headers={"Authorization": f"Bearer {made['secret']}x"}),
        await alice.get(f"/api/trades?cursor={TOKEN}"),
        await alice.get(f"/api/nothing/{TOKEN[:5]}"),
    ]
    assert all(answer.status_code >= 400 for answer in answers)
    async with house.database.admin() as admin:
        facts = str(await admin.fetch("select * from gateway.outbox"))
        audit = str(await admin.fetch("select * from gateway.audit"))
    logged = "".join(capfd.readouterr())
    for secret in secrets:
        for where in (logged, facts, audit, *(answer.text for answer in answers)):
            assert secret not in where


async def test_a_script_in_a_text_comes_back_as_text_under_a_policy_that_runs_none(house: House) -> None:
    script = "<script>alert(1)</script>"
    house.answers[PlaceTrade] = lambda command, _ctx: {"strategy": command.strategy}
    alice = await house.signed_in("alice")
    body = {
        "ticker": "SPY", "option_type": "CALL", "strike": 580, "expiry": "2026-12-18", "qty": 1,
        "entry": {"type": "market"}, "strategy": script,
    }  # fmt: skip
    answer = await alice.post("/api/trades", json=body, headers={"Idempotency-Key": "k"})
    assert answer.json() == {"strategy": script}
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "script-src" not in policy
    assert answer.headers["referrer-policy"] == "no-referrer"


async def test_an_address_that_is_nobodys_is_a_problem_and_a_wrong_method_says_so(house: House) -> None:
    client = house.client()
    assert (await client.get("/api/nothing")).json()["code"] == "not_found"
    assert (await client.get("/nothing")).status_code == 404
    wrong = await client.delete("/api/auth/me")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "Bookend"
    assert (await client.get("/livez")).status_code == 200
    assert (await client.get("/readyz")).json()["ready"] is True
    assert "bookend_stream_readers" in (await client.get("/metrics")).text
