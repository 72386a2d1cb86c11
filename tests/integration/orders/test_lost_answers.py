"""The database goes away after a request was stored: the caller is never told that nothing happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from libs.common.db import Database, Unit
from libs.common.errors import NoAnswer, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


class Frail:
    """A database that is away after a number of units, for the request that is tested and the flow it starts."""

    def __init__(self, db: Database, units: int) -> None:
        self._db = db
        self._left = units

    @asynccontextmanager
    async def for_user(self, username: str, **how: Any) -> AsyncIterator[Unit]:
        if self._left == 0:
            raise UpstreamUnavailable("the database is not reachable")
        self._left -= 1
        async with self._db.for_user(username, **how) as unit:
            yield unit


def frail(house: House, units: int) -> House:
    return replace(house, deps=replace(house.deps, db=cast("Database", Frail(house.db, units))))


@pytest.mark.parametrize("units", [2, 3, 4])
async def test_a_placed_order_whose_answer_is_lost_may_have_been_placed(house: House, units: int) -> None:
    command = house.placing()
    with pytest.raises(NoAnswer, match="same key"):
        await frail(house, units).ask(command)
    async with house.database.admin() as admin:
        sql = "select id from orders.trades where username = $1 and idempotency_key = $2"
        trade_id = await admin.fetchval(sql, house.user, command.idempotency_key)
    assert await house.until_resting(trade_id)
    await check(house)


async def test_nothing_was_stored_when_the_database_is_away_before(house: House) -> None:
    for units in (0, 1):
        command = house.placing()
        with pytest.raises(UpstreamUnavailable):
            await frail(house, units).ask(command)
    assert await house.sim.orders(house.account_id) == []


async def test_a_close_whose_answer_is_lost_may_have_been_done(house: House) -> None:
    held = await house.protected()
    command = CloseTrade(idempotency_key=new_id(), trade_id=held["id"], version=held["version"])
    with pytest.raises(NoAnswer, match="same key"):
        await frail(house, 2).ask(command)
    await house.until(held["id"], status="CLOSED", within_s=15)
    await check(house)
