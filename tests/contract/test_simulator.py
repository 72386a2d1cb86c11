"""The same contract against a real process: what we send is understood, what it answers is read."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.broker.base import (
    AccountHint,
    CancelAnswer,
    Duration,
    OptionOrder,
    OrderClass,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    OtocoOrder,
)
from libs.broker.venue_clock import market_clock
from libs.common.errors import AppError, NotFound, OutcomeUnknown, UpstreamAuth, UpstreamRefused, UpstreamUnavailable
from libs.common.testing import eventually
from libs.market import calendar
from libs.market.clock import is_contract_open
from libs.market.options import OccSymbol
from libs.market.session import MarketState
from tests.contract.venue import Venue

pytestmark = pytest.mark.integration


async def _settled(venue: Venue, order_id: str) -> OrderReport:
    async def look() -> OrderReport | None:
        report = await venue.broker().order(order_id)
        return report if report.is_terminal else None

    report = await eventually(look)
    assert report is not None
    return report


async def test_a_token_tells_its_account(venue: Venue) -> None:
    profile = await venue.broker().profile()
    assert venue.account_id in [account.account_id for account in profile.accounts]


async def test_a_bad_token_and_a_foreign_account_are_refused(venue: Venue) -> None:
    with pytest.raises(UpstreamAuth):
        await venue.broker(token="bad-1").profile()
    with pytest.raises(UpstreamAuth):
        await venue.broker(account_id="VA99999999").positions()
    contract = await venue.contract()
    with pytest.raises(UpstreamAuth):
        await venue.broker(token="bad-1").place(venue.entry(contract))


async def test_the_clock_is_held_open_and_contracts_trade_by_it(venue: Venue) -> None:
    report = await venue.broker().clock()
    assert report.state is MarketState.OPEN
    assert not report.follows_calendar
    now = datetime.now(UTC)
    assert is_contract_open(await market_clock(venue.broker(), now=now), await venue.contract(), now)


async def test_quotes_chains_and_expiries_agree(venue: Venue) -> None:
    broker = venue.broker()
    expiries = await broker.expirations("SPY")
    assert list(expiries) == sorted(set(expiries))
    chain = await broker.chain("SPY", expiries[0])
    assert chain.options
    for option in chain.options:
        contract = OccSymbol.parse(option.symbol)
        assert (contract.expiry, contract.strike, contract.option_type) == (
            option.expiry,
            option.strike,
            option.option_type,
        )
        assert (option.contract_size, option.root, option.underlying) == (100, "SPY", "SPY")
        assert option.greeks is not None
    symbols = ["SPY", "NOSUCH", *(option.symbol for option in chain.options)]
    quotes = await broker.quotes(symbols, greeks=True)
    assert set(quotes) == set(symbols) - {"NOSUCH"}
    spy = quotes["SPY"]
    assert spy.bid is not None
    assert spy.ask is not None
    assert spy.bid <= spy.ask
    assert spy.quoted_at is not None
    assert await broker.expirations("NOSUCH") == ()
    assert (await broker.quotes(["NOSUCH"])) == {}


async def test_an_entry_fills_and_its_exits_rest_until_the_target(venue: Venue) -> None:
    broker, contract = venue.broker(), await venue.contract()
    entry = await venue.filled(contract)
    assert (entry.status, entry.exec_qty, entry.avg_fill_price) == (OrderStatus.FILLED, 2, Decimal(4))
    assert (entry.order_class, entry.side, entry.occ_symbol) == (
        OrderClass.OPTION,
        OrderSide.BUY_TO_OPEN,
        str(contract),
    )
    request = venue.exits(contract)
    placed = await broker.place(request)
    resting = next(order for order in await broker.orders() if order.tag == request.tag)
    assert (resting.id, resting.order_class, resting.qty) == (placed.id, OrderClass.OCO, 0)
    assert [(leg.type, leg.duration, leg.qty) for leg in resting.legs] == [
        (OrderType.LIMIT, Duration.GTC, 2),
        (OrderType.STOP, Duration.GTC, 2),
    ]
    (held,) = [item for item in await broker.positions() if item.symbol == str(contract)]
    assert (held.qty, held.cost_basis_usd) == (Decimal(2), Decimal(800))
    cash_before = (await broker.balances()).total_cash_usd
    await venue.price(contract, "6.10")
    done = await _settled(venue, placed.id)
    target, stop = done.legs
    assert (target.status, target.exec_qty, target.avg_fill_price) == (OrderStatus.FILLED, 2, Decimal(6))
    assert (stop.status, stop.exec_qty) == (OrderStatus.CANCELLED, 0)
    assert [item for item in await broker.positions() if item.symbol == str(contract)] == []
    cash_after = (await broker.balances()).total_cash_usd
    assert cash_before is not None
    assert cash_after is not None
    assert Decimal(1195) <= cash_after - cash_before <= Decimal(1200)  # fees are the simulator's business


async def test_a_stop_sells_when_the_bid_falls_to_it(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.filled(contract)
    placed = await venue.broker().place(venue.exits(contract))
    await venue.price(contract, "1.90")
    done = await _settled(venue, placed.id)
    assert done.legs[0].status is OrderStatus.CANCELLED
    assert (done.legs[1].status, done.legs[1].avg_fill_price) == (OrderStatus.FILLED, Decimal("1.9"))


async def test_a_cancelled_parent_takes_its_legs_along_and_a_second_cancel_finds_them_final(venue: Venue) -> None:
    broker, contract = venue.broker(), await venue.contract()
    await venue.filled(contract)
    placed = await broker.place(venue.exits(contract))
    assert await broker.cancel(placed.id) is CancelAnswer.REQUESTED
    done = await _settled(venue, placed.id)
    assert [leg.status for leg in done.legs] == [OrderStatus.CANCELLED, OrderStatus.CANCELLED]
    assert await broker.cancel(placed.id) is CancelAnswer.ALREADY_FINAL


async def test_an_unknown_order_is_not_found(venue: Venue) -> None:
    with pytest.raises(NotFound):
        await venue.broker().order("999999999")
    with pytest.raises(NotFound):
        await venue.broker().cancel("999999999")


async def test_a_sell_beyond_the_long_is_refused_in_the_brokers_words(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.filled(contract)
    await venue.broker().place(venue.exits(contract))
    sell = OptionOrder(
        occ_symbol=str(contract),
        underlying=contract.root,
        side=OrderSide.SELL_TO_CLOSE,
        qty=2,
        type=OrderType.MARKET,
        duration=Duration.DAY,
        tag=venue.tag(),
    )
    with pytest.raises(UpstreamRefused) as refusal:
        await venue.broker().place(sell)
    assert refusal.value.detail


async def test_a_stop_on_the_wrong_side_takes_the_exits_down_after_ok(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.filled(contract)
    placed = await venue.broker().place(venue.exits(contract, stop="4.50"))
    done = await _settled(venue, placed.id)
    assert done.status in {OrderStatus.CANCELLED, OrderStatus.REJECTED}
    assert any(leg.reason for leg in done.legs) or done.reason


async def test_an_otoco_keeps_its_durations_per_leg(venue: Venue) -> None:
    broker, contract = venue.broker(), await venue.contract()
    await venue.price(contract, "4.00")
    placed = await broker.place(
        OtocoOrder(
            occ_symbol=str(contract),
            underlying=contract.root,
            qty=1,
            entry_price=Decimal("3.50"),
            target_price=Decimal("6.00"),
            stop_price=Decimal("2.00"),
            tag=venue.tag(),
        )
    )
    waiting = await broker.order(placed.id)
    assert waiting.order_class is OrderClass.OTOCO
    assert [leg.duration for leg in waiting.legs] == [Duration.DAY, Duration.GTC, Duration.GTC]
    assert not waiting.legs[1].is_terminal
    await venue.price(contract, "3.40")

    async def entered() -> bool:
        return (await broker.order(placed.id)).legs[0].status is OrderStatus.FILLED

    await eventually(entered)
    await venue.price(contract, "6.10")
    done = await _settled(venue, placed.id)
    assert [leg.exec_qty for leg in done.legs] == [1, 1, 0]


async def test_a_preview_costs_nothing_and_places_nothing(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    report = await venue.broker().preview(venue.entry(contract, 1, "4.00"))
    assert report.cost_usd is not None
    assert report.cost_usd >= 400
    assert await venue.broker().orders() == ()


@pytest.mark.parametrize(
    ("kind", "ending", "lands"),
    [
        ("drop_before", OutcomeUnknown, False),
        ("drop_after", OutcomeUnknown, True),
        ("hang", OutcomeUnknown, None),
        ("status_500", OutcomeUnknown, None),
        ("status_502_html", OutcomeUnknown, None),
        ("status_503", OutcomeUnknown, None),
        ("status_429", UpstreamUnavailable, False),
    ],
)
async def test_a_broken_write_ends_by_evidence(
    venue: Venue, kind: str, ending: type[AppError], lands: bool | None
) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    request = venue.entry(contract, 1, "3.00")
    await venue.fault(kind, "POST")
    with pytest.raises(ending):
        await venue.broker(write_s=0.7).place(request)
    tags = [order.tag for order in await venue.broker().orders()]
    assert tags.count(request.tag) <= 1
    if lands is not None:
        assert (request.tag in tags) is lands


async def test_an_order_taken_and_then_rejected_gives_its_reason(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    await venue.fault("reject_later", "POST")
    placed = await venue.broker().place(venue.entry(contract, 1))
    done = await _settled(venue, placed.id)
    assert (done.status, done.exec_qty) == (OrderStatus.REJECTED, 0)
    assert done.reason


async def test_a_partial_fill_shows_what_executed(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    await venue.fault("partial_fill", "POST")
    placed = await venue.broker().place(venue.entry(contract, 4))

    async def partial() -> OrderReport | None:
        report = await venue.broker().order(placed.id)
        return report if report.exec_qty else None

    report = await eventually(partial)
    assert report is not None
    assert report.status is OrderStatus.PARTIALLY_FILLED
    assert 0 < report.exec_qty < 4
    assert report.remaining_qty == 4 - report.exec_qty
    assert await venue.broker().cancel(placed.id) is CancelAnswer.REQUESTED
    done = await _settled(venue, placed.id)
    assert (done.status, done.exec_qty) == (OrderStatus.CANCELLED, report.exec_qty)


@pytest.mark.parametrize("kind", ["drop_before", "status_500", "status_502_html"])
async def test_a_cancel_gets_through_a_fault(venue: Venue, kind: str) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    placed = await venue.broker().place(venue.entry(contract, 1, "3.00"))
    await venue.fault(kind, "DELETE")
    assert await venue.broker().cancel(placed.id) in set(CancelAnswer)
    assert (await _settled(venue, placed.id)).status is OrderStatus.CANCELLED


@pytest.mark.parametrize("kind", ["drop_before", "drop_after", "status_500", "status_502_html", "status_503"])
async def test_a_read_gets_through_two_faults(venue: Venue, kind: str) -> None:
    await venue.fault(kind, "GET", times=2)
    assert await venue.broker().orders() == ()


async def test_a_long_order_list_is_read_to_its_end(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    broker = venue.broker()
    for _ in range(60):
        await broker.place(venue.entry(contract, 1, "3.00"))
    assert len({order.tag for order in await broker.orders()}) == 60


async def test_account_events_hint_at_what_filled(venue: Venue) -> None:
    contract = await venue.contract()
    await venue.price(contract, "4.00")
    broker = venue.broker()
    connected = asyncio.Event()
    found: set[AccountHint] = set()

    async def listen() -> None:
        async for hint in broker.events(on_connected=connected.set):
            found.add(hint)

    listening = asyncio.create_task(listen())
    try:
        await eventually(connected.is_set)
        placed = await broker.place(venue.entry(contract, 1))
        await _settled(venue, placed.id)
        await eventually(lambda: (placed.id, OrderStatus.FILLED) in {(hint.order_id, hint.status) for hint in found})
        assert {hint.account_id for hint in found} == {venue.account_id}
    finally:
        listening.cancel()
        await asyncio.wait({listening})


async def test_history_tells_a_sale_by_hand_by_its_day_and_not_before_the_night(venue: Venue) -> None:
    broker, contract = venue.broker(), await venue.contract()
    now = datetime.now(UTC)
    day = calendar.new_york_date((await market_clock(broker, now=now)).market_at(now))
    await venue.filled(contract)
    sale = {"kind": "manual_order", "account": venue.account_id, "option_symbol": str(contract)}
    await venue.control("events", sale | {"side": "sell_to_close", "quantity": 2})
    assert await broker.history(day) == ()
    await venue.control("toggles", {"history": "at_once"})
    told = await broker.history(day)
    assert {(one.symbol, one.day, one.qty, one.price) for one in told} == {
        (str(contract), day, Decimal(2), Decimal(4)),
        (str(contract), day, Decimal(-2), Decimal(4)),
    }
    assert await broker.history(day + timedelta(days=1)) == ()
    await venue.control("toggles", {"history": "nightly"})
