"""Market time of a venue and the instants that follow from it."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.market import clock as clocks
from libs.market.clock import Bookend, ExchangeClock, ReadingClock
from libs.market.options import OccSymbol
from libs.market.session import MarketState, state_at

SPY = OccSymbol.parse("SPY261218C00650000")
AAPL = OccSymbol.parse("AAPL261218C00200000")
EVERY = timedelta(seconds=40)
EXCHANGE = ExchangeClock()


def utc(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, second, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (utc(20, 8, 59), MarketState.CLOSED),
        (utc(20, 9, 0), MarketState.PREMARKET),
        (utc(20, 14, 30), MarketState.OPEN),
        (utc(20, 20, 59, 59), MarketState.OPEN),
        (utc(20, 21, 0), MarketState.POSTMARKET),
        (utc(21, 1, 0), MarketState.CLOSED),
        (utc(21, 16, 0), MarketState.CLOSED),
        (utc(27, 18, 0), MarketState.POSTMARKET),
        (utc(27, 22, 0), MarketState.CLOSED),
    ],
)
def test_the_state_follows_the_calendar(at: datetime, state: MarketState) -> None:
    assert state_at(at) is state
    assert clocks.market_state(EXCHANGE, at) is state


@given(
    st.integers(0, 366 * 86_400_000).map(lambda ms: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)),
    st.sampled_from([Decimal("0.5"), Decimal(1), Decimal(60)]),
)
def test_market_time_and_real_time_are_inverse(real_at: datetime, speed: Decimal) -> None:
    clock = ReadingClock(market_read=utc(18, 15), read_at=utc(20, 3), speed=speed)
    back = clock.real_at_of(clock.market_at(real_at))
    assert back is not None
    assert abs(back - real_at) <= timedelta(milliseconds=1)


def test_a_fast_venue_reaches_its_close_in_less_real_time() -> None:
    clock = ReadingClock(market_read=utc(20, 20, 0), read_at=utc(25, 3), speed=Decimal(60))
    assert clocks.market_state(clock, utc(25, 3)) is MarketState.OPEN
    assert clocks.market_state(clock, utc(25, 3, 1)) is MarketState.POSTMARKET
    assert clocks.market_date(clock, utc(25, 3)) == date(2026, 11, 20)
    bookend = clocks.next_bookend_at(clock, utc(25, 3))
    assert bookend == (utc(25, 3, 1, 5), Bookend.POST_MARKET)


def test_a_venue_standing_still_never_reaches_a_later_instant() -> None:
    clock = ReadingClock(market_read=utc(20, 14), read_at=utc(20, 3), speed=Decimal(0))
    assert clock.real_at_of(utc(20, 14, 30)) is None
    assert clocks.next_poll_at(clock, now=utc(20, 4), every=EVERY) is None
    assert clocks.next_bookend_at(clock, utc(20, 4)) is None
    assert clock.real_at_of(utc(20, 13)) == utc(20, 3)


def test_a_held_session_wins_over_the_calendar() -> None:
    saturday = utc(21, 8)
    held_open = ReadingClock(market_read=saturday, read_at=saturday, held=MarketState.OPEN)
    assert clocks.market_state(held_open, saturday) is MarketState.OPEN
    assert clocks.is_contract_open(held_open, SPY, saturday)
    assert clocks.next_open_at(held_open, "SPY", saturday) == saturday
    assert clocks.next_poll_at(held_open, now=saturday, every=EVERY) == saturday + EVERY
    held_closed = ReadingClock(market_read=saturday, read_at=saturday, held=MarketState.CLOSED)
    assert not clocks.is_contract_open(held_closed, SPY, saturday)
    assert clocks.next_open_at(held_closed, "SPY", saturday) is None
    assert clocks.next_poll_at(held_closed, now=saturday, every=EVERY) is None


def test_no_held_session_revives_an_expired_contract() -> None:
    clock = ReadingClock(market_read=utc(20, 21, 15), read_at=utc(20, 21, 15), held=MarketState.OPEN)
    expired = OccSymbol.parse("SPY261120C00650000")
    assert not clocks.is_contract_open(clock, expired, utc(20, 21, 15))
    assert clocks.is_after_last_trade(clock, expired, utc(20, 21, 15))
    assert not clocks.is_after_last_trade(clock, expired, utc(20, 21, 14))


def test_polling_ends_with_the_stock_market_unless_something_later_is_held() -> None:
    last = utc(20, 20, 59, 40)
    assert clocks.next_poll_at(EXCHANGE, now=last - EVERY, every=EVERY) == last
    assert clocks.next_poll_at(EXCHANGE, now=last, every=EVERY) == utc(23, 14, 30)
    assert clocks.next_poll_at(EXCHANGE, now=last, every=EVERY, held=[AAPL]) == last + EVERY
    late = utc(20, 21, 4, 40)
    assert clocks.next_poll_at(EXCHANGE, now=late, every=EVERY, held=[AAPL]) == utc(23, 14, 30)
    assert clocks.next_poll_at(EXCHANGE, now=late, every=EVERY, held=[AAPL, SPY]) == late + EVERY
    assert clocks.next_poll_at(EXCHANGE, now=utc(20, 21, 19, 40), every=EVERY, held=[SPY]) == utc(23, 14, 30)


def test_polling_starts_at_the_open_and_never_skips_todays_session() -> None:
    assert clocks.next_poll_at(EXCHANGE, now=utc(20, 9), every=EVERY) == utc(20, 14, 30)
    assert clocks.next_poll_at(EXCHANGE, now=utc(20, 14, 29, 50), every=EVERY) == utc(20, 14, 30)
    assert clocks.next_poll_at(EXCHANGE, now=utc(26, 15), every=EVERY) == utc(27, 14, 30)


def test_a_forced_open_market_is_polled_at_any_hour() -> None:
    assert clocks.next_poll_at(EXCHANGE, now=utc(21, 3), every=EVERY, force_open=True) == utc(21, 3) + EVERY


def test_bookends_stand_five_minutes_around_the_session() -> None:
    assert clocks.next_bookend_at(EXCHANGE, utc(20, 9)) == (utc(20, 14, 25), Bookend.PRE_MARKET)
    assert clocks.next_bookend_at(EXCHANGE, utc(20, 14, 25)) == (utc(20, 21, 5), Bookend.POST_MARKET)
    assert clocks.next_bookend_at(EXCHANGE, utc(20, 14, 25), "SPY") == (utc(20, 21, 20), Bookend.POST_MARKET)
    assert clocks.next_bookend_at(EXCHANGE, utc(20, 21, 5)) == (utc(23, 14, 25), Bookend.PRE_MARKET)
    assert clocks.next_bookend_at(EXCHANGE, utc(27, 15)) == (utc(27, 18, 5), Bookend.POST_MARKET)


def test_the_next_open_of_a_series() -> None:
    assert clocks.next_open_at(EXCHANGE, "AAPL", utc(20, 21, 5)) == utc(23, 14, 30)
    assert clocks.next_open_at(EXCHANGE, "SPY", utc(20, 21, 5)) == utc(20, 21, 5)
    assert clocks.next_open_at(EXCHANGE, "SPY", utc(21, 16)) == utc(23, 14, 30)
    assert clocks.next_open_at(EXCHANGE, "SPY", utc(20, 9)) == utc(20, 14, 30)


def test_the_next_turn_is_the_close_in_session_and_the_open_outside() -> None:
    clock = ExchangeClock()
    friday_noon = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    assert clocks.next_turn(clock, friday_noon) == (datetime(2026, 11, 20, 21, 0, tzinfo=UTC), MarketState.POSTMARKET)
    friday_night = datetime(2026, 11, 21, 1, 0, tzinfo=UTC)
    assert clocks.next_turn(clock, friday_night) == (datetime(2026, 11, 23, 14, 30, tzinfo=UTC), MarketState.OPEN)
    half_day_noon = datetime(2026, 11, 27, 17, 0, tzinfo=UTC)
    assert clocks.next_turn(clock, half_day_noon) == (datetime(2026, 11, 27, 18, 0, tzinfo=UTC), MarketState.POSTMARKET)
    assert clocks.next_turn(ExchangeClock(held=MarketState.OPEN), friday_noon) is None


def test_the_last_turn_is_the_open_in_session_and_the_close_outside() -> None:
    clock = ExchangeClock()
    friday = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
    assert clocks.last_turn(clock, friday) == datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
    closed = datetime(2026, 11, 20, 21, 0, tzinfo=UTC)
    assert clocks.last_turn(clock, closed) == closed
    assert clocks.last_turn(clock, datetime(2026, 11, 22, 12, 0, tzinfo=UTC)) == closed
    assert clocks.last_turn(clock, datetime(2026, 11, 23, 14, 29, tzinfo=UTC)) == closed
    assert clocks.last_turn(ExchangeClock(held=MarketState.CLOSED), friday) is None
