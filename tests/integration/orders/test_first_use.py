"""Settings, the PAPER account and the kill switch, made at first use."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.common.db import Unit
from libs.common.testing import eventually
from services.orders import store_accounts, store_kills, store_requests
from services.orders.accounts import settled_in
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


async def test_first_uses_at_once_make_one_account(house: House) -> None:
    settings = await asyncio.gather(*(settled_in(house.deps, "newcomer") for _ in range(8)))
    async with house.deps.db.for_user("newcomer") as unit:
        accounts = await store_accounts.accounts_of(unit, "newcomer")
    assert len(accounts) == 1
    assert {found.account_id for found in settings} == {accounts[0].account_id}


async def is_engaged(unit: Unit, user: str) -> bool:
    return await store_kills.is_engaged(unit, user)


async def is_let_in(unit: Unit, user: str) -> bool:
    [account] = await store_accounts.accounts_of(unit, user)
    return (await store_requests.admit(unit, account)).is_killed


@pytest.mark.parametrize("ask", [is_engaged, is_let_in])
async def test_a_switch_that_is_engaged_at_its_first_use_is_seen_by_who_waited_for_it(
    house: House, ask: Callable[[Unit, str], Awaitable[bool]]
) -> None:
    async def asked() -> bool:
        async with house.db.for_user(house.user) as unit:
            return await ask(unit, house.user)

    async def waits() -> bool:
        async with house.admin() as admin:
            sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and usename = 'orders_service'"
            return bool(await admin.fetchval(sql))

    async with house.admin() as admin:
        assert not await admin.fetchval("select count(*) from orders.kill_switches")
    async with house.db.for_user(house.user) as unit:
        await store_kills.lock(unit, house.user)
        await store_kills.turn(unit, house.user, engaged=True)
        asking = asyncio.create_task(asked())
        await eventually(waits)
    assert await asking
