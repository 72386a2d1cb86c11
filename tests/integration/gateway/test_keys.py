"""API keys: scopes, and their end."""

from __future__ import annotations

import httpx
import pytest

from libs.common.handlers import Reply
from libs.common.messages.monitor import SyncNow
from libs.common.messages.orders import ListTrades, PlaceTrade
from libs.common.messages.safety import CheckTrade
from libs.common.messages.signals import ApproveSignal
from tests.integration.gateway.house import PASSWORD, House

pytestmark = pytest.mark.integration

PLACE = {
    "ticker": "SPY", "option_type": "CALL", "strike": 580, "expiry": "2026-12-18", "qty": 1,
    "entry": {"type": "market"},
}  # fmt: skip


async def keyed(house: House, owner: httpx.AsyncClient, *scopes: str) -> tuple[httpx.AsyncClient, str]:
    made = await owner.post("/api/keys", json={"name": "bot", "scopes": list(scopes)})
    assert made.status_code == 201, made.text
    key = made.json()
    return house.client(headers={"Authorization": f"Bearer {key['secret']}"}), key["id"]


async def test_a_key_is_shown_once_and_does_what_its_scopes_say(house: House) -> None:
    house.answers[ListTrades] = {"trades": [], "next_cursor": None}
    house.answers[PlaceTrade] = {"id": "t1"}
    alice = await house.signed_in("alice")
    reader, _ = await keyed(house, alice, "read")
    trader, _ = await keyed(house, alice, "trade")
    admin, _ = await keyed(house, alice, "admin")
    signaller, _ = await keyed(house, alice, "signal")
    key = {"Idempotency-Key": "k1"}

    can_read = [(await program.get("/api/trades")).status_code for program in (reader, trader, admin, signaller)]
    can_trade = [
        (await program.post("/api/trades", json=PLACE, headers=key)).status_code
        for program in (reader, trader, admin, signaller)
    ]
    can_administer = [(await program.get("/api/keys")).status_code for program in (reader, trader, admin, signaller)]
    assert can_read == [200, 200, 200, 403]
    assert can_trade == [403, 200, 200, 403]
    assert can_administer == [403, 403, 200, 403]

    listed = (await alice.get("/api/keys")).json()["keys"]
    assert len(listed) == 4
    assert not any("secret" in key for key in listed)
    assert (await reader.get("/api/auth/me")).json()["scopes"] == ["read"]


async def test_only_a_key_that_may_trade_asks_for_a_sync_and_only_one_for_the_account_changes_the_password(
    house: House,
) -> None:
    house.answers[SyncNow] = Reply.of({"accounts": []}, 202)
    alice = await house.signed_in("alice")
    keys = [(await keyed(house, alice, scope))[0] for scope in ("read", "trade", "admin")]
    assert [(await key.post("/api/sync")).status_code for key in keys] == [403, 202, 202]
    change = {"current_password": PASSWORD, "new_password": "another long password"}
    assert [(await key.post("/api/auth/password", json=change)).status_code for key in keys] == [403, 403, 204]


async def test_a_revoked_key_is_over_at_once(house: House) -> None:
    alice = await house.signed_in("alice")
    program, key_id = await keyed(house, alice, "read")
    assert (await program.get("/api/auth/me")).status_code == 200
    assert (await alice.delete(f"/api/keys/{key_id}")).status_code == 204
    assert (await program.get("/api/auth/me")).status_code == 401
    assert (await alice.delete(f"/api/keys/{key_id}")).status_code == 404


async def test_another_users_key_is_not_there(house: House) -> None:
    alice, bob = await house.signed_in("alice"), await house.signed_in("bob")
    program, key_id = await keyed(house, alice, "read")
    assert (await bob.delete(f"/api/keys/{key_id}")).status_code == 404
    assert (await bob.get("/api/keys")).json() == {"keys": []}
    assert (await program.get("/api/auth/me")).json()["username"] == "alice"


async def test_a_user_holds_a_bounded_number_of_keys(house: House) -> None:
    alice = await house.signed_in("alice")
    async with house.database.admin() as admin:
        await admin.execute(
            "insert into gateway.api_keys (id, username, name, key_hash, scopes) "
            "select n::text, 'alice', 'k', n::text, array['read'] from generate_series(1, 50) n"
        )
    answer = await alice.post("/api/keys", json={"name": "one more", "scopes": ["read"]})
    assert (answer.status_code, answer.json()["code"]) == (409, "limit_exceeded")


async def test_a_key_needs_no_header_against_forgery_since_no_browser_sends_it(house: House) -> None:
    alice = await house.signed_in("alice")
    program, _ = await keyed(house, alice, "admin")
    assert (await program.post("/api/keys", json={"name": "another", "scopes": ["read"]})).status_code == 201


async def test_who_acts_is_told_with_where_he_sits(house: House) -> None:
    house.answers[PlaceTrade] = {"id": "t1"}
    alice = await house.signed_in("alice")
    program, _ = await keyed(house, alice, "trade")
    firefox = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0"}
    await alice.post("/api/trades", json=PLACE, headers={"Idempotency-Key": "k1", **firefox})
    await program.post("/api/trades", json=PLACE, headers={"Idempotency-Key": "k2"})
    (_, by_hand), (_, by_program) = house.asked
    assert by_hand.via is not None
    assert by_hand.via.startswith("the page (Firefox on Linux)")
    assert by_program.via is not None
    assert by_program.via.startswith("API key bot")


async def test_whoever_asks_with_a_key_asks_as_a_program_wherever_real_money_may_move(house: House) -> None:
    house.answers |= {
        PlaceTrade: {"id": "t1"},
        CheckTrade: {"limits": [], "refusal": None},
        ApproveSignal: {"id": "s1"},
    }
    alice = await house.signed_in("alice")
    program, _ = await keyed(house, alice, "trade")
    for caller in (alice, program):
        await caller.post("/api/trades", json=PLACE, headers={"Idempotency-Key": "k1"})
        await caller.post("/api/trades/check", json={**PLACE, "broker_mode": "PAPER"})
        await caller.post("/api/signals/s1/approve")
    told = [(type(message), getattr(message, "by_program", None)) for message, _ in house.asked]
    kinds = (PlaceTrade, CheckTrade, ApproveSignal)
    assert told == [(kind, by_program) for by_program in (False, True) for kind in kinds]
    assert [message.broker_mode for message, _ in house.asked if isinstance(message, CheckTrade)] == ["PAPER", "PAPER"]
