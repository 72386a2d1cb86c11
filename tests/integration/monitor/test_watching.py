"""Which accounts are read when, and what becomes of those that cannot be."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
import pytest

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.factory import BrokerFactory
from libs.broker.orders import OrderStatus as Word
from libs.broker.venue_clock import VenueClocks
from libs.common.clock import ManualClock
from libs.common.errors import InvalidInput, InvariantBroken, NotFound, UpstreamUnavailable
from libs.common.handlers import Reply, encode
from libs.common.messages.monitor import (
    GetAccount,
    GetMonitorStatus,
    GetSyncStatus,
    ListAccounts,
    ListExecutions,
    ListIncidents,
    SyncNow,
)
from libs.common.messages.orders import ConcernRaised, CredentialsChanged, GetBrokerAccess, TradeClosed
from libs.common.messages.vocabulary import Severity
from libs.common.testing import FakeBus, TestDatabase
from libs.common.vault import Vault, new_key
from libs.market.session import MarketState
from services.gateway import models_account as shown
from services.gateway.models_base import Answer
from services.monitor import answers, store_accounts
from services.monitor.access import KEEP_S, Access
from services.monitor.handlers import on_concern_raised, on_credentials_changed, on_trade
from services.monitor.sync import ORDERS, PORTFOLIO, sync_orders, sync_portfolio
from tests.integration.monitor.house import House, a_fact, a_house, around, filled_fact
from tests.integration.monitor.test_sync import FILLED, claimed
from tests.unit.monitor.test_reconcile import a_report

pytestmark = pytest.mark.integration


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    async with a_house(database) as made:
        fact = a_fact()
        await on_trade(fact, around(fact), made.deps)
        yield made


async def quiet(house: House) -> None:
    """Let what kept the account hot be over."""
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set hot_until = null")


async def account(house: House) -> store_accounts.Account:
    async with house.db.for_user("ann") as unit:
        found = await store_accounts.account(unit, "PAPER:VA-ann")
    assert found is not None
    return found


async def pause(house: House) -> timedelta:
    """Read the orders once and tell how long it is until the next read."""
    now = datetime.now(UTC)
    due = await sync_orders(await claimed(house), house.deps)
    assert isinstance(due, datetime)
    return due - now


async def test_outside_the_session_only_what_is_hot_is_read(house: House) -> None:
    fact = filled_fact()
    await on_trade(fact, around(fact), house.deps)
    for kind, cycle in ((ORDERS, sync_orders), (PORTFOLIO, sync_portfolio)):
        await cycle(await claimed(house, kind), house.deps)
    house.broker.asked.clear()
    house.broker.session = MarketState.CLOSED
    house.deps = replace(house.deps, venues=VenueClocks(house.deps.clock))
    await quiet(house)
    assert timedelta(seconds=50) < await pause(house) < timedelta(seconds=70)
    assert house.broker.asked == []
    await answers.sync_now(SyncNow(), around(a_fact()), house.deps)
    await pause(house)
    assert house.broker.asked == ["orders"]


async def test_an_account_is_watched_closely_until_two_looks_found_nothing_alive(house: House) -> None:
    order = {"role": "ENTRY", "status": "CANCELLED", "tag": "bk-entry", "broker_order_id": "10", "qty": 2}
    over: dict[str, Any] = {
        "status": "CLOSED",
        "close_reason": "CANCELLED",
        "close_date": datetime.now(UTC),
        "orders": [order],
    }
    fact = a_fact(TradeClosed, key_version=2, **over)
    await on_trade(fact, around(fact), house.deps)
    await quiet(house)
    usual, idle = house.deps.settings.order_sync_s, house.deps.settings.idle_sync_s
    pauses = [(await pause(house)).total_seconds() for _ in range(3)]
    assert [usual - 5 < one < usual + 5 for one in pauses[:2]] == [True, True]
    assert pauses[2] > idle - 5
    again = a_fact(key_version=3)
    await on_trade(again, around(again), house.deps)
    assert (await account(house)).quiet_looks == 0


async def test_an_order_that_comes_back_under_an_old_tag_is_still_told(house: House) -> None:
    order = {"role": "ENTRY", "status": "REJECTED", "tag": "bk-entry", "broker_order_id": None, "qty": 2}
    over: dict[str, Any] = {
        "status": "CLOSED",
        "close_reason": "REJECTED",
        "close_date": datetime.now(UTC),
        "orders": [order],
    }
    fact = a_fact(TradeClosed, key_version=2, **over)
    await on_trade(fact, around(fact), house.deps)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.tracked set changed_at = changed_at - interval '6 h'")
    house.broker.listed = (a_report("77", tag="bk-entry", **FILLED),)
    await sync_orders(await claimed(house), house.deps)
    assert [row["key"] for row in await house.said()] == ["PAPER:VA-ann:77"]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvariantBroken("the secret cannot be opened"), "credentials_unreadable"),
        (InvalidInput("PAPER is not available"), "mode_unavailable"),
        (NotFound("no credentials"), "no_credentials"),
        (UpstreamUnavailable("no answer"), "broker_unavailable"),
    ],
)
async def test_what_stops_a_read_is_shown_until_both_feeds_are_well(house: House, error: Exception, code: str) -> None:
    async def refuse(_: Any) -> BrokerProvider:
        raise error

    original, house.deps.access.broker = house.deps.access.broker, refuse  # type: ignore[method-assign,assignment]
    assert await pause(house) < timedelta(seconds=65)
    status = await answers.get_status(GetMonitorStatus(), around(a_fact()), house.deps)
    assert [banner["code"] for banner in status["banners"]] == [code]
    assert "VA-ann" in status["banners"][0]["text"] or "Paper" in status["banners"][0]["text"]
    house.deps.access.broker = original  # type: ignore[method-assign]
    house.deps = replace(house.deps, venues=VenueClocks(house.deps.clock))
    house.broker.session = MarketState.CLOSED
    await quiet(house)
    await pause(house)
    status = await answers.get_status(GetMonitorStatus(), around(a_fact()), house.deps)
    assert [banner["code"] for banner in status["banners"]] == [code]
    await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    status = await answers.get_status(GetMonitorStatus(), around(a_fact()), house.deps)
    assert status["banners"] == []


def changed(*, removed: bool) -> CredentialsChanged:
    return CredentialsChanged(
        account_key="PAPER:VA-ann",
        broker_mode=BrokerMode.PAPER,
        account_id="VA-ann",
        account_name="Paper",
        removed=removed,
    )


async def test_a_removed_account_is_given_up_and_late_news_does_not_bring_it_back(house: House) -> None:
    await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    fact = changed(removed=True)
    await on_credentials_changed(fact, around(fact, key_version=2), house.deps)
    order = {"role": "ENTRY", "status": "CANCELLED", "tag": "bk-entry", "broker_order_id": "10", "qty": 2}
    over: dict[str, Any] = {
        "status": "CLOSED",
        "close_reason": "CANCELLED",
        "close_date": datetime.now(UTC),
        "orders": [order],
    }
    late = a_fact(TradeClosed, key_version=9, **over)
    await on_trade(late, around(late), house.deps)
    assert await answers.list_accounts(ListAccounts(), around(a_fact()), house.deps) == {"accounts": []}
    assert await sync_orders(await claimed(house), house.deps) is None


async def test_answers_have_the_shapes_that_the_gateway_documents(house: House) -> None:
    house.broker.listed = (a_report(**FILLED),)
    await sync_orders(await claimed(house), house.deps)
    await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    concern = ConcernRaised(
        concern_key="c1",
        kind="naked",
        severity=Severity.ERROR,
        text="no exit rests",
        since_at=datetime.now(UTC),
        trade_id="ann-1",
    )
    await on_concern_raised(concern, around(concern, key_version=1), house.deps)
    ctx, deps = around(a_fact()), house.deps
    begun = await answers.sync_now(SyncNow(), ctx, deps)
    assert isinstance(begun, Reply)
    said: list[tuple[type[Answer], Any]] = [
        (shown.Accounts, await answers.list_accounts(ListAccounts(), ctx, deps)),
        (shown.Account, await answers.get_account(GetAccount(), ctx, deps)),
        (shown.Executions, await answers.list_executions(ListExecutions(), ctx, deps)),
        (shown.Incidents, await answers.list_incidents(ListIncidents(), ctx, deps)),
        (shown.SyncStatus, await answers.get_sync_status(GetSyncStatus(), ctx, deps)),
        (shown.SyncBegun, begun.json()),
    ]
    for model, given in said:
        answer = orjson.loads(encode(given))
        read = model.model_validate(answer)
        for name in model.model_fields:
            assert name == "next_cursor" or getattr(read, name), (
                f"{model.__name__}.{name} is empty: the test proves nothing of it"
            )
        assert set(answer) == set(model.model_fields)
    detail = said[1][1]
    assert set(detail["status"]) == set(shown.AccountStatus.model_fields)
    assert {frozenset(one) for one in detail["positions"]} == {frozenset(shown.Position.model_fields)}
    assert {frozenset(one) for one in detail["executions"]} == {frozenset(shown.Execution.model_fields)}
    assert {frozenset(one) for one in said[3][1]["incidents"]} == {frozenset(shown.Incident.model_fields)}


async def test_an_old_answer_asks_for_a_refresh_behind_it(house: House) -> None:
    await sync_portfolio(await claimed(house, PORTFOLIO), house.deps)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.jobs set claimed_until = null, due_at = now() + interval '1 h'")
    await answers.get_account(GetAccount(), around(a_fact()), house.deps)
    assert (await house.jobs())[PORTFOLIO] > datetime.now(UTC)
    async with house.database.admin() as admin:
        await admin.execute("update monitor.accounts set portfolio_synced_at = now() - interval '61 s'")
    await answers.get_account(GetAccount(), around(a_fact()), house.deps)
    assert (await house.jobs())[PORTFOLIO] <= datetime.now(UTC)


async def test_watching_goes_on_with_the_kept_token_while_orders_is_silent(house: House) -> None:
    key, clock = new_key(), ManualClock()
    sealed = {"token_ciphertext": Vault(key).seal("t", "row"), "row_id": "row"}
    bus = FakeBus({GetBrokerAccess: sealed})
    factory = BrokerFactory(cast("Any", None), {BrokerMode.PAPER: "http://127.0.0.1:1"})
    access = Access(cast("Any", bus), factory, Vault(key), clock)
    watched = await account(house)
    first = await access.broker(watched)
    bus.answers[GetBrokerAccess] = UpstreamUnavailable("orders does not answer")
    clock.advance(timedelta(seconds=KEEP_S + 1))
    assert await access.broker(watched) is first
    access.forget(watched.account_key)
    with pytest.raises(UpstreamUnavailable):
        await access.broker(watched)


async def test_a_pending_order_is_no_news(house: House) -> None:
    house.broker.listed = (a_report(status=Word.PENDING),)
    await sync_orders(await claimed(house), house.deps)
    assert await house.said() == []
    house.broker.listed = (a_report(status=Word.OPEN),)
    await sync_orders(await claimed(house), house.deps)
    assert len(await house.said()) == 1
