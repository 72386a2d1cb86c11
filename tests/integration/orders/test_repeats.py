"""Repeats and races: one action per key, one winner per version, one sale at the broker."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import AppError, FlowRunning, IdempotencyInProgress, IdempotencyMismatch, StaleVersion
from libs.common.handlers import Reply
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry
from libs.common.messages.vocabulary import EntryType
from tests.integration.orders.checker import check
from tests.integration.orders.house import EITHER_WAY, House

pytestmark = pytest.mark.integration


async def test_the_same_key_and_body_answers_the_present_result_and_places_nothing(house: House) -> None:
    command = house.placing()
    first = await house.ask(command)
    trade_id = first.json()["id"]
    await house.until(trade_id, protection="PROTECTED")
    again = await house.ask(command)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (again.status, again.json()["id"], again.json()["protection"]) == (201, trade_id, "PROTECTED")
    assert "Idempotent-Replayed" not in first.headers
    await check(house)


async def test_the_same_key_with_another_body_is_refused(house: House) -> None:
    command = house.placing()
    await house.ask(command)
    with pytest.raises(IdempotencyMismatch):
        await house.ask(command.model_copy(update={"qty": 3}))
    trade = await house.trade((await house.ask(command)).json()["id"])
    with pytest.raises(IdempotencyMismatch):
        await house.ask(
            CloseTrade(idempotency_key=command.idempotency_key, trade_id=trade["id"], version=trade["version"])
        )


async def test_the_same_key_at_once_places_one_order(house: House) -> None:
    command = house.placing()
    ends = await asyncio.gather(*(house.ask(command) for _ in range(8)), return_exceptions=True)
    answered = [end for end in ends if isinstance(end, Reply)]
    assert answered
    assert all(isinstance(end, Reply | IdempotencyInProgress) for end in ends), ends
    assert len({reply.json()["id"] for reply in answered}) == 1
    await house.until(answered[0].json()["id"], protection="PROTECTED")
    await check(house)
    assert len(await house.sim.orders(house.account_id)) == 2


async def test_a_repeat_of_the_same_envelope_waits_for_the_first_ones_result(house: House) -> None:
    await house.fault("slow", path=r"/accounts/[^/]+/orders$", delay_ms=600)
    command, envelope = house.placing(), new_id()
    first, second = await asyncio.gather(house.ask(command, id=envelope), house.ask(command, id=envelope))
    assert first.json()["id"] == second.json()["id"]
    assert second.status == first.status == 201


async def test_fifty_closes_at_once_have_one_winner_and_one_sale(house: House) -> None:
    trade = await house.protected()

    async def close() -> Any:
        return await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))

    ends = await asyncio.gather(*(close() for _ in range(50)), return_exceptions=True)
    winners = [end for end in ends if isinstance(end, Reply)]
    losers = [end for end in ends if isinstance(end, AppError)]
    assert len(winners) == 1, [type(end) for end in ends]
    assert {type(loser) for loser in losers} == {StaleVersion}
    assert all(loser.extra["current"]["id"] == trade["id"] for loser in losers)
    await house.until(trade["id"], status="CLOSED")
    await check(house)
    broker = await house.sim.orders(house.account_id)
    assert sum(order["type"] == "market" and order["side"] == "sell_to_close" for order in broker) == 1


async def test_closes_and_adjusts_at_once_have_one_winner(house: House) -> None:
    trade = await house.protected()

    async def ask(number: int) -> Any:
        key, version = new_id(), trade["version"]
        if number % 2:
            return await house.ask(CloseTrade(idempotency_key=key, trade_id=trade["id"], version=version))
        command = AdjustTrade(idempotency_key=key, trade_id=trade["id"], version=version, new_tp=Decimal("7.00"))
        return await house.ask(command)

    ends = await asyncio.gather(*(ask(number) for number in range(20)), return_exceptions=True)
    assert sum(isinstance(end, Reply) for end in ends) == 1, ends
    assert all(isinstance(end, Reply | StaleVersion) for end in ends), ends
    await house.until_resting(trade["id"])
    await check(house)


@EITHER_WAY
async def test_a_close_of_a_working_entry_cancels_it(house: House) -> None:
    trade = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50")))
    assert trade["status"] == "OPEN"
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    closed = reply.json()
    assert (reply.status, closed["status"], closed["close_reason"]) == (200, "CLOSED", "CANCELLED")
    assert closed["realized_pnl"] is None
    await check(house)


async def test_a_fill_that_races_the_close_closes_the_trade_as_that_hit(house: House) -> None:
    trade = await house.protected()
    closing = asyncio.create_task(
        house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    )
    await house.price("6.20")
    await closing
    row = await house.until(trade["id"], status="CLOSED")
    assert row["close_reason"] in ("TP_HIT", "MANUAL_CLOSE")
    await house.until_quiet(trade["id"])
    await check(house)


@pytest.mark.parametrize(
    ("entry", "reason", "sides"),
    [
        (Entry(type=EntryType.MARKET), "MANUAL_CLOSE", ["buy_to_open", "sell_to_close"]),
        (Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50")), "CANCELLED", ["buy_to_open"]),
    ],
)
async def test_a_close_that_meets_an_entry_without_an_answer_waits_for_it_and_no_exits_are_placed_in_between(
    house: House, entry: Entry, reason: str, sides: list[str]
) -> None:
    orders = r"/accounts/[^/]+/orders$"
    # Lists fail too, so that nobody finds it before the close is asked for.
    await house.fault("status_503", method="GET", path=orders, times=1000)
    await house.fault("drop_after", path=orders)
    placed = await house.ask(house.placing(entry=entry))
    trade = placed.json()
    assert (placed.status, trade["orders"][0]["status"]) == (202, "UNKNOWN")
    key = {"trade_id": trade["id"], "version": trade["version"]}
    with pytest.raises(FlowRunning):
        await house.ask(AdjustTrade(idempotency_key=new_id(), new_tp=Decimal("7.00"), **key))
    reply = await house.ask(CloseTrade(idempotency_key=new_id(), **key))
    assert (reply.status, reply.json()["status"]) == (202, "OPEN")
    again = CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=reply.json()["version"])
    with pytest.raises(FlowRunning):
        await house.ask(again)
    await house.sim.clear_faults()
    await house.until(trade["id"], within_s=15, status="CLOSED", close_reason=reason)
    assert [order["side"] for order in await house.sim.orders(house.account_id)] == sides
    await check(house)
