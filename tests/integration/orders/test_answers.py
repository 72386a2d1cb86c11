"""A key is answered from what is stored, however the first request ended."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.beats import Crash, CrashAt
from libs.common.errors import Expired, IdempotencyInProgress
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade
from libs.common.testing import TestDatabase, eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house

pytestmark = pytest.mark.integration

PLACING = r"/accounts/[^/]+/orders$"


async def dies_at(database: TestDatabase, world: str, beat: str) -> tuple[str, House]:
    """Let a process die at a beat while it places; returns its key."""
    key = new_id()
    try:
        async with a_house(database, world, user="ann", beats=CrashAt(name=beat), lease_s=2.0) as house:
            await house.ask(house.placing(idempotency_key=key))
    except* Crash:
        pass
    return key, house


@pytest.mark.parametrize("beat", ["orders.place.intent", "orders.send.marked", "orders.send.answered"])
async def test_a_key_whose_first_request_died_is_answered_at_once(
    database: TestDatabase, world: str, beat: str
) -> None:
    key, first = await dies_at(database, world, beat)
    async with a_house(database, world, user="ann", lease_s=2.0) as house:
        house.contract = first.contract
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        reply = await house.ask(house.placing(idempotency_key=key))
        assert loop.time() - asked_at < 1.0
        assert (reply.status, reply.headers["Idempotent-Replayed"]) == (202, "true")
        trade_id = reply.json()["id"]

        async def is_settled() -> bool:
            row = await house.trade(trade_id)
            return bool(row["protection"] == "PROTECTED" or row["status"] == "CLOSED")

        await eventually(is_settled, within_s=12)
        await check(house)


async def test_a_key_is_in_progress_only_while_its_first_request_is_being_answered(house: House) -> None:
    await house.fault("slow", path=PLACING, delay_ms=700)
    command = house.placing()
    first = asyncio.create_task(house.ask(command))

    async def is_stored() -> bool:
        return (house.user, command.idempotency_key) in house.deps.answering

    await eventually(is_stored)
    with pytest.raises(IdempotencyInProgress):
        await house.ask(command)
    trade_id = (await first).json()["id"]
    assert house.deps.answering == set()
    assert (await house.ask(command)).json()["id"] == trade_id


async def test_an_intent_that_nobody_sent_ends_as_never_sent_when_its_time_is_over(
    database: TestDatabase, world: str
) -> None:
    key, first = await dies_at(database, world, "orders.place.intent")
    async with a_house(database, world, user="ann", lease_s=2.0) as house:
        house.contract = first.contract
        async with house.database.admin() as admin:
            await admin.execute("update orders.broker_orders set send_by = clock_timestamp()")
            trade_id = await admin.fetchval("select id from orders.trades")
        row = await house.until(trade_id, status="CLOSED", within_s=12)
        assert (row["close_reason"], row["reason"]) == ("CANCELLED", "never sent")
        assert await house.sim.orders(house.account_id) == []
        with pytest.raises(Expired):
            await house.ask(house.placing(idempotency_key=key))


async def test_a_close_whose_first_request_died_is_answered_at_once(database: TestDatabase, world: str) -> None:
    key = new_id()
    async with a_house(database, world, user="ann", lease_s=2.0) as house:
        trade = await house.protected()
    command = CloseTrade(idempotency_key=key, trade_id=trade["id"], version=trade["version"])
    try:
        beats = CrashAt(name="orders.cancel.marked")
        async with a_house(database, world, user="ann", beats=beats, lease_s=2.0) as house:
            await house.ask(command)
    except* Crash:
        pass
    async with a_house(database, world, user="ann", lease_s=2.0) as house:
        reply = await house.ask(command)
        assert (reply.status, reply.json()["status"]) == (202, "CLOSING")
        await house.until(trade["id"], status="CLOSED", within_s=12)
        assert (await house.ask(command)).status == 200
        await check(house)
