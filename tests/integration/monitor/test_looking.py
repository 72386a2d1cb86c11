"""Full looks against real PostgreSQL: findings told after two, repairs asked for, doubt that begins and ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.base import BrokerMode
from libs.broker.orders import OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as Word
from libs.broker.venue_clock import VenueClocks
from libs.common import job_rows
from libs.common.clock import SystemClock
from libs.common.job_rows import Job, Wanted
from libs.common.messages.monitor import GetAccount, ListIncidents
from libs.common.messages.orders import ConcernRaised, RepairTrade, TradeClosed, TradeProtected
from libs.common.testing import TestDatabase, eventually
from services.monitor import answers, store, store_accounts, store_watch
from services.monitor.handlers import on_concern_raised, on_trade
from services.monitor.looking import look_at
from services.monitor.stream import FOLLOW
from services.monitor.sync import LOOK, ORDERS, sync_orders, sync_portfolio
from tests.integration.monitor.house import OCC, House, a_fact, a_house, around
from tests.unit.monitor.test_reconcile import a_bracket, a_report

pytestmark = pytest.mark.integration
ENTRY = a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal("4.20"), created_at=datetime.now(UTC))
KEY = "PAPER:VA-ann"


def holding() -> Any:
    """Write the fact of a trade whose bracket rests."""
    legs = [("ENTRY", "FILLED", "10", 2), ("TAKE_PROFIT", "WORKING", "21", 0), ("STOP_LOSS", "WORKING", "22", 0)]
    orders = [
        {"role": role, "status": status, "tag": "bk-" + role, "broker_order_id": number, "qty": 2, "filled_qty": filled}
        for role, status, number, filled in legs
    ]
    values: dict[str, Any] = {"status": "FILLED", "filled_qty": 2, "protection": "PROTECTED", "orders": orders}
    return a_fact(TradeProtected, key_version=3, **values)


def over() -> Any:
    """Write the fact of the same trade's end, sold by others."""
    entry, *legs = holding().model_dump()["orders"]
    orders = [entry, *({**leg, "status": "CANCELLED"} for leg in legs)]
    values: dict[str, Any] = {"status": "CLOSED", "filled_qty": 2, "close_reason": "CLOSED_AT_BROKER", "orders": orders}
    return a_fact(TradeClosed, key_version=4, **values)


def bracket(stop: Word = Word.OPEN, target: Word = Word.OPEN) -> OrderReport:
    return a_bracket(stop, target)


def a_sale(**changes: Any) -> OrderReport:
    """Write a sale in the contract that is not ours."""
    values = {"side": OrderSide.SELL_TO_CLOSE, "type": OrderType.MARKET, "status": Word.FILLED, "exec_qty": 2}
    return replace(a_report("900", **values | changes), avg_fill_price=Decimal("4.00"))


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    async with a_house(database) as opened:
        quick = opened.deps.settings.model_copy(update={"position_lag_s": 0.0, "repair_ask_s": 3600.0})
        made = replace(opened, deps=replace(opened.deps, settings=quick))
        made.bus.answers[RepairTrade] = {"state": "started"}
        fact = holding()
        await on_trade(fact, around(fact), made.deps)
        made.broker.listed = (ENTRY, bracket())
        yield made


async def claimed(house: House, kind: str = LOOK) -> Job:
    async with house.database.admin() as admin:
        await admin.execute("update monitor.jobs set claimed_until = null")
    async with house.db.for_worker() as unit:
        await unit.schedule(kind, KEY, None, user="ann")
    async with house.db.for_worker() as unit:
        (work,), _ = await job_rows.claim(unit, [Wanted(kind, 10, 30)])
    return work


async def looks(house: House, times: int = 1) -> None:
    for _ in range(times):
        await look_at(await claimed(house), house.deps)


async def incidents(house: House) -> list[dict[str, Any]]:
    answer = await answers.list_incidents(ListIncidents(), around(a_fact()), house.deps)
    found: list[dict[str, Any]] = answer["incidents"]
    return found


def repairs(house: House) -> list[RepairTrade]:
    return [message for message, _ in house.bus.asked if isinstance(message, RepairTrade)]


async def test_what_agrees_is_told_to_nobody(house: House) -> None:
    await looks(house, 3)
    assert await incidents(house) == []
    assert repairs(house) == []


async def test_a_missing_stop_is_told_and_its_repair_asked_once_two_looks_agree(house: House) -> None:
    house.broker.listed = (ENTRY, bracket(stop=Word.CANCELLED))
    await looks(house)
    assert (await incidents(house), repairs(house)) == ([], [])
    await looks(house, 3)
    (told,) = await incidents(house)
    assert (told["kind"], told["trade_id"], told["ended_at"]) == ("naked", "ann-1", None)
    (asked,) = repairs(house)
    assert (asked.finding, asked.seen_key_version) == ("naked", 3)
    house.broker.listed = (ENTRY, bracket())
    await looks(house)
    (told,) = await incidents(house)
    assert told["ended_at"] is not None


async def test_what_was_found_of_a_holding_ends_with_its_trade_not_with_a_look_hours_later(house: House) -> None:
    house.broker.listed = (ENTRY, bracket(), a_sale())
    house.broker.holds = {}
    await looks(house, 2)
    (told,) = await incidents(house)
    assert (told["kind"], told["ended_at"]) == ("vanished", None)
    fact = over()
    await on_trade(fact, around(fact), house.deps)
    (told,) = await incidents(house)
    assert told["ended_at"] is not None


async def test_a_look_that_meets_the_end_of_a_trade_opens_nothing_of_it(house: House) -> None:
    house.broker.listed = (ENTRY, bracket(), a_sale())
    house.broker.holds = {}
    await looks(house)
    work, fact = await claimed(house), over()
    async with house.db.for_user("ann") as unit:
        await store_accounts.account(unit, KEY, lock=True)
        look = asyncio.create_task(look_at(work, house.deps))
        waits = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and usename = 'monitor_service'"
        async with house.database.admin() as admin:
            await eventually(lambda: admin.fetchval(waits))
        await store_watch.keep(unit, store.ours(fact), None, hot_for=None, followed_by=FOLLOW)
    await look
    assert await incidents(house) == []


async def test_a_short_that_no_list_explains_is_told_for_as_long_as_it_lasts(house: House) -> None:
    fact = over()
    await on_trade(fact, around(fact), house.deps)
    house.broker.listed, house.broker.holds = (ENTRY,), {OCC: -1}
    await looks(house, 2)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.tracked set changed_at = now() - interval '25 hours'")
    await looks(house, 2)
    (told,) = await incidents(house)
    assert (told["kind"], told["trade_id"], told["ended_at"]) == ("short", "ann-1", None)
    house.broker.holds = {}
    await looks(house, 2)
    assert (await incidents(house))[0]["ended_at"] is not None


async def orders_tells(house: House, kind: str) -> None:
    fact = ConcernRaised.model_validate({
        "concern_key": f"{kind}:ann-1:1", "kind": kind, "severity": "critical", "text": "held, and something is wrong",
        "trade_id": "ann-1", "occ_symbol": OCC, "broker_mode": "PAPER", "account_id": "VA-ann",
        "since_at": datetime.now(UTC),
    })  # fmt: skip
    await on_concern_raised(fact, around(fact, key_version=1), house.deps)


async def test_what_orders_says_itself_is_not_told_twice(house: House) -> None:
    house.broker.listed = (ENTRY, bracket(stop=Word.CANCELLED))
    await looks(house, 2)
    await orders_tells(house, "naked")
    await looks(house, 2)
    told = await incidents(house)
    assert [one["ended_at"] is None for one in sorted(told, key=lambda one: one["opened_at"])] == [False, True]


async def test_a_repair_nobody_answers_is_asked_again(house: House) -> None:
    quick = house.deps.settings.model_copy(update={"repair_ask_s": 0.001})
    house = replace(house, deps=replace(house.deps, settings=quick))
    house.broker.listed = (ENTRY, bracket(stop=Word.CANCELLED))
    house.bus.connected = False
    await looks(house, 2)
    house.bus.connected = True
    await looks(house, 2)
    assert len(repairs(house)) == 2


async def test_a_sale_by_hand_is_named_to_orders(house: House) -> None:
    house.broker.listed = (ENTRY, bracket(), a_sale())
    house.broker.holds = {}
    await looks(house, 2)
    (asked,) = repairs(house)
    assert (asked.finding, asked.broker_order_ids) == ("vanished", ("900",))


async def test_positions_that_vanish_change_nothing_until_two_reads_agree(house: House) -> None:
    house.broker.by_id = {"10": ENTRY, "20": bracket(), "21": bracket(), "22": bracket()}
    house.broker.holds = {}
    await looks(house, 5)
    (told,) = await incidents(house)
    assert (told["kind"], told["trade_id"]) == ("doubtful", None)
    # Only what the account's history says of it is asked for.
    assert [one.finding for one in repairs(house)] == ["doubtful"]
    house.broker.holds = {OCC: 2}
    await looks(house)
    assert (await incidents(house))[0]["ended_at"] is None
    await looks(house)
    assert (await incidents(house))[0]["ended_at"] is not None


async def test_what_orders_has_missed_too_is_told_by_it_alone_and_the_rest_is_judged(house: House) -> None:
    house.broker.by_id = {"10": ENTRY, "20": bracket(), "21": bracket(), "22": bracket()}
    house.broker.holds = {}
    await looks(house, 2)
    await orders_tells(house, "shortfall")
    await looks(house, 2)
    assert [one["kind"] for one in await incidents(house) if one["ended_at"] is None] == ["shortfall"]
    house.broker.holds = {OCC: -1}
    await looks(house, 2)
    assert {one["kind"] for one in await incidents(house) if one["ended_at"] is None} == {"shortfall", "short"}


async def test_a_list_that_is_read_over_midnight_is_of_the_day_before(house: House) -> None:
    class Midnight(SystemClock):
        """Ten seconds to midnight in New York, and past it once a list was read."""

        def now(self) -> datetime:
            before = datetime(2026, 11, 24, 4, 59, 50, tzinfo=UTC)
            return before + timedelta(seconds=20) if "orders" in house.broker.asked else before

    clock = Midnight()
    night = replace(house, deps=replace(house.deps, clock=clock, venues=VenueClocks(clock)))
    night.broker.mode = BrokerMode.TRADIER_SANDBOX
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set hot_until = '2100-01-01'")
        await looks(night)
        listed_on = await admin.fetchval("select listed_on from monitor.accounts")
    assert listed_on == date(2026, 11, 23)


@pytest.mark.parametrize("stale", [(), (a_report(status=Word.OPEN, created_at=datetime.now(UTC)),)])
async def test_a_list_that_cannot_be_right_says_and_repairs_nothing_for_as_long_as_it_lasts(
    house: House, stale: tuple[OrderReport, ...]
) -> None:
    await looks(house)
    house.broker.by_id = {"10": ENTRY, "20": bracket(), "21": bracket(), "22": bracket()}
    house.broker.listed = stale
    for _ in range(30):
        await looks(house)
        await sync_orders(await claimed(house, ORDERS), house.deps)
    told = [one for one in await incidents(house) if one["ended_at"] is None]
    assert [one["kind"] for one in told] == ["doubtful"]
    assert repairs(house) == []
    facts = await house.said("evt.ann.monitor.order_changed")
    assert {row["key"] for row in facts} <= {f"{KEY}:10", f"{KEY}:21", f"{KEY}:22"}
    assert not [row for row in facts if "CANCELLED" in str(row["data"])]


async def test_while_in_doubt_only_what_was_read_by_its_id_is_told(house: House) -> None:
    await looks(house)
    house.broker.listed = ()
    await looks(house)
    house.broker.by_id = {"21": bracket(target=Word.FILLED, stop=Word.CANCELLED)}
    legs = (replace(bracket().legs[0], status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal(6)), bracket().legs[1])
    house.broker.by_id = dict.fromkeys(("20", "21", "22"), replace(bracket(), legs=legs))
    await sync_orders(await claimed(house, ORDERS), house.deps)
    told = await house.said("evt.ann.monitor.order_changed")
    assert f"{KEY}:21" in {row["key"] for row in told}


async def test_a_wiped_account_is_told_trade_by_trade(house: House) -> None:
    house.broker.listed, house.broker.holds = (), {}
    await looks(house, 2)
    (asked,) = repairs(house)
    assert asked.finding == "sandbox_wipe"


async def test_what_is_not_ours_is_labelled(house: House) -> None:
    house.broker.listed = (ENTRY, bracket(), a_sale(status=Word.OPEN, exec_qty=0))
    house.broker.holds = {OCC: 5, "AAPL": 10}
    await sync_portfolio(await claimed(house, "sync_portfolio"), house.deps)
    await looks(house, 2)
    account = await answers.get_account(GetAccount(), around(a_fact()), house.deps)
    assert {one["symbol"]: int(one["foreign_qty"]) for one in account["positions"]} == {OCC: 3, "AAPL": 10}
    assert [(one["broker_order_id"], one["is_ours"]) for one in account["orders"]] == [
        ("21", True),
        ("22", True),
        ("900", False),
    ]
    (told,) = await incidents(house)
    assert (told["kind"], repairs(house)) == ("foreign", [])


async def test_a_position_that_moved_asks_for_orders_and_a_look_at_once(house: House) -> None:
    await sync_portfolio(await claimed(house, "sync_portfolio"), house.deps)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.jobs set due_at = 'infinity', claimed_until = null")
    house.broker.holds = {OCC: 1}
    await sync_portfolio(await claimed(house, "sync_portfolio"), house.deps)
    due = await house.jobs()
    now = datetime.now(UTC)
    assert due[LOOK] <= now
    assert due[ORDERS] <= now
