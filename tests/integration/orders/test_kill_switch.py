"""The kill switch: what it ends, what it lists, what it refuses; releasing revives nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from functools import partial

import pytest

from libs.common.errors import KillSwitchOn
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade, Entry, WithdrawTrade
from libs.common.messages.safety import KillAction, KillSwitch
from libs.common.messages.vocabulary import BrokerMode, EntryType
from libs.common.testing import TestDatabase, eventually
from libs.common.vault import Vault, new_key
from services.orders import handlers_safety, kills, store_kills
from services.orders.deps import account_key
from tests.integration.orders.checker import check
from tests.integration.orders.house import QUICK, House, a_house
from tests.integration.orders.switching import (
    LISTS,
    engage,
    listed,
    nothing_fires_on_release,
    release,
    state,
    told,
    trades,
    until_listed,
)
from tests.integration.orders.trials import Mark, Observer

pytestmark = pytest.mark.integration

LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50"))


async def test_a_holding_is_sold_an_entry_cancelled_and_nothing_is_placed(house: House) -> None:
    held = await house.protected()
    first = house.contract
    house.contract = await house.sim.contract(nth=1)
    await house.pin("4.00", "4.20")
    working = await house.place(entry=LOW)
    found = await engage(house)
    assert found.engaged
    assert await house.until(held["id"], status="CLOSED", close_reason="KILL_SWITCH", filled_qty=2)
    assert await house.until(working["id"], status="CLOSED", close_reason="KILL_SWITCH", filled_qty=0)
    with pytest.raises(KillSwitchOn):
        await house.ask(house.placing())
    assert listed(await state(house)) == {}
    facts = await told(house)
    assert facts[0]["engaged"]
    assert {row["occ_symbol"] for row in facts[0]["closing"]} == {str(first), house.occ}
    await eventually(partial(_last_told_is_empty, house))
    await check(house)


async def _last_told_is_empty(house: House) -> bool:
    last = (await told(house))[-1]
    return last["engaged"] and not any(last[name] for name in LISTS)


async def test_releasing_lets_entries_be_sent_and_revives_nothing(house: House) -> None:
    working = await house.place(entry=LOW)
    await engage(house)
    await house.until(working["id"], status="CLOSED", close_reason="KILL_SWITCH")
    assert not (await release(house)).engaged
    at_broker = len(await house.sim.orders(house.account_id))
    placed = await house.protected()
    assert placed["status"] == "FILLED"
    assert len(await house.sim.orders(house.account_id)) == at_broker + 2
    await check(house)


async def test_a_holding_outside_its_session_keeps_its_exits_and_is_sold_at_the_open(house: House) -> None:
    held = await house.protected()
    await house.sim.control("clock", session="closed")
    await engage(house)
    found = await until_listed(house, queued_for_open=1)
    assert found.queued_for_open[0].trade_id == held["id"]
    row = await house.trade(held["id"])
    assert (row["status"], row["protection"]) == ("FILLED", "PROTECTED")
    with pytest.raises(KillSwitchOn):
        await house.ask(WithdrawTrade(idempotency_key=new_id(), trade_id=held["id"]))
    await house.sim.control("clock", session="open")
    await house.until(held["id"], status="CLOSED", close_reason="KILL_SWITCH")
    await check(house)


async def test_after_a_release_a_sale_that_waits_for_the_open_may_be_taken_back(house: House) -> None:
    held = await house.protected()
    await house.sim.control("clock", session="closed")
    await engage(house)
    await until_listed(house, queued_for_open=1)
    found = await release(house)
    assert [row.trade_id for row in found.queued_for_open] == [held["id"]]
    await house.ask(WithdrawTrade(idempotency_key=new_id(), trade_id=held["id"]))
    await until_listed(house)
    await house.sim.control("clock", session="open")
    row = await house.until(held["id"], queued_for_open=False)
    assert (row["status"], row["protection"]) == ("FILLED", "PROTECTED")
    await check(house)


async def test_turning_it_is_written_down_once_with_where_it_was_turned(house: House) -> None:
    for _ in range(2):
        command = KillSwitch(action=KillAction.ENGAGE)
        await handlers_safety.kill_switch(command, house.context(via="the page"), house.deps)
    await release(house)
    async with house.admin() as admin:
        found = await admin.fetch(
            "select kind, actor, via from orders.audit where username = $1 order by id", house.user
        )
    lines = [tuple(row) for row in found if row["kind"].startswith("kill")]
    assert lines == [("kill_switch_engaged", house.user, "the page"), ("kill_switch_released", house.user, None)]


async def test_what_others_hold_is_listed_and_left_alone(house: House) -> None:
    await house.by_hand(side="buy_to_open", quantity=3)
    found = await engage(house)
    assert [(row.occ_symbol, row.qty, row.trade_id) for row in found.foreign] == [(house.occ, 3, None)]
    assert found.foreign[0].account_id == house.account_id
    assert (await house.sim.cash(house.account_id))["positions"] == {house.occ: 3}


async def test_somebody_elses_switch_is_not_mine(house: House) -> None:
    held = await house.protected()
    context = house.context(user="mallory")
    await handlers_safety.kill_switch(KillSwitch(action=KillAction.ENGAGE), context, house.deps)
    assert not (await state(house)).engaged
    assert (await house.trade(held["id"]))["status"] == "FILLED"
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=held["id"], version=held["version"]))


async def test_an_entry_whose_intent_was_stored_before_is_not_sent(database: TestDatabase, world: str) -> None:
    observer = Observer()
    async with a_house(database, world, beats=observer) as house:

        async def turn() -> None:
            await kills.turn(house.deps, house.context(), engaged=True)

        observer.arm(Mark("orders.place.intent", 1), turn)
        command = house.placing()
        with pytest.raises(KillSwitchOn):
            await house.ask(command)
        assert await house.sim.writes(house.account_id) == []
        [trade] = await trades(house)
        assert (trade["status"], trade["close_reason"], trade["filled_qty"]) == ("CLOSED", "KILL_SWITCH", 0)
        with pytest.raises(KillSwitchOn):
            await house.ask(command)
        await nothing_fires_on_release(house)


async def lost(house: House) -> str:
    """Place an entry whose answer is lost, at a broker whose lists leave it out."""
    await house.fault("empty_list", method="GET", path=r"/orders$", times=1000)
    await house.fault("drop_after", path=r"/orders$")
    return str((await house.ask(house.placing(entry=LOW, sl_price=None))).json()["id"])


async def test_an_unknown_entry_is_listed_and_ended_as_soon_as_it_is_found(database: TestDatabase, world: str) -> None:
    async with a_house(database, world, waits=replace(QUICK, look_gap_entry_s=30)) as house:
        trade_id = await lost(house)
        await engage(house)
        found = await until_listed(house, unknown=1)
        assert found.unknown[0].trade_id == trade_id
        await house.sim.clear_faults(house.account_id)
        await house.until(trade_id, status="CLOSED", close_reason="KILL_SWITCH", filled_qty=0, within_s=20)
        await nothing_fires_on_release(house)


@pytest.mark.parametrize("released", [False, True], ids=["engaged", "released"])
async def test_what_surfaces_of_an_entry_taken_for_never_placed_is_sold(house: House, *, released: bool) -> None:
    trade_id = await lost(house)
    await engage(house)
    await house.until(trade_id, status="CLOSED", reason="not_placed")
    if released:
        await release(house)
    await house.sim.clear_faults(house.account_id)
    await house.pin("3.30", "3.40")
    await house.sync()
    found = await house.recovered(trade_id)
    await house.until(found["id"], status="CLOSED", close_reason="KILL_SWITCH", within_s=20)
    await nothing_fires_on_release(house)


async def test_a_sale_that_is_refused_is_told_protected_again_and_tried_again(house: House) -> None:
    held = await house.protected()
    await house.fault("reject_later", path=r"/orders$", delay_ms=0)
    await engage(house)
    found = await until_listed(house, failed=1)
    assert "OmsInternalError" in found.failed[0].reason
    await house.until(held["id"], status="CLOSED", close_reason="KILL_SWITCH", within_s=20)
    await until_listed(house)
    await nothing_fires_on_release(house)


async def test_an_account_whose_token_opens_nothing_is_told_as_failed_until_it_does(house: House) -> None:
    held = await house.protected()
    key = account_key(BrokerMode.PAPER, house.account_id)
    right = await _sealed_otherwise(house, key, Vault(new_key()).seal("lost", key))
    await engage(house)
    (row,) = (await until_listed(house, failed=1)).failed
    assert "cannot be opened with this installation's keys" in row.reason
    assert row.reason.endswith("; its exits rest")
    await eventually(lambda: _last_told_lists(house, "failed"))
    await _sealed_otherwise(house, key, right)
    assert await house.until(held["id"], status="CLOSED", close_reason="KILL_SWITCH")


async def test_while_a_broker_does_not_answer_that_is_why_its_holdings_wait(house: House) -> None:
    held = await house.protected()
    await house.sim.control("faults", match={"method": "GET"}, kind="status_503", times=10_000)
    await engage(house)
    words = "waits for its turn; its exits rest; the broker does not answer"

    async def is_said() -> bool:
        return [row.reason for row in (await state(house)).closing] == [words]

    await eventually(is_said)
    await house.sim.clear_faults()
    assert await house.until(held["id"], within_s=20, status="CLOSED", close_reason="KILL_SWITCH")


async def test_who_looks_while_the_very_first_switch_is_engaged_finds_it_engaged(house: House) -> None:
    async with house.admin() as admin:
        await admin.execute("delete from orders.kill_switches where username = $1", house.user)
        engaging = admin.transaction()
        await engaging.start()
        await admin.execute("insert into orders.kill_switches (username, engaged) values ($1, true)", house.user)

        async def looks() -> bool:
            async with house.db.for_user(house.user) as unit:
                return await store_kills.is_engaged(unit, house.user)

        async def waits() -> bool:
            sql = (
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%kill_switches%'"
            )
            async with house.database.admin() as beside:
                return bool(await beside.fetchval(sql))

        looking = asyncio.create_task(looks())
        await eventually(waits)
        await engaging.commit()
    assert await looking


async def _sealed_otherwise(house: House, key: str, ciphertext: str) -> str:
    """Put another ciphertext in the place of an account's, and return what was there."""
    async with house.admin() as admin:
        was: str = await admin.fetchval("select token_ciphertext from orders.credentials where account_key = $1", key)
        await admin.execute(
            "update orders.credentials set token_ciphertext = $2 where account_key = $1", key, ciphertext
        )
    return was


async def _last_told_lists(house: House, name: str) -> bool:
    return bool((await told(house))[-1][name])
