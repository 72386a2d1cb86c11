"""Prices: seeded geometric paths of the underlyings, and options on them by Black-Scholes with a smile. Pure.

1. The same seed and instant give the same price, whatever was asked before.
2. A call is worth its put plus spot minus strike (no interest, no dividends); no option is below its intrinsic value.
3. 0 <= bid < ask, both on the tick, unless pinned.
Floats live here and end here: quotes leave in whole cents.
"""

import math
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from simulator.noise import Floats, Ints, Walk, key_of, uniform
from simulator.universe import PENNY_ROOTS, TICKERS, Ticker

YEAR_S = 365.0 * 86_400.0
SHORTEST_S = 60.0
DAYS_OF_VOLATILITY = 252.0
SKEW = -0.09
SMILE = 0.035
_SQRT2PI = math.sqrt(2.0 * math.pi)


def _walks(seed: int, ticker: Ticker) -> tuple[Walk, Walk, float, float]:
    """Split a ticker's daily deviation into the market's share and its own."""
    daily = ticker.volatility / math.sqrt(DAYS_OF_VOLATILITY)
    market_daily = TICKERS["SPY"].volatility / math.sqrt(DAYS_OF_VOLATILITY)
    shared = math.copysign(min(abs(ticker.beta) * market_daily, daily), ticker.beta)
    own = math.sqrt(max(daily**2 - shared**2, 0.0))
    return Walk(key_of(seed, "market")), Walk(key_of(seed, ticker.symbol)), shared, own


def spot(seed: int, ticker: Ticker, second: float) -> float:
    """Tell an underlying's price at an instant, to the cent. Time: seconds since 1970. Units: dollars."""
    market, own, shared_daily, own_daily = _walks(seed, ticker)
    return round(ticker.base * math.exp(shared_daily * market.at(second) + own_daily * own.at(second)), 2)


def spots(seed: int, ticker: Ticker, seconds: Floats) -> Floats:
    """Tell an underlying's prices at many instants."""
    market, own, shared_daily, own_daily = _walks(seed, ticker)
    heights = shared_daily * market.over(seconds) + own_daily * own.over(seconds)
    return np.round(ticker.base * np.exp(heights), 2)


def normal_cdf(x: Floats) -> Floats:
    """Source: Abramowitz and Stegun 26.2.17, error below 7.5e-8."""
    size = np.abs(x)
    t = 1.0 / (1.0 + 0.2316419 * size)
    tail = t * (0.319381530 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))))
    upper = np.exp(-0.5 * size * size) / _SQRT2PI * tail
    return np.where(x >= 0.0, 1.0 - upper, upper)


@dataclass(frozen=True, slots=True)
class Slice:
    """One expiry of one underlying: forty strikes, calls and puts beside each other. Units: dollars and cents."""

    root: str
    expiry: date
    spot: float
    years: float
    strikes: Floats
    iv: Floats
    d1: Floats
    call_value: Floats
    put_value: Floats
    call_bid: Ints
    call_ask: Ints
    put_bid: Ints
    put_ask: Ints


@dataclass(frozen=True, slots=True)
class Greeks:
    """The call's Greeks. Units: theta per calendar day, vega, rho and phi per percentage point."""

    delta: Floats
    gamma: Floats
    theta: Floats
    vega: Floats
    rho: Floats
    phi: Floats


def implied_volatility(ticker: Ticker, price: float, strikes: Floats, years: float) -> Floats:
    """Tell the smile: dearer below the money, a little dearer for the near expiries and far strikes."""
    at_the_money = ticker.volatility * (1.0 + 0.08 * math.exp(-years * 12.0))
    moneyness = np.log(strikes / price) / (at_the_money * math.sqrt(max(years, 7.0 / 365.0)))
    moneyness = np.clip(moneyness, -4.0, 4.0)
    return at_the_money * (1.0 + SKEW * moneyness + SMILE * moneyness * moneyness)


def _sides(root: str, spread: float, values: Floats) -> tuple[Ints, Ints]:
    """Put a bid and an ask on the tick around model values. Units: cents."""
    cents = values * 100.0
    half = np.clip(cents * spread, 1.0, 3.5 if root in PENNY_ROOTS else 60.0) / 2.0
    low, high = np.maximum(cents - half, 0.0), cents + half
    coarse = root not in PENNY_ROOTS
    low_tick = np.where(coarse & (low >= 300.0), 5.0, 1.0)
    high_tick = np.where(coarse & (high >= 300.0), 5.0, 1.0)
    bid = np.floor(low / low_tick + 1e-9) * low_tick
    ask = np.ceil(high / high_tick - 1e-9) * high_tick
    ask = np.maximum(ask, bid + np.where(coarse & (bid >= 300.0), 5.0, 1.0))
    return bid.astype(np.int64), ask.astype(np.int64)


def price_slice(ticker: Ticker, root: str, expiry: date, strikes: Floats, *, price: float, years: float) -> Slice:
    """Price every strike of one expiry."""
    years = max(years, SHORTEST_S / YEAR_S)
    iv = implied_volatility(ticker, price, strikes, years)
    deviation = iv * math.sqrt(years)
    d1 = np.log(price / strikes) / deviation + deviation / 2.0
    call = np.maximum(price * normal_cdf(d1) - strikes * normal_cdf(d1 - deviation), np.maximum(price - strikes, 0.0))
    put = np.maximum(call - price + strikes, 0.0)
    call_bid, call_ask = _sides(root, ticker.option_spread, call)
    put_bid, put_ask = _sides(root, ticker.option_spread, put)
    return Slice(root, expiry, price, years, strikes, iv, d1, call, put, call_bid, call_ask, put_bid, put_ask)


def greeks(piece: Slice) -> Greeks:
    """Tell the call's Greeks of a slice. Source: Black and Scholes 1973, r = q = 0; units as in ORATS rows."""
    root_years = math.sqrt(piece.years)
    density = np.exp(-0.5 * piece.d1 * piece.d1) / _SQRT2PI
    delta = normal_cdf(piece.d1)
    second = normal_cdf(piece.d1 - piece.iv * root_years)
    return Greeks(
        delta=delta,
        gamma=density / (piece.spot * piece.iv * root_years),
        theta=-piece.spot * density * piece.iv / (2.0 * root_years) / 365.0,
        vega=piece.spot * density * root_years / 100.0,
        rho=piece.strikes * piece.years * second / 100.0,
        phi=-piece.spot * piece.years * delta / 100.0,
    )


@lru_cache(maxsize=512)
def _crowd(seed: int, root: str, expiry: date, right: str, size: int) -> Floats:
    return uniform(key_of(seed, f"crowd/{root}/{expiry}/{right}"), np.arange(size, dtype=np.int64))


def interest(seed: int, piece: Slice, right: str) -> tuple[Ints, Ints]:
    """Tell volume and open interest: most near the money. Units: contracts."""
    crowd = _crowd(seed, piece.root, piece.expiry, right, len(piece.strikes))
    depth = 20_000.0 if piece.root in PENNY_ROOTS else 3_000.0
    near = np.exp(-0.5 * (np.log(piece.strikes / piece.spot) / 0.06) ** 2)
    open_interest = (depth * (0.05 + near) * (0.2 + crowd)).astype(np.int64)
    return (open_interest * (0.1 + 0.5 * crowd)).astype(np.int64), open_interest
