"""A position that nobody bids for: its sale waits over sessions, and its owner may take it back."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import FlowRunning, IllegalTransition
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade, WithdrawTrade
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


@pytest.fixture
async def unbid(house: House) -> tuple[House, dict[str, Any]]:
    """Hold two contracts with a target, whose close found no bid."""
    trade = await house.protected(sl_price=None)
    await house.pin("0", "0.05")
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.until(trade["id"], status="CLOSING")
    return house, trade


async def sales(house: House) -> list[tuple[str, str, float | None]]:
    """List what came after the entry and its target: type, status, price."""
    tops = await house.sim.orders(house.account_id)
    return [(top["type"], top["status"], top["price"]) for top in tops][2:]


async def concerns_of(house: House, trade_id: str) -> list[tuple[str, bool]]:
    """List the trade's concerns about a bid, and whether each is over."""
    async with house.database.admin() as admin:
        found = await admin.fetch(
            "select ended_at is not null as over from orders.concerns where trade_id = $1 and kind = 'no_bid'", trade_id
        )
    return [("no_bid", row["over"]) for row in found]


async def resting(house: House, statuses: list[str]) -> None:
    async def shown() -> bool:
        await house.sync()
        return [status for _, status, _ in await sales(house)] == statuses

    await eventually(shown, within_s=10, every_s=0.1)


async def test_the_sale_is_renewed_each_session_and_its_alarm_stays(unbid: tuple[House, dict[str, Any]]) -> None:
    house, trade = unbid
    await resting(house, ["open"])
    await house.sim.control("clock", session="closed")
    await resting(house, ["expired"])
    row = await house.trade(trade["id"])
    assert (row["status"], row["realized_pnl"]) == ("CLOSING", None)
    await house.sim.control("clock", session="open")
    await resting(house, ["expired", "open"])
    assert {price for _, _, price in await sales(house)} == {0.01}
    assert await concerns_of(house, trade["id"]) == [("no_bid", False)]
    await house.pin("0.03", "0.05")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "MANUAL_CLOSE"
    assert await concerns_of(house, trade["id"]) == [("no_bid", True)]
    await check(house)


async def test_a_bid_at_the_next_open_makes_it_a_market_sale(unbid: tuple[House, dict[str, Any]]) -> None:
    house, trade = unbid
    await resting(house, ["open"])
    await house.sim.control("clock", session="closed")
    await resting(house, ["expired"])
    await house.pin("1.00", "1.20")
    await house.sim.control("clock", session="open")
    row = await house.until(trade["id"], telling=True, status="CLOSED", within_s=15)
    assert (await sales(house))[-1][0] == "market"
    assert row["close_price"] == Decimal("1.00")
    await check(house)


async def test_its_owner_may_take_it_back_and_holds_again_with_the_target(
    unbid: tuple[House, dict[str, Any]],
) -> None:
    house, trade = unbid
    await resting(house, ["open"])
    version = (await house.trade(trade["id"]))["version"]
    with pytest.raises(FlowRunning):
        await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=version))
    withdraw = WithdrawTrade(idempotency_key=new_id(), trade_id=trade["id"])
    assert (await house.ask(withdraw)).status == 200
    row = await house.until(trade["id"], telling=True, status="FILLED", protection="PROTECTED")
    assert row["tp_price"] == Decimal("6.00")
    assert await sales(house) == [("limit", "canceled", 0.01), ("limit", "open", 6.0)]
    assert await concerns_of(house, trade["id"]) == [("no_bid", True)]
    with pytest.raises(IllegalTransition):
        await house.ask(WithdrawTrade(idempotency_key=new_id(), trade_id=trade["id"]))
    assert (await house.ask(withdraw)).headers["Idempotent-Replayed"] == "true"
    await check(house)


async def test_a_bid_that_comes_while_it_is_taken_back_closes_the_trade(
    unbid: tuple[House, dict[str, Any]],
) -> None:
    house, trade = unbid
    await resting(house, ["open"])
    await house.sim.control("toggles", cancel_delay_ms=1500)
    await house.ask(WithdrawTrade(idempotency_key=new_id(), trade_id=trade["id"]))
    await house.pin("0.03", "0.05")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert (row["close_reason"], [status for _, status, _ in await sales(house)]) == ("MANUAL_CLOSE", ["filled"])
    await check(house)
