"""One trade at the waits of production: nothing in the flows leans on the short ones of the other tests."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade
from libs.common.testing import TestDatabase
from services.orders.steps import Waits
from tests.integration.orders.checker import check
from tests.integration.orders.house import a_house

pytestmark = pytest.mark.integration


async def test_a_trade_is_placed_protected_moved_and_closed_at_the_real_waits(
    database: TestDatabase, world: str
) -> None:
    async with a_house(database, world, waits=Waits(), lease_s=10.0) as house:
        trade = await house.place()
        trade = await house.until(trade["id"], within_s=20, protection="PROTECTED", status="FILLED")
        command = AdjustTrade(
            idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
        )
        assert (await house.ask(command)).status == 200
        trade = await house.until(trade["id"], within_s=20, protection="PROTECTED", tp_price=Decimal("7.00"))
        reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
        assert reply.status in (200, 202)
        await house.until(trade["id"], within_s=20, status="CLOSED", close_reason="MANUAL_CLOSE")
        await check(house)
        await house.until_quiet(trade["id"], within_s=20)


async def test_a_sale_that_was_lost_is_proven_lost_and_sold_within_ten_seconds(
    database: TestDatabase, world: str
) -> None:
    async with a_house(database, world, waits=Waits(), lease_s=10.0) as house:
        trade = await house.protected()
        await house.fault("drop_before", path=r"/accounts/[^/]+/orders$", delay_ms=0)
        await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
        await house.until(trade["id"], within_s=10, status="CLOSED", close_reason="MANUAL_CLOSE")
        await check(house)
