"""When an account is read next: by the venue's hours, by what is about to happen, and by what is left to see."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.broker.venue_clock import LOOK_AGAIN
from libs.common.messages.vocabulary import OrderStatus, TradeStatus
from libs.market.clock import ExchangeClock, MarketClock, ReadingClock
from libs.market.session import MarketState
from services.monitor.cadence import Paces, Watch, is_worth_reading, next_read_at, next_visit_at
from services.monitor.reconcile import OurTrade
from tests.unit.monitor.test_reconcile import a_trade, an_order

PACES = Paces(usual=timedelta(seconds=60), hot=timedelta(seconds=5), idle=timedelta(seconds=600))
OPEN = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
NIGHT = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 14, 30, tzinfo=UTC)

WORKING = a_trade()
HELD = a_trade(an_order(status=OrderStatus.FILLED, filled_qty=2), status=TradeStatus.FILLED)
OVER = a_trade(an_order(status=OrderStatus.FILLED, filled_qty=2), status=TradeStatus.CLOSED)
ORPHAN = a_trade(an_order(), status=TradeStatus.CLOSED)


def watch(
    *trades: OurTrade,
    clock: MarketClock | None = None,
    hot_until: datetime | None = None,
    quiet_looks: int = 0,
    force_open: bool = False,
) -> Watch:
    clock = clock or ExchangeClock()
    return Watch(clock=clock, trades=trades, hot_until=hot_until, quiet_looks=quiet_looks, force_open=force_open)


@pytest.mark.parametrize(
    ("watched", "now", "expected"),
    [
        (watch(WORKING), OPEN, OPEN + PACES.hot),
        (watch(WORKING), NIGHT, NIGHT + PACES.usual),
        (watch(WORKING, hot_until=NIGHT + timedelta(seconds=9)), NIGHT, NIGHT + PACES.hot),
        (watch(HELD), OPEN, OPEN + PACES.usual),
        (watch(HELD), NIGHT, MONDAY),
        (watch(HELD, hot_until=NIGHT + timedelta(seconds=9)), NIGHT, NIGHT + PACES.hot),
        (watch(HELD, hot_until=NIGHT - timedelta(seconds=1)), NIGHT, MONDAY),
        (watch(HELD, force_open=True), NIGHT, NIGHT + PACES.usual),
        (watch(ORPHAN, quiet_looks=9), OPEN, OPEN + PACES.usual),
        (watch(OVER, quiet_looks=0), OPEN, OPEN + PACES.usual),
        (watch(OVER, quiet_looks=1), OPEN, OPEN + PACES.usual),
        (watch(OVER, quiet_looks=2), OPEN, OPEN + PACES.idle),
        (watch(quiet_looks=2), NIGHT, MONDAY),
    ],
)
def test_the_next_read_follows_the_hours_and_what_may_happen(watched: Watch, now: datetime, expected: datetime) -> None:
    assert next_read_at(watched, PACES, now) == expected


def test_an_order_without_an_answer_makes_an_account_hot_whatever_its_role() -> None:
    unknown = a_trade(an_order(status=OrderStatus.UNKNOWN), status=TradeStatus.FILLED)
    assert next_read_at(watch(unknown), PACES, OPEN) == OPEN + PACES.hot


def test_a_clock_that_may_be_set_is_looked_at_again_soon() -> None:
    asleep = ReadingClock(market_read=NIGHT, read_at=NIGHT)
    still = ReadingClock(market_read=NIGHT, read_at=NIGHT, speed=Decimal(0))
    held_shut = ReadingClock(market_read=OPEN, read_at=OPEN, held=MarketState.CLOSED)
    for clock, now in ((asleep, NIGHT), (still, NIGHT), (held_shut, OPEN)):
        assert next_read_at(watch(HELD, clock=clock), PACES, now) == now + LOOK_AGAIN
        assert not is_worth_reading(watch(HELD, clock=clock), now)


def test_what_is_done_more_often_than_that_looks_as_often_at_a_venue_that_is_held_shut() -> None:
    held_shut = ReadingClock(market_read=OPEN, read_at=OPEN, held=MarketState.CLOSED)
    assert next_visit_at(watch(HELD, clock=held_shut), timedelta(seconds=2), OPEN) == OPEN + timedelta(seconds=2)


def test_a_pause_shorter_than_a_look_is_not_stretched_when_the_simulator_is_open() -> None:
    clock = ReadingClock(market_read=OPEN, read_at=NIGHT)
    assert next_visit_at(watch(HELD, clock=clock), timedelta(seconds=30), NIGHT) == NIGHT + timedelta(seconds=30)
    assert next_visit_at(watch(HELD, clock=clock), timedelta(seconds=300), NIGHT) == NIGHT + timedelta(seconds=300)


@pytest.mark.parametrize(
    ("watched", "now", "expected"),
    [
        (watch(HELD), OPEN, True),
        (watch(HELD), NIGHT, False),
        (watch(WORKING), NIGHT, True),
        (watch(HELD, hot_until=NIGHT + timedelta(seconds=1)), NIGHT, True),
        (watch(HELD, force_open=True), NIGHT, True),
        (watch(), NIGHT, False),
    ],
)
def test_a_read_outside_the_hours_needs_a_reason(watched: Watch, now: datetime, expected: bool) -> None:
    assert is_worth_reading(watched, now) is expected


def test_a_late_series_keeps_the_window_open() -> None:
    after_the_bell = datetime(2026, 11, 20, 21, 10, tzinfo=UTC)
    assert is_worth_reading(watch(HELD), after_the_bell)
    assert not is_worth_reading(watch(OVER), after_the_bell)
