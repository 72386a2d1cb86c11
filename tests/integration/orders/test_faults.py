"""The broker misbehaves at each write: exactly one order, or none, and the caller learns the truth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import UpstreamRefused, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade, Entry
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import eventually
from tests.integration.orders.checker import check
from tests.integration.orders.house import EITHER_WAY, House

pytestmark = pytest.mark.integration

ORDERS = r"/accounts/[^/]+/orders$"
LOST = ["drop_after", "slow", "status_502_html"]
HIGH = Entry(type=EntryType.LIMIT, limit_price=Decimal("4.30"))
"""An entry that is filled at once."""
NOT_THERE = ["status_500", "drop_before", "status_503", "hang"]


@EITHER_WAY
@pytest.mark.parametrize("kind", LOST)
async def test_an_entry_whose_answer_is_lost_is_unknown_then_found_by_its_tag(house: House, kind: str) -> None:
    await house.fault(kind, path=ORDERS, delay_ms=3000)
    reply = await house.ask(house.placing(entry=HIGH))
    assert reply.status in (201, 202)
    trade_id = reply.json()["id"]
    await house.until(trade_id, protection="PROTECTED")
    assert "trade_unknown" in [topic for topic, _ in await house.facts()]
    await check(house)


@EITHER_WAY
@pytest.mark.parametrize("kind", NOT_THERE)
async def test_an_entry_that_never_landed_ends_rejected_as_not_placed(house: House, kind: str) -> None:
    await house.fault(kind, path=ORDERS)
    command = house.placing(entry=HIGH)
    try:
        reply = await house.ask(command)
        trade_id = reply.json()["id"]
    except UpstreamUnavailable as error:
        trade_id = error.extra["trade_id"]
    await house.until(trade_id, status="CLOSED", close_reason="REJECTED", reason="not_placed")
    await check(house)
    with pytest.raises(UpstreamUnavailable):
        await house.ask(command)


@pytest.mark.parametrize("kind", [*LOST, *NOT_THERE])
async def test_exits_whose_answer_is_lost_end_as_one_bracket(house: House, kind: str) -> None:
    entry = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90"))
    trade = await house.place(entry=entry)
    assert trade["status"] == "OPEN"
    await house.fault(kind, path=ORDERS, delay_ms=3000)
    await house.pin("3.70", "3.80")
    await house.sync()
    await house.until(trade["id"], protection="PROTECTED")
    await check(house)


@pytest.mark.parametrize("kind", [*LOST, *NOT_THERE])
async def test_a_sale_whose_answer_is_lost_sells_once(house: House, kind: str) -> None:
    trade = await house.protected()
    await house.fault(kind, path=ORDERS, delay_ms=3000)
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.until(trade["id"], status="CLOSED", close_reason="MANUAL_CLOSE")
    await check(house)


@pytest.mark.parametrize("kind", ["drop_after", "hang", "status_500", "drop_before", "status_502_html"])
async def test_a_cancel_that_goes_wrong_is_asked_again(house: House, kind: str) -> None:
    trade = await house.protected()
    await house.fault(kind, method="DELETE", path=r"/orders/\d+$", times=3, delay_ms=1500)
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await house.until(trade["id"], status="CLOSED", within_s=15)
    await check(house)


@EITHER_WAY
async def test_a_late_refusal_of_the_entry_reaches_the_caller_in_the_brokers_words(house: House) -> None:
    await house.fault("reject_later", path=ORDERS)
    command = house.placing(entry=HIGH)
    try:
        reply = await house.ask(command)
        trade_id = reply.json()["id"]
    except UpstreamRefused as error:
        trade_id = error.extra["trade_id"]
    row = await house.until(trade_id, telling=True, status="CLOSED", close_reason="REJECTED")
    assert row["reason"]
    with pytest.raises(UpstreamRefused, match=row["reason"][:20]):
        await house.ask(command)
    await check(house)


async def test_exits_refused_later_are_tried_again(house: House) -> None:
    trade = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90")))
    await house.fault("reject_later", path=ORDERS)
    await house.pin("3.70", "3.80")

    async def has_two_brackets() -> bool:
        await house.sync()
        found: list[dict[str, Any]] = await house.sim.orders(house.account_id)
        return len([order for order in found if order["class"] == "oco"]) == 2

    await eventually(has_two_brackets, every_s=0.1)
    await house.until(trade["id"], telling=True, protection="PROTECTED")
    await check(house)


async def test_exits_that_cannot_be_placed_end_in_a_sale(house: House) -> None:
    trade = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90")))
    await house.fault("reject_later", path=ORDERS, times=2)
    await house.pin("3.70", "3.80")
    row = await house.until(trade["id"], telling=True, status="CLOSED", within_s=12)
    assert row["close_reason"] == "FLATTENED"
    await check(house)


@EITHER_WAY
async def test_a_stop_that_is_passed_when_the_entry_fills_is_sold(house: House) -> None:
    trade = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90")), sl_price=Decimal("3.50"))
    await house.pin("3.20", "3.30")
    row = await house.until(trade["id"], telling=True, status="CLOSED")
    assert row["close_reason"] == "SL_HIT"
    await check(house)
