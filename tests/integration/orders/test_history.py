"""What others sold on a day no list shows any more ends by the account's history or a person, never by absence."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from libs.common.errors import IllegalTransition, InvalidInput
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, ResolveTrade
from libs.common.messages.vocabulary import Finding
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import House
from tests.integration.orders.test_repairs import over, quick, sold_by_hand

pytestmark = pytest.mark.integration


async def tomorrow(house: House) -> None:
    async with httpx.AsyncClient(base_url=house.sim.url, trust_env=False, verify=False) as http:
        told = (await http.get("/_control/clock")).json()
    await house.sim.control("clock", now=(datetime.fromisoformat(told["now"]) + timedelta(days=1)).isoformat())


async def sold_yesterday(house: House, qty: int = 2) -> tuple[dict[str, Any], int]:
    """Hold two, of which somebody sold some without anybody reading it that day."""
    trade = await house.protected()
    order_id = await sold_by_hand(house, qty)
    await tomorrow(house)
    await house.pin("3.70", "3.80")
    return trade, order_id


def resolving(trade: dict[str, Any], order_id: int | None) -> ResolveTrade:
    named = None if order_id is None else str(order_id)
    return ResolveTrade(idempotency_key=new_id(), trade_id=trade["id"], broker_order_id=named)


async def test_a_sale_of_an_earlier_day_ends_the_trade_by_the_history(house: House) -> None:
    trade, _ = await sold_yesterday(house)
    assert await house.repair(trade["id"], Finding.DOUBTFUL) == "started"
    row = await house.until(trade["id"], status="CLOSED")
    assert (row["close_reason"], row["trigger_precision"]) == ("CLOSED_AT_BROKER", "BROKER_HISTORY")
    assert (row["realized_pnl"], row["close_price"]) == (Decimal("-40.00"), Decimal("4.00"))
    await over(house, trade["id"])
    assert not await house.wrong(trade["id"])


async def test_a_part_sold_on_an_earlier_day_is_taken_once_and_the_rest_protected(house: House) -> None:
    await quick(house)
    trade, _ = await sold_yesterday(house, 1)
    for _ in range(2):
        await house.repair(trade["id"], Finding.MISMATCH)
        await over(house, trade["id"])
    await house.until(trade["id"], telling=True, status="FILLED", protection="PROTECTED")
    held = [order for order in (await house.trade(trade["id"]))["orders"] if order["role"] == "CLOSE"]
    assert [(order["filled_qty"], order["avg_price"]) for order in held] == [(1, "4")]


async def test_without_a_history_nothing_is_closed_while_the_account_is_in_doubt(house: House) -> None:
    trade, _ = await sold_yesterday(house)
    await house.sim.control("toggles", history="never")
    await house.repair(trade["id"], Finding.DOUBTFUL)
    await over(house, trade["id"])
    row = await house.trade(trade["id"])
    assert (row["status"], row["shown_qty"]) == ("FILLED", None)


async def test_positions_that_are_only_not_shown_are_not_sold_by_an_old_sale_of_others_lots(house: House) -> None:
    await house.by_hand(side="buy_to_open", quantity=2)
    trade = await house.protected()
    await house.by_hand(side="sell_to_close", quantity=2)
    await tomorrow(house)
    await house.pin("3.70", "3.80")
    await house.fault("empty_list", method="GET", path="/positions$", times=3)
    await house.repair(trade["id"], Finding.DOUBTFUL)
    await over(house, trade["id"])
    assert (await house.trade(trade["id"]))["status"] == "FILLED"


async def test_what_is_known_to_be_missing_leaves_no_other_write_unknown(house: House) -> None:
    trade, _ = await sold_yesterday(house)
    await house.sim.control("toggles", history="never")
    await house.repair(trade["id"], Finding.VANISHED)
    await house.until(trade["id"], telling=True, shown_qty=0)
    await house.fault("drop_before", path=r"/accounts/[^/]+/orders$")
    other = await house.ask(house.placing(strike=house.contract.strike + 5, qty=1, sl_price=None, tp_price=None))
    await house.until(other.json()["id"], status="CLOSED", reason="not_placed")


async def test_a_person_names_the_order_that_sold_them(house: House) -> None:
    trade, order_id = await sold_yesterday(house)
    await house.sim.control("toggles", history="never")
    mine = trade["tradier_order_id"]
    with pytest.raises(InvalidInput, match="not a sale of these contracts"):
        await house.ask(resolving(trade, int(mine)))
    with pytest.raises(InvalidInput, match="unknown to the broker"):
        await house.ask(resolving(trade, 99999999))
    reply = await house.ask(resolving(trade, order_id))
    assert (reply.status, reply.json()["status"]) == (200, "CLOSED")
    row = await house.trade(trade["id"])
    assert (row["close_reason"], row["trigger_precision"]) == ("CLOSED_AT_BROKER", "BROKER_FILL")
    assert row["realized_pnl"] == Decimal("-40.00")
    await check(house)


async def test_a_person_may_say_none_where_the_history_tells_who_sold(house: House) -> None:
    trade = await house.protected()
    async with house.database.admin() as admin:
        # Long enough ago to be in any list: one without them proves nothing.
        await admin.execute("update orders.broker_orders set answered_at = answered_at - interval '1 minute'")
    await house.fault("empty_list", method="GET", path=r"/accounts/[^/]+/orders$", times=1000)
    await house.fault("drop_before", path=r"/accounts/[^/]+/orders$")
    adjust = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_sl=Decimal("2.50")
    )
    await house.ask(adjust)

    async def is_unknown() -> bool:
        return any(order["status"] == "UNKNOWN" for order in (await house.trade(trade["id"]))["orders"])

    await eventually(is_unknown)
    await house.by_hand(side="sell_to_close", quantity=2)
    await tomorrow(house)
    await house.sim.clear_faults(house.account_id)
    await house.pin("3.70", "3.80")
    reply = await house.ask(resolving(trade, None))
    assert reply.status in (200, 202)
    await house.repair(trade["id"], Finding.DOUBTFUL)
    await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")


async def test_a_person_says_that_they_are_gone_and_it_is_checked_twice(house: House) -> None:
    trade, _ = await sold_yesterday(house)
    await house.sim.control("toggles", history="never")
    reply = await house.ask(resolving(trade, None))
    assert (reply.status, reply.json()["status"]) == (200, "CLOSED")
    row = await house.trade(trade["id"])
    assert (row["close_reason"], row["trigger_precision"]) == ("CLOSED_AT_BROKER", "ESTIMATED")
    assert not await house.wrong(trade["id"])


async def test_nothing_is_gone_while_a_look_shows_it_or_an_exit_of_ours_rests(house: House) -> None:
    trade = await house.protected()
    for order_id in (None, int(trade["tradier_order_id"])):
        with pytest.raises(IllegalTransition, match="shows all 2"):
            await house.ask(resolving(trade, order_id))
    await house.fault("empty_list", method="GET", path="/positions$", times=2)
    with pytest.raises(InvalidInput, match="close the trade first"):
        await house.ask(resolving(trade, None))
    await house.fault("empty_list", method="GET", path="/positions$", times=1)
    with pytest.raises(IllegalTransition, match="shows all 2"):
        await house.ask(resolving(trade, None))
    assert (await house.trade(trade["id"]))["status"] == "FILLED"
