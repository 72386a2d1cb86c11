"""More is sold than was bought: bought back at once at the cost of the trade that caused it, entries blocked."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import orjson
import pytest

from libs.common.errors import LimitExceeded
from libs.common.messages.vocabulary import Finding, OptionType
from libs.common.testing import eventually
from services.orders import store_lists
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration

ORDERS = r"/orders$"


async def doubled(house: House) -> dict[str, Any]:
    """Hold two under an OCO of which both legs execute."""
    trade = await house.protected()
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.sync()
    return trade


async def flat_again(house: House, trade_id: str) -> list[dict[str, Any]]:
    async def corrected() -> list[dict[str, Any]]:
        return await house.corrected(trade_id)

    return list(await eventually(corrected, within_s=12))


async def test_what_both_legs_sold_is_bought_back_and_its_cost_corrects_the_result(house: House) -> None:
    trade = await doubled(house)
    [correction] = await flat_again(house, trade["id"])
    row = await house.trade(trade["id"])
    assert row["status"] == "CLOSED"
    assert row["realized_pnl"] in (Decimal("360.00"), Decimal("-240.00"))
    orders = await house.sim.orders(house.account_id)
    [cover] = [order for order in orders if order["side"] == "buy_to_close"]
    assert (cover["status"], cover["quantity"]) == ("filled", 2)
    cash = sum(
        (1 if flat["side"].startswith("sell") else -1) * Decimal(str(flat["avg_fill_price"])) * 200
        for top in orders
        for flat in top.get("leg") or [top]
    )
    assert row["realized_pnl"] + correction["amount_usd"] == cash
    assert not await house.wrong(trade["id"])
    for result, found in (("win", cash > 0), ("loss", cash < 0)):
        async with house.db.for_user(house.user) as unit:
            listed = orjson.loads(
                await store_lists.history(
                    unit, 10, None, result=result, strategy=None, closed_from=None, closed_to=None
                )
            )
        assert [Decimal(one["realized_pnl"]) for one in listed["trades"]] == ([cash] if found else [])
    told = [d for topic, d in await house.facts() if topic == "trade_changed" and d["trade_id"] == trade["id"]]
    assert Decimal(told[-1]["realized_pnl"]) == cash
    await house.sync()
    assert len(await house.corrected(trade["id"])) == 1
    await check(house)


@pytest.mark.parametrize("kind", ["drop_after", "status_502_html", "hang", "status_500"])
async def test_a_cover_whose_answer_is_lost_is_bought_once(house: House, kind: str) -> None:
    trade = await house.protected()
    await house.fault(kind, path=ORDERS, delay_ms=1500)
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.sync()
    await flat_again(house, trade["id"])
    await check(house)


async def test_while_short_no_entry_of_the_account_is_placed(house: House) -> None:
    trade = await house.protected()
    await house.fault("status_500", path=ORDERS, times=1000)
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.sync()
    assert "short" in await house.wrong(trade["id"])
    other = await house.sim.contract(right=OptionType.PUT)
    await house.sim.control("quote", symbol=str(other), bid="4.00", ask="4.20")
    wanted = house.placing(option_type=other.option_type, strike=other.strike, expiry=other.expiry)
    with pytest.raises(LimitExceeded, match=f"short in {house.occ}"):
        await house.ask(wanted)
    await house.sim.clear_faults()
    await flat_again(house, trade["id"])
    assert await house.protected()
    await check(house)


async def test_ours_and_a_sale_by_hand_are_a_short_of_ours(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("toggles", opposite_side="allow")
    await house.price("6.20")
    await house.until(trade["id"], telling=True, status="CLOSED", close_reason="TP_HIT")
    await house.by_hand(side="sell_to_close", quantity=2)
    await house.price("6.50")
    assert await house.repair(trade["id"], Finding.SHORT) == "started"
    [correction] = await flat_again(house, trade["id"])
    assert (correction["kind"], correction["amount_usd"]) == ("short", Decimal("-60.00"))
    await check(house)


async def test_a_short_that_its_owner_bought_back_is_not_bought_again(house: House) -> None:
    trade = await house.protected()
    await house.fault("status_500", path=ORDERS, times=1000)
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.by_hand(side="buy_to_close", quantity=2)
    await house.sync()
    await house.sim.clear_faults()
    await flat_again(house, trade["id"])
    ours = [o for o in await house.sim.orders(house.account_id) if o["side"] == "buy_to_close" and o["tag"]]
    assert ours == []
    await check(house)


async def test_what_was_sold_out_of_others_lots_blocks_entries_only_until_that_is_sure(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("toggles", opposite_side="allow")
    await house.by_hand(side="buy_to_open", quantity=5)
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.sync()

    async def over() -> bool:
        return (await house.trade(trade["id"]))["status"] == "CLOSED" and not await house.wrong(trade["id"])

    await eventually(over, within_s=12)
    assert not await house.corrected(trade["id"])
    sides = [order["side"] for order in await house.sim.orders(house.account_id)]
    assert "buy_to_close" not in sides
    assert any("came out of lots that are not ours" in line for line in await house.story(trade["id"]))
    assert await house.protected()


async def test_a_short_that_comes_up_outside_the_session_is_bought_back_at_the_open(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("clock", session="closed")
    [group] = [order for order in await house.sim.orders(house.account_id) if order["class"] == "oco"]
    await house.happens("double_fill", order_id=group["id"])
    await house.sync()

    async def waits() -> bool:
        async with house.admin() as admin:
            sql = "select due_at > now() from orders.jobs where kind = 'advance' and key = $1"
            return bool(await admin.fetchval(sql, trade["id"]))

    await eventually(waits)
    assert "short" in await house.wrong(trade["id"])
    assert "buy_to_close" not in [order["side"] for order in await house.sim.orders(house.account_id)]
    await house.sim.control("clock", session="open")
    await flat_again(house, trade["id"])
    covers = [order for order in await house.sim.orders(house.account_id) if order["side"] == "buy_to_close"]
    assert [(order["status"], order["quantity"]) for order in covers] == [("filled", 2)]
    await check(house)
