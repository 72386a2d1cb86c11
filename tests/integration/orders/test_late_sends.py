"""An entry has its time: past it, neither who stood still nor who takes over sends it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from libs.common.errors import AppError, Expired, UpstreamUnavailable
from libs.common.handlers import Reply
from libs.common.testing import TestDatabase, eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import QUICK, House, a_house
from tests.integration.orders.trials import Ahead, Mark, Observer

pytestmark = pytest.mark.integration

SHORT = replace(QUICK, send_by_s=0.5)


async def stood_still(house: House, observer: Observer, mark: str, meanwhile: Callable[[], Awaitable[None]]) -> object:
    """Place, stand still at a mark until `meanwhile` is over, and return what the caller was told."""
    observer.arm(Mark(mark, 1), observer.freeze)
    placing = asyncio.create_task(house.ask(house.placing()))
    await observer.reached.wait()
    await meanwhile()
    observer.thaw()
    try:
        reply: Reply = await placing
    except AppError as error:
        return error
    return reply


async def test_an_entry_marked_as_sent_is_not_sent_after_its_time(database: TestDatabase, world: str) -> None:
    observer, clock = Observer(), Ahead()
    async with a_house(database, world, beats=observer, clock=clock, lease_s=30) as house:

        async def time_passes() -> None:
            clock.wall_ahead_s = QUICK.send_by_s + 1

        told = await stood_still(house, observer, "orders.send.marked", time_passes)
        assert isinstance(told, UpstreamUnavailable)
        trade_id = await house.only_trade()
        assert trade_id is not None
        await house.until(trade_id, status="CLOSED", close_reason="REJECTED", reason="not_placed")
        assert await house.sim.writes(house.account_id) == []
        await check(house)


async def test_an_intent_is_not_sent_after_its_time_by_who_stored_it(database: TestDatabase, world: str) -> None:
    observer = Observer()
    async with a_house(database, world, beats=observer, waits=SHORT, lease_s=30) as house:
        told = await stood_still(house, observer, "orders.place.intent", lambda: time_is_over(house))
        assert isinstance(told, Expired)
        await was_never_sent(house)


async def test_an_intent_is_not_sent_after_its_time_by_who_takes_over(database: TestDatabase, world: str) -> None:
    observer = Observer()
    async with (
        a_house(database, world, beats=observer, waits=SHORT, lease_s=30) as house,
        a_house(database, world, waits=SHORT, user=house.user, quote=None) as other,
    ):

        async def another_takes_over() -> None:
            await time_is_over(house)
            house.stopping.set()
            await house.let_claims_end()
            await was_never_sent(other)

        told = await stood_still(house, observer, "orders.place.intent", another_takes_over)
        assert isinstance(told, Expired)
        await was_never_sent(other)


async def time_is_over(house: House) -> None:
    """Wait until the entry may not be sent any more."""
    sql = "select count(*) = 1 from orders.broker_orders where username = $1 and send_by < clock_timestamp()"

    async def is_over() -> bool:
        async with house.database.admin() as admin:
            return bool(await admin.fetchval(sql, house.user))

    await eventually(is_over)


async def was_never_sent(house: House) -> None:
    """Hold that the trade ends as cancelled and that the broker heard nothing."""
    trade_id = await house.only_trade()
    assert trade_id is not None
    await house.until(trade_id, status="CLOSED", close_reason="CANCELLED", reason="never sent")
    assert await house.sim.writes(house.account_id) == []
    await check(house)
