"""What is looked at before money moves: at the broker, under the account's lock, and beforehand for the ticket."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal

import asyncpg
import pytest

from libs.common.errors import ContractInUse, Expired, LimitExceeded
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.safety import CheckTrade, TradeCheck
from libs.common.testing import TestDatabase, eventually
from services.orders import handlers_safety
from tests.integration.orders.flows import DEEP
from tests.integration.orders.house import QUICK, House, a_house
from tests.integration.orders.switching import engage
from tests.integration.orders.test_refusals import nothing_was_sent

pytestmark = pytest.mark.integration

ASKED = frozenset(CheckTrade.model_fields)


async def checked(house: House, command: PlaceTrade) -> TradeCheck:
    """Ask what a placement would use."""
    asked = CheckTrade(**{name: value for name, value in dict(command).items() if name in ASKED})
    return await handlers_safety.check_trade(asked, house.context(), house.deps)


async def test_a_check_tells_how_much_of_each_limit_a_trade_would_use_and_stores_nothing(house: House) -> None:
    await house.prefer(account_balance="10000", max_contracts=5, max_positions=3)
    await house.protected()
    house.contract = await house.sim.contract(nth=1)
    await house.pin("4.00", "4.20")
    found = await checked(house, house.placing())
    told = {use.limit: use for use in found.limits}
    assert found.refusal is None
    # Two contracts at 4.20 with a stop at 3.00, twice.
    assert (told["heat_limit_pct"].used, told["heat_limit_pct"].would_be) == ("2.40", "4.80")
    assert (told["max_positions"].used, told["max_positions"].would_be, told["max_positions"].value) == ("1", "2", "3")
    assert (told["max_contracts"].value, told["max_contracts"].would_be) == ("5", "2")
    assert told["daily_loss_limit"].would_be == "240.00"
    assert told["buying_power"].would_be == "840.00"
    assert Decimal(told["buying_power"].value or 0) > 0
    assert len(await house.sim.orders(house.account_id)) == 2


async def test_what_a_check_says_against_a_trade_is_what_a_placement_is_refused_with(house: House) -> None:
    await house.prefer(max_premium="500", max_spread_pct="1")
    command = house.placing()
    found = await checked(house, command)
    assert {use.limit for use in found.limits if use.exceeded} == {"max_premium", "max_spread_pct"}
    with pytest.raises(LimitExceeded) as caught:
        await house.ask(command)
    assert found.refusal is not None
    assert (found.refusal.code, found.refusal.detail) == ("limit_exceeded", caught.value.detail)
    await nothing_was_sent(house)


async def test_a_check_says_what_else_is_against_a_trade(house: House) -> None:
    wrong = await checked(house, house.placing(sl_price=Decimal("4.50")))
    assert wrong.refusal is not None
    assert (wrong.refusal.code, wrong.limits) == ("invalid_input", ())
    trade = await house.place(entry=DEEP)
    assert trade["status"] == "OPEN"
    taken = await checked(house, house.placing())
    assert taken.refusal is not None
    assert taken.refusal.code == "contract_in_use"
    await engage(house)
    killed = await checked(house, house.placing())
    assert killed.refusal is not None
    assert killed.refusal.code == "kill_switch_on"


async def test_a_contract_in_which_somebodys_order_works_is_in_use(house: House) -> None:
    await house.by_hand(side="buy_to_open", quantity=1, type="limit", price="3.00")
    with pytest.raises(ContractInUse, match="at the broker"):
        await house.ask(house.placing())
    assert await house.only_trade() is None


async def test_more_than_the_account_can_pay_is_refused_by_name_before_anything_is_stored(house: House) -> None:
    with pytest.raises(LimitExceeded) as caught:
        await house.ask(house.placing(qty=1000))
    assert caught.value.extra["limit"] == "buying_power"
    assert caught.value.extra["found"] == "420000.00"
    await nothing_was_sent(house)


async def test_limits_are_those_of_the_moment_in_which_the_trade_is_stored(house: House) -> None:
    await house.sim.control("toggles", latency_ms=400)
    asked = asyncio.create_task(house.ask(house.placing()))
    before = len(await house.sim.requests())
    await eventually(lambda: _has_asked(house, before))
    await house.prefer(max_contracts=1)
    with pytest.raises(LimitExceeded, match="max_contracts is 1"):
        await asked
    await nothing_was_sent(house)


async def _has_asked(house: House, before: int) -> bool:
    return len(await house.sim.requests()) > before


async def test_a_preview_that_became_too_old_while_waiting_for_the_lock_is_not_trusted(
    database: TestDatabase, world: str
) -> None:
    async with a_house(database, world, waits=replace(QUICK, preview_s=0.2)) as house:
        holder = await asyncpg.connect(database.url)
        try:
            held = holder.transaction()
            await held.start()
            await holder.execute("select from orders.credentials where username = $1 for update", house.user)
            asked = asyncio.create_task(house.ask(house.placing()))
            await eventually(lambda: _waits_for_the_lock(house))
            async with asyncio.timeout(5):
                await holder.execute("select pg_sleep(0.3)")
            await held.rollback()
            with pytest.raises(Expired, match="preview"):
                await asked
        finally:
            await holder.close()
        await nothing_was_sent(house)


async def _waits_for_the_lock(house: House) -> bool:
    async with house.admin() as admin:
        sql = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' and query like '%credentials%'"
        return bool(await admin.fetchval(sql))
