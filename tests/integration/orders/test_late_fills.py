"""An entry settled as never placed turns up after all: cancelled while it works, recovered once it executed."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import orjson
import pytest

from libs.common.messages.orders import Entry, GetContext
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import eventually
from services.orders import handlers_queries as queries
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration

LIMIT = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))


async def never_seen(house: House, **changes: Any) -> dict[str, Any]:
    """Place an entry whose answer is lost, at a broker whose lists leave it out until it is given up."""
    await house.fault("empty_list", method="GET", path=r"/orders$", times=1000)
    await house.fault("status_502_html", path=r"/orders$")
    reply = await house.ask(house.placing(entry=LIMIT, **changes))
    trade_id = reply.json()["id"]
    row = await house.until(trade_id, status="CLOSED", reason="not_placed")
    await house.sim.clear_faults()
    [order] = [o for o in await house.sim.orders(house.account_id) if o["status"] == "open"]
    return row | {"order_id": order["id"]}


async def beside(house: House, **changes: Any) -> dict[str, Any]:
    """Place in a contract in which an order works, at a broker whose list leaves it out: else nobody is let in."""
    await house.fault("empty_list", method="GET", path=r"/orders$", times=1000)
    trade = await house.place(**changes)
    await house.sim.clear_faults()
    return trade


async def test_one_that_still_works_is_cancelled_and_confirmed(house: House) -> None:
    gone = await never_seen(house)
    await house.sync()
    await house.until_quiet(gone["id"])
    assert [o["status"] for o in await house.sim.orders(house.account_id)] == ["canceled"]
    assert (await house.trade(gone["id"]))["status"] == "CLOSED"
    await check(house)


async def test_one_that_filled_becomes_a_trade_of_its_own_and_is_protected(house: House) -> None:
    gone = await never_seen(house)
    await house.pin("3.70", "3.80")
    await house.sync()
    found = await house.recovered(gone["id"])
    held = await house.until(found["id"], protection="PROTECTED")
    assert (held["filled_qty"], held["entry_price"], held["sl_price"]) == (2, Decimal("3.8"), Decimal("3.00"))
    after = await house.trade(gone["id"])
    assert (after["status"], after["version"], after["filled_qty"]) == ("CLOSED", gone["version"], 0)
    assert "late_fill" in await house.wrong(held["id"])
    topics = [topic for topic, data in await house.facts() if data.get("trade_id") == held["id"]]
    assert "trade_filled" in topics
    assert "trade_protected" in topics
    await check(house)


async def test_told_again_and_at_the_same_time_it_is_recovered_once(house: House) -> None:
    gone = await never_seen(house)
    await house.pin("3.70", "3.80")
    await asyncio.gather(*(house.sync() for _ in range(4)))
    held = await house.until((await house.recovered(gone["id"]))["id"], protection="PROTECTED")
    await house.sync()
    assert (await house.recovered(gone["id"]))["id"] == held["id"]
    await check(house)


async def test_one_that_fills_in_part_is_cancelled_for_the_rest_and_protected_for_that(house: House) -> None:
    gone = await never_seen(house, qty=3)
    await house.happens("fill", order_id=gone["order_id"], quantity=1)
    await house.sync()
    found = await house.recovered(gone["id"])
    held = await house.until(found["id"], telling=True, protection="PROTECTED", status="FILLED", within_s=15)
    assert held["filled_qty"] == 1
    await check(house)


async def test_beside_another_trade_it_is_sold_at_once_and_the_others_entry_goes_first(house: House) -> None:
    gone = await never_seen(house)
    other = await beside(house, entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50")))
    await house.happens("fill", order_id=gone["order_id"])
    await house.sync()
    found = await house.recovered(gone["id"])
    sold = await house.until(found["id"], status="CLOSED", close_reason="FLATTENED", within_s=15)
    assert sold["realized_pnl"] is not None
    await house.until(other["id"], status="CLOSED", close_reason="CANCELLED", telling=True)
    assert "late_fill" in [data["kind"] for topic, data in await house.facts() if topic == "concern_raised"]
    await check(house)


async def test_a_protected_other_trade_keeps_its_exits_while_the_surfaced_is_sold(house: House) -> None:
    gone = await never_seen(house)
    other = await beside(house)
    await house.until(other["id"], protection="PROTECTED")
    await house.happens("fill", order_id=gone["order_id"])
    await house.sync()
    found = await house.recovered(gone["id"])
    await house.until(found["id"], status="CLOSED", close_reason="FLATTENED")

    async def untouched() -> bool:
        return bool((await house.trade(other["id"]))["protection"] == "PROTECTED")

    await eventually(untouched)
    await check(house)


async def test_the_capsule_of_what_surfaced_says_that_nothing_was_captured_for_it(house: House) -> None:
    gone = await never_seen(house, ai_reasoning_log={"prompt": "p"})
    await house.pin("3.70", "3.80")
    await house.sync()
    found = await house.recovered(gone["id"])
    capsule = orjson.loads(await queries.get_context(GetContext(trade_id=found["id"]), house.context(), house.deps))
    kept = ("signals_snapshot", "market_regime", "order_book_state", "ai_reasoning_log")
    assert {name: capsule[name] for name in kept} == dict.fromkeys(kept)
    assert sorted(capsule["missing"]) == sorted(kept)
    assert capsule["captured_at"] is None, "nothing was"
