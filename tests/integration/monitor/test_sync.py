"""Cycles against real PostgreSQL: what changed is told once, absence asks, failures become banners."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import orjson
import pytest

from libs.broker.base import BrokerProvider
from libs.broker.orders import OrderSide
from libs.broker.orders import OrderStatus as Word
from libs.broker.venue_clock import VenueClocks
from libs.common import job_rows
from libs.common.clock import SystemClock
from libs.common.errors import InvalidInput, NotFound, UpstreamAuth, UpstreamRefused, UpstreamUnavailable
from libs.common.job_rows import Job, Wanted
from libs.common.messages.monitor import BannerChanged, GetMonitorStatus, GetSyncStatus, SyncNow
from libs.common.messages.pricing import Mark, Marks
from libs.common.testing import TestDatabase, eventually
from libs.market.session import MarketState
from services.monitor import answers, store_watch
from services.monitor.handlers import on_marks, on_trade
from services.monitor.sync import ORDERS, PORTFOLIO, sync_orders, sync_portfolio
from tests.integration.monitor.house import OCC, House, a_fact, a_house, around, filled_fact
from tests.unit.monitor.test_reconcile import a_report

pytestmark = pytest.mark.integration
FILLED: dict[str, Any] = {"status": Word.FILLED, "exec_qty": 2, "avg_fill_price": Decimal("4.20")}


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    async with a_house(database) as made:
        fact = a_fact()
        await on_trade(fact, around(fact), made.deps)
        yield made


async def claimed(house: House, kind: str = ORDERS) -> Job:
    """Claim the account's job, whatever a run before it left."""
    async with house.database.admin() as admin:
        await admin.execute("update monitor.jobs set claimed_until = null")
    async with house.db.for_worker() as unit:
        await unit.schedule(kind, "PAPER:VA-ann", None, user="ann")
    async with house.db.for_worker() as unit:
        (work,), _ = await job_rows.claim(unit, [Wanted(kind, 10, 30)])
    return work


async def test_an_execution_long_after_the_end_is_told_once_to_the_trade_that_sent_it(house: House) -> None:
    async with house.database.admin() as admin:
        await admin.execute(
            "update monitor.tracked set status = 'CLOSED', is_over = true, changed_at = now() - interval '30 days', "
            "orders = jsonb_set(orders, '{0,status}', '\"REJECTED\"')"
        )
    house.broker.listed = (a_report("77", side=OrderSide.SELL_TO_CLOSE, **FILLED),)
    await sync_orders(await claimed(house), house.deps)
    assert not await house.said("evt.ann.monitor.order_changed"), "somebody else's"
    house.broker.listed = (a_report(**FILLED),)
    for _ in range(2):
        await sync_orders(await claimed(house), house.deps)
    (said,) = await house.said("evt.ann.monitor.order_changed")
    assert orjson.loads(said["data"])["filled_qty"] == 2


async def test_a_fill_is_told_once_with_the_brokers_price(house: House) -> None:
    house.broker.listed = (a_report(**FILLED),)
    for _ in range(2):
        await sync_orders(await claimed(house), house.deps)
    (said,) = await house.said("evt.ann.monitor.order_changed")
    data = orjson.loads(said["data"])
    told = data.get("data", data)
    assert (told["trade_id"], told["role"], told["filled_qty"], told["avg_fill_price"]) == ("ann-1", "ENTRY", 2, "4.20")
    assert (said["key"], said["key_version"]) == ("PAPER:VA-ann:10", 1)


async def test_a_run_that_lost_its_claim_tells_nothing(house: House) -> None:
    house.broker.listed = (a_report(**FILLED),)
    paused = await claimed(house)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.jobs set claimed_until = now() - interval '1 s'")
    await claimed(house)
    await sync_orders(paused, house.deps)
    assert await house.said() == []


async def test_an_order_that_the_list_leaves_out_is_asked_by_its_id(house: House) -> None:
    house.broker.by_id = {"10": a_report(**FILLED)}
    await sync_orders(await claimed(house), house.deps)
    assert house.broker.asked == ["orders", "10"]
    assert len(await house.said()) == 1


async def test_an_order_that_nobody_knows_changes_nothing(house: House) -> None:
    await sync_orders(await claimed(house), house.deps)
    assert await house.said() == []


async def test_an_older_fact_does_not_undo_a_newer(house: House) -> None:
    fact = filled_fact(5)
    await on_trade(fact, around(fact), house.deps)
    old = a_fact(key_version=3)
    await on_trade(old, around(old), house.deps)
    async with house.database.admin() as admin:
        assert await admin.fetchval("select status from monitor.tracked") == "FILLED"


async def test_the_next_read_is_soon_while_an_entry_works_and_later_when_it_does_not(house: House) -> None:
    now = datetime.now(UTC)
    hot = await sync_orders(await claimed(house), house.deps)
    fact = filled_fact()
    await on_trade(fact, around(fact), house.deps)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set hot_until = null")
    calm = await sync_orders(await claimed(house), house.deps)
    assert isinstance(hot, datetime)
    assert isinstance(calm, datetime)
    assert timedelta(seconds=4) < hot - now < timedelta(seconds=20)
    assert timedelta(seconds=55) < calm - now < timedelta(seconds=80)


async def test_a_hint_during_a_read_asks_for_another_at_once(house: House) -> None:
    work = await claimed(house)
    original = house.broker.orders

    async def hinted() -> tuple[object, ...]:
        await answers.sync_now(SyncNow(), around(a_fact()), house.deps)
        return await original()

    house.broker.orders = hinted  # type: ignore[method-assign,assignment]
    due = await sync_orders(work, house.deps)
    assert isinstance(due, datetime)
    assert due <= datetime.now(UTC)


async def test_only_a_refused_profile_means_sign_in_again(house: House) -> None:
    house.broker.refuses = UpstreamAuth("401")
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == ["broker_unavailable"]
    house.broker.refuses_profile = UpstreamAuth("401")
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == ["re_authenticate"]
    house.broker.refuses = None
    await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == []
    assert told(house) == [["broker_unavailable"], ["re_authenticate"], []]


async def shown(house: House) -> list[str]:
    status = await answers.get_status(GetMonitorStatus(), around(a_fact()), house.deps)
    return [banner["code"] for banner in status["banners"]]


def told(house: House) -> list[list[str]]:
    ticks = [tick for tick, user in house.bus.ticks if user == "ann"]
    return [[banner.code for banner in tick.banners] for tick in ticks if isinstance(tick, BannerChanged)]


WRONG = {
    "400": (UpstreamRefused("Invalid parameter"), "broker_refuses"),
    "403": (UpstreamRefused("the broker forbids this", blocked=True), "blocked"),
    "500, 503, no answer": (UpstreamUnavailable("order list: no answer in time"), "broker_unavailable"),
    "an open breaker": (UpstreamUnavailable("x", retry_after_s=9, paused_until="y"), "broker_unavailable"),
    "no credentials": (NotFound("no such account"), "no_credentials"),
    "no such mode": (InvalidInput("PAPER is not available"), "mode_unavailable"),
}


@pytest.mark.parametrize("case", WRONG)
async def test_what_is_wrong_is_told_once_and_is_over_once_both_feeds_were_read_again(house: House, case: str) -> None:
    await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    house.broker.refuses, code = WRONG[case]
    for _ in range(2):
        await sync_orders(await claimed(house), house.deps)
        await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
        assert await shown(house) == [code], "a readable portfolio hides that the orders cannot be read"
    assert (await house.jobs())[ORDERS] <= datetime.now(UTC), "the feed that can end it is read at once"
    house.broker.refuses = None
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == []
    assert told(house) == [[code], []]


async def test_a_budget_that_says_later_is_no_fault_of_the_broker_until_the_view_is_old(house: House) -> None:
    for kind, sync in ((ORDERS, sync_orders), (PORTFOLIO, sync_portfolio)):
        await sync(await claimed(house, kind), house.deps)
    house.broker.refuses = UpstreamUnavailable("the request budget is used up", retry_after_s=3)
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == []
    assert told(house) == []
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set orders_synced_at = now() - interval '181 s'")
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == ["stale_data"]
    house.broker.refuses = None
    await sync_orders(await claimed(house), house.deps)
    assert await shown(house) == []
    assert told(house) == [["stale_data"], []]


async def test_an_account_that_is_read_seldom_or_whose_market_is_closed_is_not_old(house: House) -> None:
    for kind, sync in ((ORDERS, sync_orders), (PORTFOLIO, sync_portfolio)):
        await sync(await claimed(house, kind), house.deps)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set orders_synced_at = now() - interval '9 min', quiet_looks = 2")
    assert await shown(house) == []
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set quiet_looks = 0")
    assert await shown(house) == ["stale_data"]
    house.broker.session = MarketState.CLOSED
    closed = VenueClocks(SystemClock())
    await closed.read(cast("BrokerProvider", house.broker))
    elsewhere = replace(house, deps=replace(house.deps, venues=closed))
    assert await shown(elsewhere) == []


async def test_a_broker_that_is_away_closes_nothing(house: House) -> None:
    house.broker.refuses = UpstreamUnavailable("no answer")
    await sync_orders(await claimed(house), house.deps)
    assert await house.said() == []
    assert house.broker.asked == ["orders"]


async def test_money_and_holdings_are_replaced_at_once(house: House) -> None:
    for _ in range(2):
        await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    async with house.database.admin() as admin:
        assert await admin.fetchval("select net_liquidation from monitor.account_status_cache") == 5000
        assert await admin.fetchval("select count(*) from monitor.active_positions_cache") == 1


async def test_a_fill_is_one_execution_however_often_it_is_read(house: House) -> None:
    house.broker.listed = (a_report(status=Word.PARTIALLY_FILLED, exec_qty=1, avg_fill_price=Decimal("4.00")),)
    await sync_orders(await claimed(house), house.deps)
    house.broker.listed = (a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal("4.10")),)
    for _ in range(2):
        await sync_orders(await claimed(house), house.deps)
    async with house.database.admin() as admin:
        rows = await admin.fetch("select quantity, price from monitor.trade_executions order by execution_time, price")
    assert sorted((row["quantity"], row["price"]) for row in rows) == [(1, Decimal("4")), (1, Decimal("4.2"))]


async def test_a_mark_at_an_exit_makes_the_account_hot(house: House) -> None:
    fact = filled_fact()
    await on_trade(fact, around(fact), house.deps)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.jobs set due_at = now() + interval '1 h'")
    now = datetime.now(UTC)
    for price, is_due in (("4.00", False), ("6.00", True)):
        mark = Mark(occ_symbol=OCC, bid=Decimal(price), ask=Decimal(price), mark=Decimal(price), quoted_at=now)
        tick = Marks(ticker="SPY", underlying_price=None, source="orats", as_of=now, marks=(mark,))
        await on_marks(tick, "SPY", house.deps)
        assert ((await house.jobs())[ORDERS] <= datetime.now(UTC)) is is_due


async def test_nobody_sees_anothers_accounts(house: House) -> None:
    assert (await answers.get_sync_status(GetSyncStatus(), around(a_fact(), user="bob"), house.deps)) == {
        "accounts": []
    }
    fact = a_fact(user="bob")
    await on_trade(fact, around(fact, user="bob"), house.deps)
    for user in ("ann", "bob"):
        said = await answers.get_sync_status(GetSyncStatus(), around(a_fact(), user=user), house.deps)
        assert [line["account_id"] for line in said["accounts"]] == [f"VA-{user}"]


@pytest.mark.parametrize("kind", [ORDERS, PORTFOLIO])
async def test_a_hint_during_the_end_of_a_cycle_does_not_deadlock_with_it(house: House, kind: str) -> None:
    work = await claimed(house, kind)
    waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock' and usename = 'monitor_service'"
    async with house.database.admin() as admin, house.db.for_user("ann") as unit:
        await store_watch.hint(unit, work.key)
        cycle = asyncio.create_task((sync_orders if kind == ORDERS else sync_portfolio)(work, house.deps))
        await eventually(lambda: admin.fetchval(waiting))
        await unit.schedule(kind, work.key, None, user="ann")
    assert await cycle is not None
