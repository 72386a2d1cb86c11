"""The broker does not answer: entries are refused at once, while a close, its cancels and its reads go out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from libs.broker.base import BrokerMode, Priority
from libs.broker.breaker import Breakers
from libs.broker.tradier_session import Deadlines
from libs.common.errors import UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade
from libs.common.testing import TestDatabase, eventually
from services.orders import store_accounts
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house

pytestmark = pytest.mark.integration

FAILURES = 3
READS = r"/accounts/[^/]+/(positions|balances)$"


@pytest.fixture
async def house(database: TestDatabase, world: str) -> AsyncIterator[House]:
    # A pause longer than the test: whatever goes out meanwhile goes out through an open breaker.
    async with a_house(database, world, breakers=Breakers(FAILURES, 60.0)) as made:
        yield made


async def opened(house: House, kind: str) -> None:
    """Let background reads fail until the breaker opens."""
    async with house.db.for_user(house.user) as unit:
        (account,) = await store_accounts.accounts_of(unit, house.user)
    impatient = replace(house.deps, factory=replace(house.deps.factory, deadlines=Deadlines(read_s=0.5)))
    broker = impatient.broker(BrokerMode.PAPER, house.account_id, account.token_ciphertext, Priority.POLL)
    await house.fault(kind, method="GET", path=READS, times=100, delay_ms=20_000)
    for _ in range(FAILURES):
        with pytest.raises(UpstreamUnavailable):
            await broker.positions()
    assert paused(house)
    await house.sim._http.delete("/_control/faults")


def paused(house: House) -> bool:
    return house.deps.factory.paused_until(BrokerMode.PAPER, house.account_id) is not None


async def requests(house: House) -> list[tuple[str, str]]:
    return [
        (one["method"], one["path"].rpartition(house.account_id)[2] or one["path"])
        for one in await house.sim.requests()
        # The look at what expires asks for the venue's time at its own pace.
        if one["account"] == house.account_id and not one["path"].endswith("/clock")
    ]


@pytest.mark.parametrize("kind", ["status_503", "status_500", "drop_before", "hang"])
async def test_a_close_with_its_cancels_and_reads_goes_out_while_entries_are_refused_at_once(
    house: House, kind: str
) -> None:
    trade = await house.protected()
    await opened(house, kind)

    before = await requests(house)
    with pytest.raises(UpstreamUnavailable) as refused:
        await house.ask(house.placing())
    assert "asked again after" in refused.value.detail
    assert await requests(house) == before

    await house.fault("status_500", method="DELETE", path=r"orders/\d+")
    await house.fault("status_503", path="orders$")
    reply = await house.ask(CloseTrade(trade_id=trade["id"], idempotency_key=new_id(), version=trade["version"]))
    assert reply.status in (200, 202)
    await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE", within_s=15)
    sent = (await requests(house))[len(before) :]
    assert any(method == "DELETE" for method, _ in sent)
    assert ("POST", "/orders") in sent
    assert any(method == "GET" and path.startswith("/orders") for method, path in sent)
    assert paused(house)
    await check(house)


async def test_the_next_entry_after_the_pause_asks_the_broker_again(database: TestDatabase, world: str) -> None:
    async with a_house(database, world, breakers=Breakers(1, 0.3)) as house:
        await house.fault("status_503", method="GET", path="/markets/quotes", times=3)
        with pytest.raises(UpstreamUnavailable):
            await house.ask(house.placing())
        with pytest.raises(UpstreamUnavailable) as refused:
            await house.ask(house.placing())
        assert "asked again after" in refused.value.detail
        await eventually(lambda: not paused(house), 3)
        reply = await house.ask(house.placing())
        assert reply.status == 201
        await house.until(reply.json()["id"], protection="PROTECTED")
