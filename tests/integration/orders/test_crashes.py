"""The process dies at each mark of each flow; whoever comes next ends it right."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest

from libs.common.beats import Crash, CrashAt
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade
from libs.common.testing import TestDatabase, eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house

pytestmark = pytest.mark.integration

Doing = Callable[[House, dict[str, Any]], Awaitable[None]]
LEASE_S = 0.6
MOST_MARKS = 40


async def crash_at_each_mark(database: TestDatabase, world: str, before: Doing, do: Doing, after: Doing) -> list[str]:
    """Run `do` once for each of its marks, dying there, then let a new process end it, and check; names the marks."""
    seen: list[str] = []
    for nth in range(1, MOST_MARKS):
        user = f"crash{nth}"
        memory: dict[str, Any] = {}
        async with a_house(database, world, user=user, lease_s=LEASE_S) as house:
            await before(house, memory)
        beats = CrashAt(nth)
        try:
            async with a_house(database, world, user=user, beats=beats, lease_s=LEASE_S) as house:
                await do(house, memory)
                await after(house, memory)
        except* Crash:
            pass
        async with a_house(database, world, user=user, lease_s=LEASE_S) as house:
            await after(house, memory)
            await check(house)
        if len(beats.heard) < nth:
            return seen
        seen.append(beats.heard[-1])
    raise AssertionError(f"more than {MOST_MARKS} marks: {seen}")


async def _nothing(house: House, memory: dict[str, Any]) -> None:
    """Nothing is needed before."""


async def _placed(house: House, memory: dict[str, Any]) -> None:
    memory["trade"] = await house.protected()


async def _only(house: House) -> str | None:
    async with house.database.admin() as admin:
        found: str | None = await admin.fetchval("select id from orders.trades where username = $1", house.user)
    return found


async def test_a_placement_that_dies_anywhere_ends_protected_or_never_sent(database: TestDatabase, world: str) -> None:
    async def do(house: House, _: dict[str, Any]) -> None:
        await house.place()

    async def ends(house: House, _: dict[str, Any]) -> None:
        trade_id = await _only(house)
        assert trade_id is not None

        async def is_over() -> bool:
            row = await house.trade(trade_id)
            never = row["status"] == "CLOSED" and row["reason"] in ("not_placed", "never sent")
            return never or (row["status"], row["protection"]) == ("FILLED", "PROTECTED")

        await eventually(is_over, within_s=8)

    marks = await crash_at_each_mark(database, world, _nothing, do, ends)
    assert {"orders.place.intent", "orders.send.marked", "orders.send.answered"} <= set(marks)


async def test_a_close_that_dies_anywhere_ends_closed_with_one_sale(database: TestDatabase, world: str) -> None:
    async def do(house: House, memory: dict[str, Any]) -> None:
        trade = await house.trade(memory["trade"]["id"])
        await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))

    async def ends(house: House, memory: dict[str, Any]) -> None:
        await house.until(memory["trade"]["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
        await house.until_quiet(memory["trade"]["id"])

    marks = await crash_at_each_mark(database, world, _placed, do, ends)
    assert {"orders.cancel.marked", "orders.cancel.answered", "orders.send.marked"} <= set(marks)


async def test_an_adjust_that_dies_anywhere_ends_with_the_new_bracket(database: TestDatabase, world: str) -> None:
    async def do(house: House, memory: dict[str, Any]) -> None:
        trade = await house.trade(memory["trade"]["id"])
        command = AdjustTrade(
            idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
        )
        await house.ask(command)

    async def ends(house: House, memory: dict[str, Any]) -> None:
        await house.until(memory["trade"]["id"], protection="PROTECTED", tp_price=Decimal("7.00"))

    marks = await crash_at_each_mark(database, world, _placed, do, ends)
    assert {"orders.cancel.answered", "orders.intent", "orders.send.answered"} <= set(marks)
