"""Monitor finds a trade at odds with the broker; orders looks again and does what evidence says, and no more."""

from __future__ import annotations

import contextlib
from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import UpstreamRefused
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade, Entry
from libs.common.messages.vocabulary import EntryType, Finding
from libs.common.testing import eventually
from services.orders import store_accounts
from tests.integration.orders.checker import check
from tests.integration.orders.house import EITHER_WAY, House

pytestmark = pytest.mark.integration


async def the_group(house: House) -> int:
    groups = [o["id"] for o in await house.sim.orders(house.account_id) if o["class"] == "oco"]
    return int(groups[-1])


async def quick(house: House) -> None:
    """Do not wait for a person who took exits down."""
    async with house.db.for_user(house.user) as unit:
        await store_accounts.lock_settings(unit, house.user)
        found = await store_accounts.settings_of(unit, house.user)
        assert found is not None
        settings = found.trading().model_copy(update={"repair_delay_s": 0})
        await store_accounts.save_settings(unit, house.user, settings)


async def over(house: House, trade_id: str) -> None:
    """Wait until nothing is asked of the trade any more."""

    async def quiet() -> bool:
        async with house.database.admin() as admin:
            sql = "select count(*) from orders.actions where trade_id = $1 and state in ('REQUESTED', 'RUNNING')"
            return not await admin.fetchval(sql, trade_id)

    await eventually(quiet)


async def sold_by_hand(house: House, qty: int) -> int:
    """Sell at the broker what a bracket holds, as its owner can by cancelling it first."""
    await house.happens("manual_cancel", order_id=await the_group(house))
    return await house.by_hand(side="sell_to_close", quantity=qty)


async def test_a_row_that_moved_on_is_left_alone(house: House) -> None:
    trade = await house.protected()
    seen = trade["key_version"] - 1
    assert await house.repair(trade["id"], Finding.VANISHED, seen_key_version=seen) == "moved_on"
    assert (await house.trade(trade["id"]))["key_version"] == trade["key_version"]


async def test_looking_at_what_is_right_changes_nothing(house: House) -> None:
    trade = await house.protected()
    for finding in (Finding.NAKED, Finding.EXIT_QTY, Finding.MISMATCH, Finding.VANISHED, Finding.SHORT):
        assert await house.repair(trade["id"], finding) == "started"
        await over(house, trade["id"])
    after = await house.trade(trade["id"])
    assert (after["version"], after["protection"]) == (trade["version"], "PROTECTED")
    assert len(await house.sim.orders(house.account_id)) == 2
    await check(house)


async def test_a_vanished_holding_ends_at_the_price_of_the_sale_that_explains_it(house: House) -> None:
    trade = await house.protected()
    await house.pin("4.50", "4.70")
    order_id = await sold_by_hand(house, 2)
    assert await house.repair(trade["id"], Finding.VANISHED, broker_order_ids=(str(order_id),)) == "started"
    row = await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")
    assert (row["close_price"], row["realized_pnl"]) == (Decimal("4.5"), Decimal("60.00"))
    await house.until_quiet(trade["id"])
    await check(house)


async def test_a_part_sold_by_hand_leaves_the_rest_under_exits_of_its_size(house: House) -> None:
    await quick(house)
    trade = await house.protected(qty=3)
    await sold_by_hand(house, 1)
    await house.repair(trade["id"], Finding.MISMATCH)

    async def resized() -> bool:
        await house.sync()
        row = await house.trade(trade["id"])
        live = [o for o in row["orders"] if o["status"] == "WORKING"]
        return row["protection"] == "PROTECTED" and {o["qty"] for o in live} == {2}

    await eventually(resized, within_s=12, every_s=0.2)
    assert (await house.trade(trade["id"]))["status"] == "FILLED"
    await check(house)


async def test_a_holding_that_is_gone_without_a_sale_is_not_closed(house: House) -> None:
    trade = await house.protected()
    await house.fault("empty_list", method="GET", path=r"/positions$", times=1000)
    assert await house.repair(trade["id"], Finding.VANISHED) == "started"
    await over(house, trade["id"])
    row = await house.trade(trade["id"])
    assert (row["status"], row["protection"]) == ("FILLED", "PROTECTED")
    assert "shortfall" in await house.wrong(trade["id"])
    assert [o["status"] for o in await house.sim.orders(house.account_id) if o["class"] == "oco"] == ["open"]
    await house.sim.clear_faults()
    await house.repair(trade["id"], Finding.VANISHED)
    await over(house, trade["id"])
    assert not await house.wrong(trade["id"])
    await check(house)


async def test_a_sale_from_before_we_bought_explains_nothing(house: House) -> None:
    await house.by_hand(side="buy_to_open", quantity=2)
    await house.by_hand(side="sell_to_close", quantity=2)
    trade = await house.protected()
    await house.fault("empty_list", method="GET", path=r"/positions$", times=1000)
    await house.repair(trade["id"], Finding.VANISHED)
    await over(house, trade["id"])
    assert (await house.trade(trade["id"]))["status"] == "FILLED"


async def test_over_a_stop_that_is_not_ours_nothing_is_placed_until_it_is_gone(house: House) -> None:
    await quick(house)
    trade = await house.protected()
    await house.happens("manual_cancel", order_id=await the_group(house))
    stop = await house.by_hand(side="sell_to_close", quantity=2, type="stop", price="3.20")
    await house.repair(trade["id"], Finding.NAKED)
    await over(house, trade["id"])
    assert "foreign_exit" in await house.wrong(trade["id"])
    await house.until(trade["id"], protection="PROTECTED")
    ours = [o for o in await house.sim.orders(house.account_id) if o["class"] == "oco"]
    assert [o["status"] for o in ours] == ["canceled"]
    await check(house)
    await house.happens("manual_cancel", order_id=stop)

    async def ours_again() -> bool:
        groups = [o for o in await house.sim.orders(house.account_id) if o["class"] == "oco"]
        return [o["status"] for o in groups] == ["canceled", "open"]

    await eventually(ours_again, within_s=12)
    await house.until(trade["id"], protection="PROTECTED")

    async def told() -> bool:
        return "foreign_exit" not in await house.wrong(trade["id"])

    await eventually(told)
    await check(house)


async def test_a_wiped_account_ends_its_trades_by_an_estimate(house: House) -> None:
    trade = await house.protected()
    await house.happens("wipe")
    assert await house.repair(trade["id"], Finding.SANDBOX_WIPE) == "started"
    row = await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")
    assert (row["trigger_precision"], row["reason"]) == ("ESTIMATED", "SANDBOX_WIPE")
    await check(house)


async def test_what_is_still_there_was_not_wiped(house: House) -> None:
    trade = await house.protected()
    await house.repair(trade["id"], Finding.SANDBOX_WIPE)
    await over(house, trade["id"])
    assert (await house.trade(trade["id"]))["status"] == "FILLED"
    await check(house)


async def test_after_a_corporate_action_the_trade_stays_and_hands_take_over(house: House) -> None:
    trade = await house.protected()
    successor = (await house.happens("corporate_action", option_symbol=house.occ))["option_symbol"]
    await house.repair(trade["id"], Finding.CORPORATE_ACTION, successor_occ=successor)

    async def alarmed() -> bool:
        return "corporate_action" in await house.wrong(trade["id"])

    await eventually(alarmed)
    await house.sync()
    before = await house.sim.orders(house.account_id)
    row = await house.trade(trade["id"])
    assert row["status"] == "FILLED"
    command = CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=row["version"])
    assert (await house.ask(command)).status == 202
    await over(house, trade["id"])
    with pytest.raises(UpstreamRefused, match="sold by hand"):
        await house.ask(command)
    await house.until(trade["id"], status="FILLED")
    assert await house.sim.orders(house.account_id) == before
    await house.sim.control("quote", symbol=successor, bid="5.00", ask="5.20")
    await house.by_hand(option_symbol=successor, side="sell_to_close", quantity=2)
    done = await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")
    assert done["close_price"] == Decimal("5")
    await check(house)


@EITHER_WAY
async def test_what_the_desk_sold_out_is_looked_at_before_anything_is_sent_for_it(house: House) -> None:
    await house.prefer(naked_policy="flatten", repair_delay_s=0)
    trade = await house.protected(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("4.40")))
    sold = await house.happens("broker_liquidation", option_symbol=house.occ)
    house.theirs |= set(sold["order_ids"])
    row = await house.until(trade["id"], telling=True, within_s=12, status="CLOSED", close_reason="CLOSED_AT_BROKER")
    assert row["close_price"] == Decimal("4")
    assert not [order for order in row["orders"] if order["status"] == "REJECTED"]
    await check(house)


async def ended_close(house: House, trade_id: str) -> None:
    """Ask for a close that leads to nothing, and wait for its end."""
    row = await house.trade(trade_id)
    with contextlib.suppress(UpstreamRefused):
        await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade_id, version=row["version"]))
    await over(house, trade_id)


@pytest.mark.parametrize("explained", [True, False])
async def test_after_a_refused_sale_the_next_one_looks_first(house: House, *, explained: bool) -> None:
    trade = await house.protected()
    if explained:
        sold = await house.happens("broker_liquidation", option_symbol=house.occ)
        house.theirs |= set(sold["order_ids"])
    else:
        await house.happens("exercise", option_symbol=house.occ)
    await ended_close(house, trade["id"])
    if explained:
        await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")
        return
    await ended_close(house, trade["id"])
    assert any("none of it" in line for line in await house.story(trade["id"]))
    after = await house.trade(trade["id"])
    assert (after["status"], after["shown_qty"]) == ("FILLED", 0)
    assert len([order for order in after["orders"] if order["role"] == "CLOSE"]) == 1
    assert "shortfall" in await house.wrong(trade["id"])


async def test_an_orphan_is_seen_again_and_cancelled(house: House) -> None:
    trade = await house.protected()
    await house.sim.control("toggles", sibling_cancel_ms=3000)
    await house.price("6.20")
    await house.until(trade["id"], telling=True, status="CLOSED", close_reason="TP_HIT")
    await house.repair(trade["id"], Finding.ORPHAN)
    await house.until_quiet(trade["id"], within_s=12)
    await check(house)


async def test_a_sale_is_taken_for_one_trade_only(house: House) -> None:
    trade: dict[str, Any] = await house.protected()
    await sold_by_hand(house, 2)
    await house.repair(trade["id"], Finding.VANISHED)
    await house.until(trade["id"], status="CLOSED", close_reason="CLOSED_AT_BROKER")
    second = await house.protected()
    await house.fault("empty_list", method="GET", path=r"/positions$", times=1000)
    await house.repair(second["id"], Finding.VANISHED)
    await over(house, second["id"])
    assert (await house.trade(second["id"]))["status"] == "FILLED"
    await check(house)
