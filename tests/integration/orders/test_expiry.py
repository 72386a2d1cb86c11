"""Expiry: sold before it, settling after it, ended by what the broker shows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.common.errors import IllegalTransition, InvalidInput
from libs.common.ids import new_id
from libs.common.messages.orders import CloseTrade, Entry, ResolveTrade
from libs.common.messages.vocabulary import EntryType
from libs.common.testing import TestDatabase, eventually
from libs.market.options import OccSymbol, OptionType
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house

pytestmark = pytest.mark.integration

NEW_YORK = ZoneInfo("America/New_York")
FRIDAY = date(2026, 12, 18)
MONDAY = date(2026, 12, 21)


def at(day: date, clock: str) -> str:
    """Write a New York wall-clock time."""
    return datetime.fromisoformat(f"{day.isoformat()}T{clock}").replace(tzinfo=NEW_YORK).isoformat()


@pytest.fixture
async def expiring(database: TestDatabase, world: str) -> AsyncIterator[House]:
    """Yield a house on the afternoon of a contract's last day, its underlying pinned at 100."""
    async with a_house(database, world) as made:
        await made.sim.control("clock", now=at(FRIDAY, "14:00"), session="calendar", speed=1)
        await made.sim.control("price", symbol="AAPL", price="100")
        yield made


async def holding(house: House, strike: str, **changes: Any) -> dict[str, Any]:
    """Hold two calls of the day at a pinned 4.00 × 4.20."""
    house.contract = OccSymbol("AAPL", FRIDAY, OptionType.CALL, Decimal(strike))
    await house.pin("4.00", "4.20")
    return await house.protected(**changes)


async def no_flatten(house: House) -> None:
    """Let the user not want to be flat before expiry."""
    async with house.db.for_user(house.user) as unit:
        sql = "update orders.trading_settings set settings = settings || $1::text::jsonb returning username"
        await unit.json(sql, '{"expiry_flatten_min": 0}')


async def test_what_expires_is_sold_in_its_last_half_hour(expiring: House) -> None:
    trade = await holding(expiring, "100")
    await expiring.sim.control("clock", now=at(FRIDAY, "15:29"))
    assert (await expiring.until_resting(trade["id"]))["status"] == "FILLED"
    await expiring.sim.control("clock", now=at(FRIDAY, "15:31"))
    row = await expiring.until(trade["id"], status="CLOSED", close_reason="FLATTENED")
    assert row["close_price"] == Decimal("4.00")
    await check(expiring)


async def test_an_account_that_cannot_be_asked_keeps_nobody_elses_contracts_from_being_sold(
    expiring: House, database: TestDatabase, world: str
) -> None:
    trade = await holding(expiring, "100")
    async with a_house(database, world) as other:
        # The newest trade of the venue.
        await other.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50")))
    async with expiring.admin() as admin:
        sql = "update orders.credentials set token_ciphertext = 'no key opens this' where username = $1"
        await admin.execute(sql, other.user)
    await expiring.sim.control("clock", now=at(FRIDAY, "15:31"))
    await expiring.until(trade["id"], status="CLOSED", close_reason="FLATTENED")


async def test_near_the_money_is_sold_even_where_nobody_asked_for_it(expiring: House) -> None:
    await no_flatten(expiring)
    trade = await holding(expiring, "100")
    await expiring.sim.control("clock", now=at(FRIDAY, "15:31"))
    await expiring.until(trade["id"], status="CLOSED", close_reason="FLATTENED")
    await check(expiring)


async def test_a_worthless_contract_expires_at_zero_and_is_no_alarm(expiring: House) -> None:
    await no_flatten(expiring)
    trade = await holding(expiring, "120")
    await expiring.sim.control("clock", now=at(FRIDAY, "15:45"))
    assert (await expiring.until_resting(trade["id"]))["status"] == "FILLED"
    await expiring.sim.control("clock", now=at(FRIDAY, "16:01"))
    row = await expiring.until(trade["id"], status="CLOSED", telling=True)
    assert (row["close_reason"], row["close_price"], row["settlement"]) == ("EXPIRED_OTM", Decimal(0), None)
    assert (row["realized_pnl"], row["trigger_precision"]) == (Decimal("-840.00"), "OFFICIAL_CLOSE")
    assert {order["status"] for order in row["orders"]} == {"FILLED", "EXPIRED"}
    topics = [topic for topic, _ in await expiring.facts()]
    assert "concern_raised" not in topics
    assert "trade_unprotected" not in topics
    await check(expiring)


async def test_what_is_in_the_money_becomes_shares_and_says_so(expiring: House) -> None:
    trade = await holding(expiring, "100")
    await expiring.sim.control("price", symbol="AAPL", price="106.50")
    # Nobody looked before the end: the whole last hour passes at once.
    await expiring.sim.control("clock", now=at(FRIDAY, "16:05"))
    row = await expiring.until(trade["id"], status="CLOSED", telling=True)
    assert (row["close_reason"], row["settlement"], row["close_price"]) == ("EXPIRED_ITM", "EXERCISED", Decimal("6.50"))
    assert row["realized_pnl"] == Decimal("460.00")
    raised = [data for topic, data in await expiring.facts() if topic == "concern_raised"]
    assert "you now hold 200 shares of AAPL" in raised[-1]["text"]
    await check(expiring)


async def test_a_short_that_outlives_its_contract_ends_with_it_and_blocks_no_entry_any_more(expiring: House) -> None:
    await no_flatten(expiring)
    trade = await holding(expiring, "100")
    # Refused, not unanswered: what became of a write without an answer is known on the next day at the earliest.
    await expiring.fault("status_400", path=r"/orders$", times=1000)
    [group] = [order for order in await expiring.sim.orders(expiring.account_id) if order["class"] == "oco"]
    await expiring.happens("double_fill", order_id=group["id"])
    await expiring.sync()
    closed = await expiring.until(trade["id"], status="CLOSED")
    assert "short" in await expiring.wrong(trade["id"])
    await expiring.sim.control("price", symbol="AAPL", price="106.50")
    await expiring.sim.control("clock", now=at(FRIDAY, "16:05"))

    async def settled() -> list[dict[str, Any]]:
        return await expiring.corrected(trade["id"])

    [correction] = await eventually(settled, within_s=12)
    brought = sum(
        Decimal(str(o["avg_price"])) * o["filled_qty"] for o in (await expiring.trade(trade["id"]))["orders"][1:3]
    )
    final = (brought - (Decimal("4.20") + Decimal("6.50")) * 2) * 100
    assert closed["realized_pnl"] + correction["amount_usd"] == final
    assert await expiring.wrong(trade["id"]) == {"exercised"}
    await expiring.sim.clear_faults()
    await check(expiring)
    expiring.contract = await expiring.sim.contract(right=OptionType.PUT)
    await expiring.pin("4.00", "4.20")
    await expiring.sim.control("clock", now=at(MONDAY, "10:00"))
    assert await expiring.protected()


async def test_a_cover_without_an_answer_whose_contract_expired_is_ended_by_its_users_word(expiring: House) -> None:
    await no_flatten(expiring)
    trade = await holding(expiring, "100")
    await expiring.fault("status_500", path=r"/orders$", times=1000)
    [group] = [order for order in await expiring.sim.orders(expiring.account_id) if order["class"] == "oco"]
    await expiring.happens("double_fill", order_id=group["id"])
    await expiring.sync()
    await expiring.until(trade["id"], status="CLOSED")

    async def asked_in_vain() -> bool:
        return any(o["role"] == "COVER" for o in (await expiring.trade(trade["id"]))["orders"])

    await eventually(asked_in_vain)
    await expiring.sim.control("price", symbol="AAPL", price="106.50")
    await expiring.sim.control("clock", now=at(FRIDAY, "16:05"))
    await expiring.sim.control("clock", now=at(MONDAY, "10:00"))

    async def looked_at_in_vain() -> bool:
        cover = (await expiring.trade(trade["id"]))["orders"][-1]
        return cover["status"] == "UNKNOWN" and "New York day is over" in (cover["doubt"] or "")

    await eventually(looked_at_in_vain, within_s=20)
    assert await expiring.corrected(trade["id"]) == []

    async def there_is_none() -> bool:
        word = ResolveTrade(idempotency_key=new_id(), trade_id=trade["id"], broker_order_id=None)
        try:
            await expiring.ask(word)
        except InvalidInput:
            return False  # it may still arrive
        return True

    await eventually(there_is_none, every_s=0.1)

    async def settled() -> list[dict[str, Any]]:
        return await expiring.corrected(trade["id"])

    assert len(await eventually(settled, within_s=20)) == 1
    assert "short" not in await expiring.wrong(trade["id"])


async def test_it_settles_until_the_broker_shows_how_it_ended(expiring: House) -> None:
    await no_flatten(expiring)
    await expiring.sim.control("toggles", settlement="overnight")
    trade = await holding(expiring, "120")
    await expiring.sim.control("clock", now=at(FRIDAY, "16:30"))
    row = await expiring.until(trade["id"], protection="SETTLING", telling=True)
    with pytest.raises(IllegalTransition, match="settles by itself"):
        await expiring.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=row["version"]))
    await expiring.sim.control("clock", now=at(MONDAY, "03:00"))
    await expiring.until(trade["id"], status="CLOSED", close_reason="EXPIRED_OTM", telling=True)
    await check(expiring)


async def test_a_sale_that_nobody_bids_for_ends_with_the_contract(expiring: House) -> None:
    await no_flatten(expiring)
    trade = await holding(expiring, "120", sl_price=None)
    await expiring.pin("0", "0.05")
    await expiring.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    await expiring.until(trade["id"], status="CLOSING")
    await expiring.sim.control("clock", now=at(FRIDAY, "16:01"))
    row = await expiring.until(trade["id"], status="CLOSED", telling=True)
    assert (row["close_reason"], row["realized_pnl"]) == ("EXPIRED_OTM", Decimal("-840.00"))
    await check(expiring)
