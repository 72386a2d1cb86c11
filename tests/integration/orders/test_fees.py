"""What the broker took for a trade is read from the history on the days after, and taken from its result once."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.common.job_rows import Job
from libs.common.testing import eventually
from services.orders import fees
from tests.integration.orders.checker import check
from tests.integration.orders.house import House
from tests.integration.orders.test_history import tomorrow

pytestmark = pytest.mark.integration


async def ended(house: House) -> dict[str, Any]:
    """Hold two at 35 cents a contract and side, and let the target sell them."""
    await house.sim.control("toggles", commission_cents=35)
    trade = await house.protected()
    await house.price("6.00")
    row = await house.until(trade["id"], telling=True, status="CLOSED", close_reason="TP_HIT")
    await house.until_quiet(trade["id"])
    return row


def due(house: House) -> Job:
    """Write a run of the account's job."""
    now, key = datetime.now(UTC), f"PAPER:{house.account_id}"
    return Job(kind=fees.READ, key=key, user=house.user, data={}, run=1, due_at=now, claimed_until=now)


async def noted(house: House, trade_id: str) -> int:
    async with house.admin() as admin:
        sql = "select count(*) from orders.timeline where trade_id = $1 and kind = 'fees'"
        return int(await admin.fetchval(sql, trade_id))


async def fees_of(house: House, trade_id: str) -> Decimal:
    booked = (one["amount_usd"] for one in await house.corrected(trade_id) if one["kind"] == "fees")
    return sum(booked, Decimal(0))


async def is_covered(house: House, trade_id: str) -> bool:
    return "short" in {one["kind"] for one in await house.corrected(trade_id)}


async def test_commissions_come_in_once_after_the_night_and_the_result_is_the_brokers_money(house: House) -> None:
    row = await ended(house)
    await fees.plan_jobs(house.deps)
    await tomorrow(house)
    await eventually(lambda: noted(house, row["id"]), within_s=15)
    for _ in range(2):
        await fees.read(due(house), house.deps)
    booked = await house.corrected(row["id"])
    assert [(one["kind"], one["amount_usd"]) for one in booked] == [("fees", Decimal("-1.4"))]
    assert await noted(house, row["id"]) == 1
    assert (await house.trade(row["id"]))["realized_pnl"] == row["realized_pnl"]
    truth = await house.sim.cash(house.account_id)
    moved = Decimal(str(truth["cash"])) - Decimal(str(truth["deposited"]))
    assert moved == row["realized_pnl"] - Decimal("1.40")
    await check(house)


async def test_while_the_day_lasts_and_where_no_history_tells_it_nothing_is_booked(house: House) -> None:
    row = await ended(house)
    await fees.read(due(house), house.deps)
    await house.sim.control("toggles", history="never")
    await tomorrow(house)
    await fees.read(due(house), house.deps)
    assert (await house.corrected(row["id"]), await noted(house, row["id"])) == ([], 0)
    await house.sim.control("toggles", history="nightly")
    await fees.read(due(house), house.deps)
    assert [one["amount_usd"] for one in await house.corrected(row["id"])] == [Decimal("-1.4")]


async def test_what_is_bought_back_on_a_later_day_bears_its_commission_too(house: House) -> None:
    await house.sim.control("toggles", commission_cents=35)
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.until(trade["id"], telling=True, status="CLOSED")
    await tomorrow(house)
    await fees.read(due(house), house.deps)
    assert await fees_of(house, trade["id"]) == Decimal("-2.1")
    await house.sim.control("clock", session="open")
    await eventually(lambda: is_covered(house, trade["id"]), within_s=12)
    await tomorrow(house)
    await fees.read(due(house), house.deps)
    assert await fees_of(house, trade["id"]) == Decimal("-2.8")
    told = sum(one["amount_usd"] for one in await house.corrected(trade["id"]))
    truth = await house.sim.cash(house.account_id)
    moved = Decimal(str(truth["cash"])) - Decimal(str(truth["deposited"]))
    assert moved == (await house.trade(trade["id"]))["realized_pnl"] + told
