"""Settings and the PAPER account, made at first use."""

from __future__ import annotations

import asyncio

import pytest

from services.orders import store_accounts
from services.orders.accounts import settled_in
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


async def test_first_uses_at_once_make_one_account(house: House) -> None:
    settings = await asyncio.gather(*(settled_in(house.deps, "newcomer") for _ in range(8)))
    async with house.deps.db.for_user("newcomer") as unit:
        accounts = await store_accounts.accounts_of(unit, "newcomer")
    assert len(accounts) == 1
    assert {found.account_id for found in settings} == {accounts[0].account_id}
