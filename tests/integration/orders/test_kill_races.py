"""The kill switch engaged while flows stand in its way: it waits for no trade, and no flow is undone by it."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from libs.common.messages.orders import Entry
from libs.common.messages.vocabulary import EntryType
from services.orders import kills, store, store_kills
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration

LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50"))


async def test_engaging_waits_for_no_flow_that_asks_for_the_switch_with_its_trade_locked(house: House) -> None:
    trade = await house.place(entry=LOW)
    async with house.db.for_user(house.user) as unit:
        await store.lock_view(unit, trade["id"])
        # Who waited for the flow here would wait until the server gives up.
        async with asyncio.timeout(10):
            await kills.turn(house.deps, house.context(), engaged=True)
        assert await store_kills.is_engaged(unit, house.user)
    await house.until(trade["id"], status="CLOSED", close_reason="KILL_SWITCH")
