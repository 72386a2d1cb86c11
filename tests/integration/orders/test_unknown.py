"""A lost write beside lots of others, lists that leave things out, twins and midnight: settled by evidence alone."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House
from tests.integration.orders.test_resolve import by_hand, concerns, doubted

pytestmark = pytest.mark.integration

PLACING = r"/accounts/[^/]+/orders$"


async def rows(house: House, trade_id: str) -> list[dict[str, Any]]:
    async with house.database.admin() as admin:
        sql = "select * from orders.broker_orders where trade_id = $1 order by created_at, id"
        return [dict(row) for row in await admin.fetch(sql, trade_id)]


async def test_an_entry_that_never_landed_beside_lots_of_others_ends_by_itself(house: House) -> None:
    await by_hand(house, "buy_to_open", 3)
    await house.fault("drop_before", path=PLACING)
    trade = (await house.ask(house.placing())).json()
    await house.until(trade["id"], status="CLOSED", reason="not_placed")
    assert [order["base_qty"] for order in await rows(house, trade["id"])] == [3]


async def test_an_exit_that_never_landed_beside_lots_of_others_is_sent_again_after_the_longer_gap(house: House) -> None:
    await by_hand(house, "buy_to_open", 3)
    trade = await house.protected()
    await house.fault("drop_before", path=PLACING)
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    lost = next(order for order in await rows(house, trade["id"]) if order["role"] == "CLOSE")
    assert (lost["base_qty"], lost["reason"]) == (3, "not_placed")
    waited_s = (lost["ended_at"] - lost["sent_at"]).total_seconds()
    assert waited_s >= house.deps.settings.order_waits.look_gap_entry_s


async def test_a_sale_that_no_list_shows_never_takes_the_lots_of_others(house: House) -> None:
    await by_hand(house, "buy_to_open", 2)
    trade = await house.protected()
    close = CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"])
    await house.fault("stale_list", method="GET", path=PLACING, times=1000)
    await house.fault("drop_after", path=PLACING)
    await house.ask(close)
    await doubted(house, trade["id"])
    sales = [order for order in await house.sim.orders(house.account_id) if order["side"] == "sell_to_close"]
    assert len(sales) == 1
    async with httpx.AsyncClient(base_url=house.sim.url, trust_env=False, verify=False) as http:
        (await http.delete("/_control/faults")).raise_for_status()
    await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    sold = [order for order in await house.sim.orders(house.account_id) if order["side"] == "sell_to_close"]
    assert len(sold) == 1
    assert not await concerns(house)


@pytest.mark.parametrize("kind", ["empty_list", "half_page"])
async def test_a_list_that_leaves_out_what_we_know_settles_nothing(house: House, kind: str) -> None:
    held = await house.protected()

    async def is_old() -> bool:
        # What was answered a moment ago need not be in a list yet.
        async with house.database.admin() as admin:
            sql = "select bool_and(answered_at < clock_timestamp() - interval '2 seconds') from orders.broker_orders"
            return bool(await admin.fetchval(sql))

    await eventually(is_old)
    await house.fault(kind, method="GET", path=PLACING, times=1000)
    await house.fault("drop_before", path=PLACING)
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=held["id"], version=held["version"]))
    row = await doubted(house, held["id"])
    assert any("leaves out" in (order["doubt"] or "") for order in row["orders"])
    assert row["status"] == "CLOSING"
    async with httpx.AsyncClient(base_url=house.sim.url, trust_env=False, verify=False) as http:
        (await http.delete("/_control/faults")).raise_for_status()
    await house.until(held["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    await check(house)


async def test_exits_that_surface_beside_the_ones_that_replaced_them_leave_one_bracket(house: House) -> None:
    # Lots of others let the broker take a second bracket for the same two.
    await house.by_hand(side="buy_to_open", quantity=3)
    trade = await house.protected()
    async with house.database.admin() as admin:
        # As if answered a moment ago: they need not be in a list yet.
        await admin.execute("update orders.broker_orders set answered_at = answered_at + interval '1 minute'")
    await house.fault("empty_list", method="GET", path=PLACING, times=1000)
    await house.fault("drop_after", path=PLACING)
    adjust = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_tp=Decimal("7.00")
    )
    await house.ask(adjust)
    await house.until(trade["id"], protection="PROTECTED", tp_price=Decimal("7.00"))
    await house.sim.clear_faults(house.account_id)
    brackets = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    assert [order["status"] for order in brackets] == ["canceled", "open", "open"]

    async def one_is_left() -> bool:
        await house.sync()
        found = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
        live = [order for order in (await house.trade(trade["id"]))["orders"] if order["status"] == "WORKING"]
        return [order["status"] for order in found] == ["canceled", "canceled", "open"] and len(live) == 2

    await eventually(one_is_left, every_s=0.1)
    assert (await house.trade(trade["id"]))["protection"] == "PROTECTED"
    await check(house)


async def test_a_bracket_that_comes_back_without_its_tag_is_found_by_what_it_is(house: House) -> None:
    await house.sim.control("toggles", null_tag=True)
    trade = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90")))
    await house.fault("drop_after", path=PLACING)
    await house.pin("3.70", "3.80")
    await house.sync()
    await house.until(trade["id"], protection="PROTECTED")
    assert len([order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]) == 1


async def test_across_midnight_a_day_order_ends_by_the_next_days_position(house: House) -> None:
    await house.fault("empty_list", method="GET", path=PLACING, times=1000)
    await house.fault("drop_after", path=PLACING)
    trade = (await house.ask(house.placing())).json()
    await doubted(house, trade["id"])
    async with httpx.AsyncClient(base_url=house.sim.url, trust_env=False, verify=False) as http:
        told = (await http.get("/_control/clock")).json()
        (await http.delete("/_control/faults")).raise_for_status()
    tomorrow = datetime.fromisoformat(told["now"]) + timedelta(days=1)
    await house.sim.control("clock", now=tomorrow.isoformat())
    row = await house.until(trade["id"], status="FILLED")
    assert row["filled_qty"] == 2
    bought = (await house.sim.orders(house.account_id))[0]
    assert row["entry_price"] == Decimal(str(bought["avg_fill_price"]))
    await house.until(trade["id"], protection="PROTECTED")


async def test_an_account_that_was_wiped_keeps_no_write_unknown(house: House) -> None:
    first = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50")))
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=first["id"], version=first["version"]))
    async with house.database.admin() as admin:
        # Long enough ago to be in any list.
        await admin.execute("update orders.broker_orders set answered_at = answered_at - interval '1 minute'")
    await house.fault("drop_before", path=PLACING)
    await house.sim.control("events", kind="wipe", account=house.account_id)
    trade = (await house.ask(house.placing())).json()
    await house.until(trade["id"], status="CLOSED", reason="not_placed")
