"""The audit: what the gateway noted and what orders noted, as one list."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common import cursor
from libs.common.errors import InvalidInput
from libs.common.handlers import Context
from libs.common.messages.accounts import ListAudit
from tests.integration.gateway.house import PASSWORD, House

pytestmark = pytest.mark.integration

FIREFOX = {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64) Firefox/130.0", "X-Bookend": "1"}


class Ledger:
    """Orders' part of the audit, answering as orders does."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def add(self, text: str) -> None:
        at = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        line = {"id": f"{len(self.lines):036}", "at": at, "kind": "limits_changed", "actor": "alice", "text": text}
        self.lines.append(line | {"data": {}, "via": "API key ops"})

    def answer(self, asked: ListAudit, ctx: Context) -> dict[str, Any]:
        after = cursor.decode(asked.cursor)
        place = after and (after[0].isoformat(timespec="microseconds").replace("+00:00", "Z"), after[1])
        older = [line for line in self.lines if place is None or (line["at"], line["id"]) < place]
        return {"entries": sorted(older, key=lambda line: (line["at"], line["id"]), reverse=True)[: asked.limit]}


async def test_sign_ins_keys_and_changes_of_limits_are_one_list_newest_first_page_by_page(house: House) -> None:
    ledger = Ledger()
    house.answers[ListAudit] = ledger.answer
    alice = await house.signed_in("alice")
    ledger.add("heat_limit_pct from 6.0 to 8.0")
    key = (await alice.post("/api/keys", json={"name": "scanner", "scopes": ["read", "trade"]})).json()
    wrong = {"username": "alice", "password": "not this one"}
    assert (await house.client().post("/api/auth/login", json=wrong)).status_code == 401
    elsewhere = house.client(headers=FIREFOX)
    await elsewhere.post("/api/auth/login", json={"username": "alice", "password": PASSWORD})
    ledger.add("max_positions from 5 to 2")
    await alice.delete(f"/api/keys/{key['id']}")
    await elsewhere.post("/api/auth/logout")

    lines: list[dict[str, Any]] = []
    following: str | None = ""
    while following is not None:
        asked = {"limit": 2} | ({"cursor": following} if following else {})
        found = (await alice.get("/api/audit", params=asked)).json()
        lines, following = lines + found["entries"], found["next_cursor"]
        assert len(found["entries"]) <= 2
    assert [line["text"] for line in reversed(lines)] == [
        "account made, signed in",
        "heat_limit_pct from 6.0 to 8.0",
        "API key scanner made, for read, trade",
        "a sign-in with a wrong password was refused",
        "signed in",
        "max_positions from 5 to 2",
        "API key scanner revoked",
        "signed out",
    ]
    assert lines == (await alice.get("/api/audit", params={"limit": 200})).json()["entries"]
    assert lines[0]["via"] == lines[3]["via"] == "the page (Firefox on Linux), 127.0.0.1"
    assert key["secret"] not in str(lines)
    assert PASSWORD not in str(lines)


async def test_nobody_sees_anothers_audit_and_a_key_that_may_only_trade_sees_none(house: House) -> None:
    house.answers[ListAudit] = {"entries": []}
    await house.signed_in("alice")
    bob = await house.signed_in("bob")
    assert {line["actor"] for line in (await bob.get("/api/audit")).json()["entries"]} == {"bob"}
    key = (await bob.post("/api/keys", json={"name": "scanner", "scopes": ["trade"]})).json()
    program = house.client(headers={"Authorization": f"Bearer {key['secret']}"})
    assert (await program.get("/api/audit")).status_code == 403


async def test_a_cursor_that_is_not_ours_is_refused_and_without_orders_nothing_is_passed_off_as_whole(
    house: House,
) -> None:
    house.answers[ListAudit] = InvalidInput("this cursor is not one of ours")
    alice = await house.signed_in("alice")
    assert (await alice.get("/api/audit", params={"cursor": "bm9uc2Vuc2U"})).status_code == 422
    del house.answers[ListAudit]
    assert (await alice.get("/api/audit")).status_code == 503
