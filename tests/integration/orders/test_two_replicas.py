"""Two devices, two replicas, the same moment: one wins, the others are told what is, and the broker hears it once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import cycle
from typing import Any

import pytest

from libs.common.errors import IdempotencyInProgress, IdempotencyMismatch, StaleVersion
from libs.common.handlers import Reply
from libs.common.ids import new_id
from libs.common.messages.base import Command
from libs.common.messages.orders import AdjustTrade, CloseTrade
from libs.common.testing import TestDatabase, eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house

pytestmark = pytest.mark.integration

MANY = 50


@pytest.fixture
async def replicas(database: TestDatabase, world: str) -> AsyncIterator[tuple[House, House]]:
    """Return two processes of orders, with one user."""
    async with a_house(database, world) as one, a_house(database, world, user=one.user, quote=None) as other:
        yield one, other


async def ask_all(replicas: tuple[House, House], commands: list[Command]) -> list[Any]:
    """Give commands to both replicas by turns, all at once; returns replies and errors."""
    asked = (house.ask(command) for house, command in zip(cycle(replicas), commands, strict=False))
    return list(await asyncio.gather(*asked, return_exceptions=True))


def only_winner(ends: list[Any], trade_id: str) -> Reply:
    """Hold that one request was carried out and every other was told the trade as it is."""
    winners = [end for end in ends if isinstance(end, Reply)]
    losers = [end for end in ends if not isinstance(end, Reply)]
    assert len(winners) == 1, ends
    assert {type(loser) for loser in losers} == {StaleVersion}, losers
    assert {loser.status for loser in losers} == {409}
    assert {loser.extra["current"]["id"] for loser in losers} == {trade_id}
    return winners[0]


async def sales(house: House) -> int:
    """Count the market sells at the broker."""
    found = await house.sim.orders(house.account_id)
    return sum(order["type"] == "market" and order["side"] == "sell_to_close" for order in found)


def closing(trade: dict[str, Any]) -> Command:
    return CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"])


def adjusting(trade: dict[str, Any], number: int) -> Command:
    target = Decimal(7) + Decimal(number) / 100
    return AdjustTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=target)


async def test_fifty_closes_at_once_on_two_replicas_sell_once(replicas: tuple[House, House]) -> None:
    house = replicas[0]
    trade = await house.protected()
    ends = await ask_all(replicas, [closing(trade) for _ in range(MANY)])
    assert only_winner(ends, trade["id"]).json()["id"] == trade["id"]
    await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    await house.until_quiet(trade["id"])
    assert await sales(house) == 1
    await check(house)


async def test_fifty_adjusts_at_once_on_two_replicas_move_the_exits_once(replicas: tuple[House, House]) -> None:
    house = replicas[0]
    trade = await house.protected()
    ends = await ask_all(replicas, [adjusting(trade, number) for number in range(MANY)])
    target = only_winner(ends, trade["id"]).json()["tp_price"]
    row = await house.until(trade["id"], protection="PROTECTED", tp_price=Decimal(target))
    assert row["override_count"] == 1
    brackets = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    assert [order["status"] for order in brackets] == ["canceled", "open"]
    await check(house)


@pytest.mark.parametrize("first", ["close", "adjust"])
async def test_closes_and_adjusts_at_once_on_two_replicas_have_one_winner(
    replicas: tuple[House, House], first: str
) -> None:
    house = replicas[0]
    trade = await house.protected()
    closes_first = first == "close"
    commands = [closing(trade) if (n % 2 == 0) is closes_first else adjusting(trade, n) for n in range(MANY)]
    only_winner(await ask_all(replicas, commands), trade["id"])
    row = await house.until_resting(trade["id"])
    assert await sales(house) == (row["status"] == "CLOSED")
    await check(house)


async def test_one_key_at_once_on_two_replicas_places_one_order(replicas: tuple[House, House]) -> None:
    house = replicas[0]
    command = house.placing()
    ends = await ask_all(replicas, [command] * 12)
    answered = [end for end in ends if isinstance(end, Reply)]
    in_progress = [end for end in ends if isinstance(end, IdempotencyInProgress)]
    assert answered
    assert len(answered) + len(in_progress) == len(ends), ends
    assert {end.status for end in in_progress} <= {409}
    assert len({reply.json()["id"] for reply in answered}) == 1
    trade_id = answered[0].json()["id"]
    await house.until(trade_id, protection="PROTECTED")
    assert [order["class"] for order in await house.sim.orders(house.account_id)] == ["option", "oco"]
    for replica in replicas:
        assert (await replica.ask(command)).json()["id"] == trade_id
    await check(house)


async def test_one_key_at_once_on_two_replicas_closes_once(replicas: tuple[House, House]) -> None:
    house = replicas[0]
    trade = await house.protected()
    command = closing(trade)
    ends = await ask_all(replicas, [command] * 12)
    assert all(isinstance(end, Reply | IdempotencyInProgress) for end in ends), ends
    await house.until(trade["id"], status="CLOSED")
    await house.until_quiet(trade["id"])
    assert await sales(house) == 1
    for replica in replicas:
        assert (await replica.ask(command)).json()["status"] == "CLOSED"
    await check(house)


async def test_while_the_first_is_on_its_way_its_key_is_in_progress_there_and_answered_by_what_is_stored_elsewhere(
    replicas: tuple[House, House],
) -> None:
    one, other = replicas
    command = one.placing()
    await one.fault("slow", path=r"/accounts/[^/]+/orders$", delay_ms=700)
    first = asyncio.create_task(one.ask(command))
    await eventually(one.only_trade)
    with pytest.raises(IdempotencyInProgress) as in_progress:
        await one.ask(command)
    early = await other.ask(command)
    for replica in replicas:
        with pytest.raises(IdempotencyMismatch) as caught:
            await replica.ask(command.model_copy(update={"qty": 1}))
    trade_id = (await first).json()["id"]
    assert (in_progress.value.status, caught.value.status) == (409, 422)
    assert (early.status, early.json()["id"]) == (202, trade_id)
    assert (await other.ask(command)).json()["id"] == trade_id
    await one.until(trade_id, protection="PROTECTED")
    await check(one)
