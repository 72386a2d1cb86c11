"""Prices are a pure function of seed and time, options are consistent with them, dates follow the exchange."""

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import exchange_calendars
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import calendar, market, universe
from simulator.clock import MarketClock
from simulator.universe import TICKERS, occ, parse_occ, tick_size

DAY = datetime(2026, 11, 20, 15, tzinfo=UTC).timestamp()
SECONDS = st.integers(int(DAY) - 86400 * 400, int(DAY) + 86400 * 400)
NAMES = st.sampled_from(sorted(TICKERS))


@given(NAMES, SECONDS, st.integers(0, 50))
@settings(max_examples=60, deadline=None)
def test_one_instant_and_a_vector_of_instants_tell_the_same_price(name: str, second: int, seed: int) -> None:
    ticker = TICKERS[name]
    path = market.spots(seed, ticker, np.array([second - 60, second, second + 1], dtype=np.float64))
    assert market.spot(seed, ticker, second) == pytest.approx(path[1], abs=0.0101)


def test_paths_move_like_their_volatility_and_stay_near_their_base() -> None:
    for name in ("SPY", "TSLA", "S007", "XLU"):
        ticker = TICKERS[name]
        daily = market.spots(7, ticker, DAY + 86_400.0 * np.arange(250, dtype=np.float64))
        moved = float(np.std(np.diff(np.log(daily)))) * math.sqrt(252)
        assert ticker.volatility * 0.7 < moved < ticker.volatility * 1.5, name
        assert float(daily.min()) / ticker.base > 0.5
        assert float(daily.max()) / ticker.base < 2
        minutes = market.spots(7, ticker, DAY + 60.0 * np.arange(390, dtype=np.float64))
        assert float(np.abs(np.diff(np.log(minutes))).max()) < 0.02, name


def test_the_market_moves_the_others_and_fear_moves_against_it() -> None:
    times = DAY + 86_400.0 * np.arange(250, dtype=np.float64)
    spy, qqq, vix = (np.diff(np.log(market.spots(7, TICKERS[name], times))) for name in ("SPY", "QQQ", "VIX"))
    assert float(np.corrcoef(spy, qqq)[0, 1]) > 0.7
    assert float(np.corrcoef(spy, vix)[0, 1]) < -0.5


@given(NAMES, st.floats(0.7, 1.4), st.floats(0.001, 0.6))
@settings(max_examples=80, deadline=None)
def test_options_keep_parity_bounds_and_ticks(name: str, moved: float, years: float) -> None:
    ticker = TICKERS[name]
    price = round(ticker.base * moved, 2)
    strikes = np.array(universe.ladder(ticker, ticker.base))
    piece = market.price_slice(ticker, name, date(2026, 12, 18), strikes, price=price, years=years)
    assert np.allclose(piece.call_value - piece.put_value, price - strikes, atol=1e-6)
    assert (np.diff(piece.call_value) <= 1e-9).all()
    assert (np.diff(piece.put_value) >= -1e-9).all()
    sides = ((piece.call_bid, piece.call_ask, piece.call_value), (piece.put_bid, piece.put_ask, piece.put_value))
    for bids, asks, values in sides:
        assert ((bids >= 0) & (bids < asks)).all()
        assert (bids / 100 <= values + 1e-9).all()
        assert (asks / 100 >= values - 1e-9).all()
        for cents in (*bids.tolist(), *asks.tolist()):
            assert cents == 0 or Decimal(cents) / 100 % tick_size(name, Decimal(cents) / 100) == 0
    greeks = market.greeks(piece)
    assert ((greeks.delta >= 0) & (greeks.delta <= 1)).all()
    assert (greeks.theta <= 0).all()
    assert (greeks.gamma >= 0).all()


def test_greeks_are_the_slopes_of_the_prices() -> None:
    ticker, strikes = TICKERS["AAPL"], np.array([270.0])
    iv = market.implied_volatility(ticker, 270.0, strikes, 0.1)

    def value(price: float, years: float) -> float:
        deviation = float(iv[0]) * math.sqrt(years)
        d1 = math.log(price / 270) / deviation + deviation / 2
        cdf = market.normal_cdf(np.array([d1, d1 - deviation]))
        return price * float(cdf[0]) - 270 * float(cdf[1])

    greeks = market.greeks(market.price_slice(ticker, "AAPL", date(2026, 12, 18), strikes, price=270.0, years=0.1))
    assert float(greeks.delta[0]) == pytest.approx((value(270.5, 0.1) - value(269.5, 0.1)), abs=1e-3)
    assert float(greeks.theta[0]) == pytest.approx(value(270, 0.1 - 1 / 365) - value(270, 0.1), rel=0.03)


def test_spreads_are_lifelike() -> None:
    spy = TICKERS["SPY"]
    strikes = np.array(universe.ladder(spy, spy.base))
    piece = market.price_slice(spy, "SPY", date(2026, 12, 18), strikes, price=spy.base, years=0.08)
    near = np.abs(strikes / spy.base - 1) < 0.03
    assert (piece.call_ask - piece.call_bid)[near].max() <= 5
    other = TICKERS["S100"]
    strikes = np.array(universe.ladder(other, other.base))
    piece = market.price_slice(other, "S100", date(2026, 12, 18), strikes, price=other.base, years=0.08)
    near = piece.call_value > 3
    assert ((piece.call_ask - piece.call_bid)[near] / 100 / piece.call_value[near]).max() < 0.08


@given(st.dates(date(2026, 1, 1), date(2030, 12, 31)))
@settings(max_examples=100)
def test_ten_expiries_are_on_offer_whatever_the_day(day: date) -> None:
    days = calendar.expiries(day)
    assert len(days) == 10
    assert list(days) == sorted(set(days))
    assert all(calendar.is_trading_day(one) and one >= day for one in days)
    assert sum(calendar.is_monthly(one) for one in days[6:]) == 4


@pytest.mark.filterwarnings("ignore::Warning")  # the library's own, about pandas
def test_trading_days_are_the_exchanges() -> None:
    nyse = exchange_calendars.get_calendar("XNYS", start="2024-01-01", end="2027-06-30")
    sessions = {one.date() for one in nyse.sessions}
    early = {one.date() for one in nyse.early_closes}
    day = date(2025, 2, 1)
    while day < date(2027, 6, 30):
        assert calendar.is_trading_day(day) == (day in sessions), day
        if day in sessions:
            assert (calendar.closing_time(day) == time(13)) == (day in early), day
        day += timedelta(days=1)


@given(st.sampled_from(sorted(TICKERS)), st.dates(date(2026, 1, 1), date(2035, 1, 1)), st.sampled_from("CP"),
       st.integers(1, 99_999_999))  # fmt: skip
def test_option_symbols_are_read_as_they_are_written(root: str, expiry: date, right: str, thousandths: int) -> None:
    contract = parse_occ(occ(root, expiry, right, Decimal(thousandths) / 1000))
    assert contract is not None
    assert (contract.root, contract.underlying, contract.expiry) == (root, root, expiry)
    assert (contract.right, contract.strike) == (right, Decimal(thousandths) / 1000)


def test_what_is_no_option_symbol_is_none() -> None:
    assert [parse_occ(text) for text in ("SPY", "SPY261318C00650000", "ZZZ261218C00650000", "")] == [None] * 4


def test_forty_strikes_stand_around_the_base() -> None:
    for ticker in TICKERS.values():
        strikes = universe.ladder(ticker, ticker.base)
        assert len(strikes) == 40
        assert strikes[0] < ticker.base < strikes[-1]


def test_the_clock_keeps_its_reading_when_the_speed_changes() -> None:
    clock = MarketClock(100.0, 5000.0, 1.0, "open")
    faster = clock.changed(160.0, speed=60.0)
    assert faster.second(160.0) == clock.second(160.0) == 5060.0
    assert faster.second(161.0) == 5120.0
