"""Sign-in, sessions, passwords and keys over HTTP."""

from __future__ import annotations

import asyncio

import pytest

from tests.integration.gateway.house import PASSWORD, UNSAFE, House

pytestmark = pytest.mark.integration


async def test_a_new_user_is_signed_in_and_can_sign_in_again(house: House) -> None:
    alice = await house.signed_in("alice")
    me = (await alice.get("/api/auth/me")).json()
    assert (me["username"], me["is_admin"], me["via"]) == ("alice", False, "session")

    again = house.client()
    answer = await again.post("/api/auth/login", json={"username": "alice", "password": PASSWORD})
    assert answer.status_code == 200
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert (await again.get("/api/auth/me")).json()["username"] == "alice"
