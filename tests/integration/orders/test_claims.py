"""Who lost its claim leaves a flow alone: what another process has in hand is neither judged nor ended by it."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade
from libs.common.testing import TestDatabase
from services.orders import store
from services.orders.flow import Claim, drive
from services.orders.trade import View
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house
from tests.integration.orders.monitor import tell_all
from tests.integration.orders.trials import Mark, Observer

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("mark", ["orders.place.intent", "orders.send.marked", "orders.send.answered"])
async def test_who_lost_its_claim_decides_nothing_beside_who_has_it(
    database: TestDatabase, world: str, mark: str
) -> None:
    observer = Observer()
    async with (
        a_house(database, world, beats=observer, lease_s=30) as house,
        a_house(database, world, user=house.user, quote=None) as other,
    ):
        other.stopping.set()
        observer.arm(Mark(mark, 1), observer.freeze)
        placing = asyncio.create_task(house.ask(house.placing()))
        await observer.reached.wait()
        trade_id = await house.only_trade()
        assert trade_id is not None
        before = await stored(house, trade_id)

        await drive(other.deps, an_older_claim(other, before))

        after = await stored(house, trade_id)
        assert (after.orders, after.flow.run, after.trade.version) == (
            before.orders,
            before.flow.run,
            before.trade.version,
        )
        observer.thaw()
        await placing
        await house.until(trade_id, protection="PROTECTED")
        await check(house)


async def stored(house: House, trade_id: str) -> View:
    """Read a trade as it is stored."""
    async with house.deps.db.for_user(house.user) as unit:
        return (await store.read_view(unit, trade_id)).view


def an_older_claim(house: House, view: View) -> Claim:
    """Return the claim of the run before the present one, whose process believes that it goes on for long."""
    return Claim(view.trade.id, house.user, view.flow.run - 1, house.deps.clock.monotonic() + 60)


async def test_news_that_is_known_already_waits_for_nobody_who_holds_the_trade(house: House) -> None:
    trade = await house.protected()
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    row = await house.until(trade["id"], status="CLOSED")
    before = len(await house.facts())
    async with house.db.for_user(house.user) as unit:
        await store.lock_view(unit, trade["id"])
        async with asyncio.timeout(2):
            await tell_all(house)
    assert len(await house.facts()) == before
    assert (await house.trade(trade["id"]))["key_version"] == row["key_version"]
