"""What operators count of orders: time without exits, and writes whose outcome nobody knows."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade
from libs.common.metrics import METRICS
from libs.common.testing import eventually
from services.orders.counting import count_unknown
from tests.integration.orders.house import House
from tests.integration.orders.test_faults import ORDERS

pytestmark = pytest.mark.integration


def counted(series: str, **labels: str) -> float:
    return METRICS.registry.get_sample_value(f"bookend_{series}", labels) or 0.0


async def test_a_stretch_without_exits_is_counted_once_by_how_it_ended(house: House) -> None:
    before = {end: counted("naked_seconds_count", end=end) for end in ("protected", "sold")}
    lasted = counted("naked_seconds_sum", end="protected")
    trade = await house.protected()
    assert counted("naked_seconds_count", end="protected") == before["protected"] + 1
    assert Decimal(str(round(counted("naked_seconds_sum", end="protected") - lasted, 3))) == trade["naked_s"]
    await house.ask(CloseTrade(trade_id=trade["id"], idempotency_key=new_id(), version=trade["version"]))
    await house.until(trade["id"], status="CLOSED")
    assert counted("naked_seconds_count", end="sold") == before["sold"] + 1
    assert counted("naked_seconds_count", end="protected") == before["protected"] + 1


async def test_an_unknown_write_is_counted_until_it_is_settled(house: House) -> None:
    counting = asyncio.ensure_future(count_unknown(house.deps))
    try:
        await eventually(lambda: counted("unknown_orders") == 0)
    finally:
        counting.cancel()
    await house.fault("drop_after", path=ORDERS)
    await house.fault("empty_list", method="GET", path=ORDERS, times=1000)
    assert (await house.ask(house.placing())).status == 202
    counting = asyncio.ensure_future(count_unknown(house.deps))
    try:
        await eventually(lambda: counted("unknown_orders") == 1)
    finally:
        counting.cancel()
