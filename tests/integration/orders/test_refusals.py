"""What is wrong is refused before anything is sent, with a reason a person can read."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import (
    ContractInUse,
    Expired,
    IllegalTransition,
    InvalidInput,
    LimitExceeded,
    MarketClosed,
    NotFound,
    StaleVersion,
)
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade, Entry, UpdateTradingSettings, WithdrawTrade
from libs.common.messages.vocabulary import Duration, EntryType
from services.orders import handlers_settings
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration

LIMIT = EntryType.LIMIT

BAD: list[tuple[dict[str, Any], str]] = [
    ({"ticker": "NOPE"}, "unknown ticker NOPE"),
    ({"strike": Decimal("1.5")}, "is not listed: no such strike or expiry"),
    ({"expiry": date(2031, 1, 17)}, "is not listed: no such strike or expiry"),
    ({"sl_price": Decimal("4.50")}, "stop must be below entry 4.2"),
    ({"sl_price": Decimal("4.00")}, "stop must be below the bid 4"),
    ({"sl_price": Decimal("4.10")}, "stop must be below the bid 4"),
    ({"sl_price": Decimal("0.001")}, "stop must be at least one tick, 0.01, was 0.001"),
    ({"sl_price": Decimal("-1")}, "stop must be a price above 0, was -1"),
    ({"tp_price": Decimal("4.20")}, "target must be above entry 4.2"),
    ({"tp_price": Decimal("3.00")}, "target must be above entry 4.2"),
    ({"qty": 0}, "quantity must be between 1 and 1000, was 0"),
    ({"qty": 1_000_000}, "quantity must be between 1 and 1000, was 1000000"),
    ({"entry": Entry(type=LIMIT)}, "a limit entry needs a limit price"),
    ({"entry": Entry(type=LIMIT, limit_price=Decimal(0))}, "limit must be a price above 0, was 0"),
    ({"entry": Entry(type=EntryType.MARKET, limit_price=Decimal(4))}, "a market entry has no limit price"),
    ({"entry": Entry(type=EntryType.MARKET, duration=Duration.GTC)}, "a market entry is good for the day only"),
    (
        {
            "entry": Entry(type=LIMIT, limit_price=Decimal("3.55")),
            "sl_price": Decimal("3.52"),
            "tp_price": Decimal("3.60"),
        },
        "stop and target must be at least 0.10 apart, were 3.52 and 3.60",
    ),
]


async def nothing_was_sent(house: House) -> None:
    assert await house.sim.orders(house.account_id) == []
    async with house.database.admin() as admin:
        assert await admin.fetchval("select count(*) from orders.trades") == 0


@pytest.mark.parametrize(("changes", "words"), BAD)
async def test_bad_input_is_refused_in_words(house: House, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        await house.ask(house.placing(**changes))
    assert words in caught.value.detail
    await nothing_was_sent(house)


async def test_a_refused_request_may_be_repeated_with_its_key_once_it_is_right(house: House) -> None:
    bad = house.placing(sl_price=Decimal("4.50"))
    with pytest.raises(InvalidInput):
        await house.ask(bad)
    good = bad.model_copy(update={"sl_price": Decimal("3.00")})
    assert (await house.ask(good)).status == 201


async def test_an_expired_contract_is_refused(house: House) -> None:
    old = replace(house.contract, expiry=date(2026, 11, 13))
    await house.sim.control("quote", symbol=str(old), bid="1.00", ask="1.10")
    with pytest.raises(InvalidInput, match=r"expired|not listed"):
        await house.ask(house.placing(expiry=old.expiry))
    await nothing_was_sent(house)


async def test_a_closed_market_refuses_entries(house: House) -> None:
    await house.sim.control("clock", session="closed")
    with pytest.raises(MarketClosed):
        await house.ask(house.placing())
    await nothing_was_sent(house)


async def test_a_second_trade_in_the_contract_is_refused(house: House) -> None:
    await house.protected()
    with pytest.raises(ContractInUse):
        await house.ask(house.placing())
    await check(house)


async def test_a_request_past_its_deadline_is_not_carried_out(house: House) -> None:
    with pytest.raises(Expired):
        await house.ask(house.placing(), deadline_at=datetime.now(UTC) - timedelta(seconds=1))
    await nothing_was_sent(house)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"heat_limit_pct": "1", "account_balance": "1000"}, "heat_limit_pct is 1 % = 10.00"),
        ({"daily_loss_limit": "100"}, "daily_loss_limit is 100"),
        ({"max_contracts": 1}, "max_contracts is 1; this would be 2 contracts"),
        ({"max_premium": "500"}, "max_premium is 500; this would be 840.00"),
        ({"max_spread_pct": "2"}, "max_spread_pct is 2; this would be 4.88 %"),
        ({"no_entry_before_expiry_min": 100_000}, "no_entry_before_expiry_min is 100000"),
    ],
)
async def test_a_limit_names_itself_its_value_and_the_trades(house: House, changes: dict[str, Any], words: str) -> None:
    await handlers_settings.update_trading_settings(UpdateTradingSettings(changes=changes), house.context(), house.deps)
    with pytest.raises(LimitExceeded) as caught:
        await house.ask(house.placing())
    assert words in caught.value.detail
    await nothing_was_sent(house)


async def test_prices_off_the_tick_are_rounded_and_shown(house: House) -> None:
    entry = Entry(type=LIMIT, limit_price=Decimal("4.2049"))
    trade = await house.place(entry=entry, sl_price=Decimal("3.004"), tp_price=Decimal("6.006"))
    assert (trade["sl_price"], trade["tp_price"]) == ("3.00", "6.01")
    at_broker = (await house.sim.orders(house.account_id))[0]
    assert Decimal(str(at_broker["price"])) == Decimal("4.20")


async def test_a_stale_version_carries_the_current_trade(house: House) -> None:
    trade = await house.protected()
    for command in (
        CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"] - 1),
        AdjustTrade(idempotency_key=new_id(), trade_id=trade["id"], version=0, new_sl=Decimal("3.10")),
    ):
        with pytest.raises(StaleVersion) as caught:
            await house.ask(command)
        assert caught.value.extra["current"]["version"] == trade["version"]
    await check(house)


@pytest.mark.parametrize(
    ("new_sl", "new_tp", "words"),
    [
        (Decimal("4.00"), None, "stop must be below the bid 4"),
        (Decimal("9.00"), None, "stop must be below the bid 4"),
        (None, Decimal("3.50"), "target must be above the bid 4"),
        (None, None, "an adjust names a new stop, a new target or both"),
        (Decimal("3.95"), Decimal("4.01"), "at least 0.10 apart"),
    ],
)
async def test_an_adjust_on_the_wrong_side_cancels_nothing(
    house: House, new_sl: Decimal | None, new_tp: Decimal | None, words: str
) -> None:
    trade = await house.protected()
    command = AdjustTrade(
        idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"], new_sl=new_sl, new_tp=new_tp
    )
    with pytest.raises(InvalidInput) as caught:
        await house.ask(command)
    assert words in caught.value.detail
    assert (await house.sim.orders(house.account_id))[1]["status"] == "open"


async def test_what_is_over_cannot_be_closed_or_adjusted(house: House) -> None:
    trade = await house.protected()
    closed = await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    version = closed.json()["version"]
    for command in (
        CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=version),
        AdjustTrade(idempotency_key=new_id(), trade_id=trade["id"], version=version, new_sl=Decimal("3.10")),
        WithdrawTrade(idempotency_key=new_id(), trade_id=trade["id"]),
    ):
        with pytest.raises(IllegalTransition):
            await house.ask(command)


async def test_nobody_closes_another_users_trade(house: House) -> None:
    trade = await house.protected()
    command = CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"])
    with pytest.raises(NotFound):
        await house.ask(command, user="mallory")
    await check(house)
