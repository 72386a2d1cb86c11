"""Cycles, curves and chains against real PostgreSQL and a real simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import httpx
import orjson
import pytest

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.factory import BrokerFactory
from libs.common import job_rows
from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.config import load
from libs.common.db import Database
from libs.common.errors import NotFound, UpstreamUnavailable
from libs.common.handlers import Context
from libs.common.http import HttpClient
from libs.common.ids import new_id
from libs.common.job_rows import Wanted
from libs.common.messages.orders import TradeClosed, TradeFact, TradeFilled
from libs.common.messages.pricing import GetChain, GetPricingStatus, GetSnapshots, ListExpirations, Marks
from libs.common.testing import FakeBus, TestDatabase
from libs.market.options import OccSymbol
from services.pricing import handlers
from services.pricing.chain import Chains
from services.pricing.cycle import Wish
from services.pricing.deps import Deps
from services.pricing.feed_orats import OratsFeed
from services.pricing.feed_tradier import TradierFeed
from services.pricing.settings import Settings
from services.pricing.snapshots import CYCLE, ONLY, snapshot_cycle
from services.pricing.venue import Venue

pytestmark = pytest.mark.integration


@dataclass
class House:
    """Pricing's dependencies on a real simulator."""

    deps: Deps
    db: Database
    bus: FakeBus
    simulator: httpx.AsyncClient
    database: TestDatabase
    broker: BrokerProvider

    async def cycle(self) -> datetime:
        async with self.database.admin() as admin:
            await admin.execute("update pricing.jobs set claimed_until = null")
        async with self.db.for_worker() as unit:
            await unit.schedule(CYCLE, ONLY, None)
        async with self.db.for_worker() as unit:
            (work,), _ = await job_rows.claim(unit, [Wanted(CYCLE, 1, 60)])
        due = await snapshot_cycle(work, self.deps)
        assert isinstance(due, datetime)
        return due

    async def orats_requests(self) -> int:
        found = (await self.simulator.get("/_control/requests")).json()
        requests = next(iter(found.values())) if isinstance(found, dict) else found
        return sum("/datav2/" in request["path"] for request in requests)

    async def hold(self, fact: TradeFact) -> None:
        await handlers.on_trade(fact, around(fact), self.deps)


@pytest.fixture
async def house(database: TestDatabase, simulator: str) -> AsyncIterator[House]:
    environment = {
        "DATABASE_URL": "postgresql://nowhere/x",
        "PRICING_DATABASE_PASSWORD": "x",
        "NATS_URL": "nats://nowhere",
        "PRICING_NATS_PASSWORD": "x",
        "ORATS_URL": f"{simulator}/datav2",
        "ORATS_TOKEN": "test",
        "SIMULATOR_URL": simulator,
    }
    settings, bus, clock = load(Settings, environment), FakeBus(), SystemClock()
    async with (
        database.opened("pricing") as db,
        HttpClient() as http,
        httpx.AsyncClient(base_url=simulator, verify=False) as control,
    ):
        feed = OratsFeed(http, settings)
        broker = BrokerFactory(http, {BrokerMode.PAPER: simulator}).get_broker(BrokerMode.PAPER, "", "pricing-test")
        deps = Deps(
            db=db,
            bus=cast("Bus", bus),
            clock=clock,
            settings=settings,
            feed=feed,
            chains=Chains(db, feed, clock, settings),
            venue=Venue(clock, broker),
        )
        await control.post("/_control/clock", json={"session": "open"})
        yield House(deps, db, bus, control, database, broker)
        await control.post("/_control/faults", json={"match": {"path": "/datav2/.*"}, "kind": "slow", "times": 0})


async def a_contract(house: House) -> dict[str, Any]:
    listed = await house.deps.chains.expirations("SPY")
    chain = await house.deps.chains.chain("SPY", date.fromisoformat(listed["expirations"][3]))
    return dict(chain["options"][len(chain["options"]) // 2])


def held(contract: dict[str, Any], *, user: str = "ann", key_version: int = 2, **changes: Any) -> TradeFilled:
    values = {
        "trade_id": f"{user}-1",
        "id": f"{user}-1",
        "username": user,
        "account_id": "VA1",
        "broker_mode": "PAPER",
        "ticker": "SPY",
        "occ_symbol": contract["occ_symbol"],
        "option_type": contract["option_type"],
        "strike": contract["strike"],
        "expiry": date(2026, 12, 18),
        "multiplier": 100,
        "qty": 2,
        "filled_qty": 2,
        "entry_price": "4.20",
        "entry_date": datetime.now(UTC) - timedelta(minutes=5),
        "status": "FILLED",
        "protection": "PROTECTED",
        "version": 1,
        "key_version": key_version,
    }
    return TradeFilled.model_validate(values | changes)


def around(fact: TradeFact | None = None, *, user: str | None = None) -> Context:
    return Context(
        id=new_id(),
        user=user or (fact.username if fact else "ann"),
        correlation_id="c",
        occurred_at=datetime.now(UTC),
        key=fact.key if fact else None,
        key_version=fact.key_version if fact else None,
        consumer="pricing-orders",
    )


async def test_one_request_serves_everybody_who_holds_the_ticker(house: House) -> None:
    contract = await a_contract(house)
    for user in ("ann", "bob"):
        await house.hold(held(contract, user=user))
    before = await house.orats_requests()
    await house.cycle()
    assert await house.orats_requests() == before + 1
    (tick,) = [tick for tick, token in house.bus.ticks if isinstance(tick, Marks) and token == "SPY"]
    assert [mark.occ_symbol for mark in tick.marks] == [contract["occ_symbol"]]
    for user in ("ann", "bob"):
        answer = await handlers.get_snapshots(GetSnapshots(trade_id=f"{user}-1"), around(user=user), house.deps)
        (point,) = orjson.loads(answer)["points"]
        mark = Decimal(point["mark_price"])
        assert Decimal(point["pnl"]) == (mark - Decimal("4.20")) * 200
        assert mark == tick.marks[0].mark


async def test_another_users_curve_is_not_found(house: House) -> None:
    await house.hold(held(await a_contract(house)))
    await house.cycle()
    with pytest.raises(NotFound):
        await handlers.get_snapshots(GetSnapshots(trade_id="ann-1"), around(user="bob"), house.deps)


async def test_a_closed_trade_is_quoted_no_more_and_its_curve_stays(house: House) -> None:
    contract = await a_contract(house)
    await house.hold(held(contract))
    await house.cycle()
    over = held(contract, key_version=3, status="CLOSED", close_reason="TP_HIT", close_date=datetime.now(UTC))
    fact = TradeClosed.model_validate(over.model_dump())
    await house.hold(fact)
    before = await house.orats_requests()
    await house.cycle()
    assert await house.orats_requests() == before
    answer = await handlers.get_snapshots(GetSnapshots(trade_id="ann-1"), around(), house.deps)
    assert len(orjson.loads(answer)["points"]) == 1


async def test_a_curve_is_thinned_to_what_was_asked_and_keeps_its_bookends(house: House) -> None:
    await house.hold(held(await a_contract(house)))
    await house.cycle()
    async with house.database.admin() as admin:
        await admin.execute(
            """
            insert into pricing.price_snapshots
            select occ_symbol, taken_at - make_interval(secs => n), bid, ask, mark, delta, iv, underlying,
                   case when n = 150 then 'PRE_MARKET' end, source, quoted_at
            from pricing.price_snapshots, generate_series(1, 200) as n
            """
        )
    answer = await handlers.get_snapshots(GetSnapshots(trade_id="ann-1", points=50), around(), house.deps)
    points = orjson.loads(answer)["points"]
    assert 45 <= len(points) <= 51
    assert [point["tag"] for point in points if point["tag"]] == ["PRE_MARKET"]
    assert [point["timestamp"] for point in points] == sorted(point["timestamp"] for point in points)


async def test_many_tickets_share_one_refresh(house: House) -> None:
    before = await house.orats_requests()
    query = ListExpirations(ticker="QQQ")
    answers = await asyncio.gather(*(handlers.list_expirations(query, around(), house.deps) for _ in range(20)))
    assert await house.orats_requests() == before + 1
    assert len(answers[0]["expirations"]) == 10


async def test_a_ticket_shows_the_last_chain_while_the_vendor_is_away(house: House) -> None:
    chain = await house.deps.chains.chain("SPY", date(2026, 12, 18))
    async with house.database.admin() as admin:
        await admin.execute("update pricing.chain_cache set as_of = as_of - interval '1 h'")
    fault = {"match": {"method": "GET", "path": "/datav2/.*"}, "kind": "status_500", "times": 3}
    await house.simulator.post("/_control/faults", json=fault)
    assert await house.deps.chains.chain("SPY", date(2026, 12, 18)) == chain
    fault["times"] = 3
    await house.simulator.post("/_control/faults", json=fault)
    with pytest.raises(UpstreamUnavailable):
        await house.deps.chains.chain("IWM", date(2026, 12, 18))


async def test_a_ticker_that_nobody_lists_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        await handlers.list_expirations(ListExpirations(ticker="NOPE"), around(), house.deps)
    with pytest.raises(NotFound):
        await handlers.get_chain(GetChain(ticker="SPY", expiry=date(2031, 1, 1)), around(), house.deps)


async def test_old_prices_are_said_to_be_old(house: House) -> None:
    await house.hold(held(await a_contract(house)))
    await house.cycle()
    status = await handlers.get_status(GetPricingStatus(), around(), house.deps)
    assert status["banners"] == []
    async with house.database.admin() as admin:
        await admin.execute("update pricing.price_snapshots set taken_at = taken_at - interval '10 min'")
    status = await handlers.get_status(GetPricingStatus(), around(), house.deps)
    assert [banner["code"] for banner in status["banners"]] == ["stale_data"]


async def test_a_vendor_that_is_away_leaves_the_cycle_going(house: House) -> None:
    await house.hold(held(await a_contract(house)))
    fault = {"match": {"method": "GET", "path": "/datav2/.*"}, "kind": "status_500", "times": 3}
    await house.simulator.post("/_control/faults", json=fault)
    due = await house.cycle()
    assert due > datetime.now(UTC)
    async with house.database.admin() as admin:
        assert await admin.fetchval("select count(*) from pricing.price_snapshots") == 0


async def test_a_trade_that_ended_without_a_date_and_one_that_expired_are_quoted_no_more(house: House) -> None:
    contract = await a_contract(house)
    ended = held(contract, status="CLOSED", close_reason="REJECTED", filled_qty=0, entry_date=None, close_date=None)
    await house.hold(TradeClosed.model_validate(ended.model_dump()))
    await house.hold(held({**contract, "occ_symbol": "SPY200117C00300000"}, user="bob"))
    before = await house.orats_requests()
    await house.cycle()
    assert await house.orats_requests() == before


async def test_a_closed_market_is_not_quoted_and_looked_at_again_soon(house: House) -> None:
    await house.hold(held(await a_contract(house)))
    await house.simulator.post("/_control/clock", json={"session": "closed"})
    house.deps = replace(house.deps, venue=Venue(house.deps.clock, house.broker))
    before = await house.orats_requests()
    due = await house.cycle()
    assert await house.orats_requests() == before
    wait_s = (due - datetime.now(UTC)).total_seconds()
    assert house.deps.settings.snapshot_s - 10 < wait_s < house.deps.settings.snapshot_s + 1
    house.deps = replace(house.deps, settings=house.deps.settings.model_copy(update={"force_market_open": True}))
    await house.cycle()
    assert await house.orats_requests() == before + 1


async def test_without_orats_tradiers_market_data_says_the_same(house: House, simulator: str) -> None:
    contract = await a_contract(house)
    occ = OccSymbol.parse(contract["occ_symbol"])
    await house.simulator.post("/_control/quote", json={"symbol": str(occ), "bid": "4.10", "ask": "4.30"})
    async with HttpClient() as http:
        broker = BrokerFactory(http, {BrokerMode.TRADIER_LIVE: simulator}).get_broker(
            BrokerMode.TRADIER_LIVE, "", "market-data"
        )
        feed = TradierFeed(broker, SystemClock(), is_delayed=False, requests_per_min=100)
        wish = Wish("SPY", frozenset({occ}))
        theirs, ours = await feed.quotes(wish), await house.deps.feed.quotes(wish)
        assert [(q.contract, q.bid, q.ask) for q in theirs.quotes] == [(occ, Decimal("4.10"), Decimal("4.30"))]
        assert [(q.bid, q.ask) for q in ours.quotes] == [(Decimal("4.10"), Decimal("4.30"))]
        assert theirs.underlying_price is not None
        expirations = await feed.expirations("SPY")
        assert list(expirations) == list(await house.deps.feed.expirations("SPY"))
        chain = await feed.chain("SPY", occ.expiry)
        assert occ in {quote.contract for quote in chain.quotes}
    await house.simulator.post("/_control/release", json={"symbol": str(occ)})
