"""Quotes as Tradier words them, for shares and for options. Pure over a feed."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import numpy as np

from simulator import calendar, market, universe
from simulator.feed import Feed
from simulator.market import Greeks, Slice
from simulator.universe import TICKERS, Contract

Json = dict[str, Any]
SAMPLES_A_DAY = 48


@dataclass(frozen=True, slots=True)
class DayRange:
    """A day so far. Units: dollars."""

    open: float
    high: float
    low: float
    previous_close: float
    close: float | None
    """Official, of the session that is over; None from the next pre-market on."""


class Days:
    """The day's range of each underlying, worked out once a market minute."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._known: dict[str, tuple[int, DayRange]] = {}

    def of(self, symbol: str) -> DayRange:
        """Tell a day's open, extremes and the close before."""
        minute = self._feed.second() // 60
        known = self._known.get(symbol)
        if known is None or known[0] != minute:
            known = self._known[symbol] = (minute, self._work_out(symbol))
        return known[1]

    def _work_out(self, symbol: str) -> DayRange:
        now = self._feed.now()
        today = calendar.eastern(now).date()
        start = calendar.at_eastern(today, calendar.OPENS)
        if now < start:
            start = calendar.at_eastern(today, datetime.min.time())
        times = np.linspace(start.timestamp(), max(now.timestamp(), start.timestamp()), SAMPLES_A_DAY)
        path = market.spots(self._feed.seed, TICKERS[symbol], np.floor(times))
        last, before = self._closes(symbol, now)
        return DayRange(float(path[0]), float(path.max()), float(path.min()), before, last)

    def _closes(self, symbol: str, now: datetime) -> tuple[float | None, float]:
        """Tell the close that is shown as such, and the one before."""
        over = calendar.last_session_over(now)
        shown = now < calendar.at_eastern(calendar.next_trading_day(over), calendar.PREMARKET_OPENS)
        days = (over, calendar.previous_trading_day(over)) if shown else (None, over)
        last, before = (None if day is None else self._official(symbol, day) for day in days)
        assert before is not None
        return last, before

    def _official(self, symbol: str, day: date) -> float:
        return float(self._feed.official_price(symbol, calendar.at_eastern(day, calendar.closing_time(day))))


def share_quote(feed: Feed, days: Days, symbol: str) -> Json | None:
    """Word the quote of an underlying."""
    quote = feed.quote(symbol)
    if quote is None or symbol not in TICKERS:
        return None
    ticker, day, last = TICKERS[symbol], days.of(symbol), float(quote.last)
    stamp = int(feed.now().timestamp() * 1000)
    change = round(last - day.previous_close, 2)
    volume = 40_000_000 if symbol in universe.PENNY_ROOTS else 3_000_000
    return {
        "symbol": symbol, "description": ticker.name, "exch": "P" if ticker.kind == "etf" else "Q", "type": ticker.kind,
        "last": last, "change": change, "volume": volume, "open": day.open, "high": max(day.high, last),
        "low": min(day.low, last), "close": day.close, "bid": float(quote.bid), "ask": float(quote.ask),
        "change_percentage": round(change / day.previous_close * 100, 2), "average_volume": volume, "last_volume": 100,
        "trade_date": stamp, "prevclose": day.previous_close, "week_52_high": round(ticker.base * 1.25, 2),
        "week_52_low": round(ticker.base * 0.75, 2), "bidsize": 5, "bidexch": "P", "bid_date": stamp, "asksize": 7,
        "askexch": "P", "ask_date": stamp, "root_symbols": symbol,
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wording:
    """Columns of a slice, ready to be put into rows."""

    piece: Slice
    greeks: Greeks | None
    stamp_ms: int
    updated_at: str


def wording(feed: Feed, piece: Slice, *, with_greeks: bool) -> Wording:
    """Prepare a slice."""
    now = feed.now()
    updated_at = now.strftime("%Y-%m-%d %H:%M:%S")
    return Wording(piece, market.greeks(piece) if with_greeks else None, int(now.timestamp() * 1000), updated_at)


def option_rows(feed: Feed, words: Wording, right: str, only: int | None = None) -> list[Json]:
    """Word the quotes of one side of a slice, or of one row of it."""
    piece = words.piece
    is_call = right == "C"
    volume, open_interest = market.interest(feed.seed, piece, right)
    bids, asks = (piece.call_bid, piece.call_ask) if is_call else (piece.put_bid, piece.put_ask)
    values = piece.call_value if is_call else piece.put_value
    underlying = piece.root.rstrip("0123456789") if piece.root not in TICKERS else piece.root
    rows: list[Json] = []
    for n in range(len(piece.strikes)) if only is None else (only,):
        strike, bid, ask = float(piece.strikes[n]), int(bids[n]) / 100, int(asks[n]) / 100
        last = min(max(round(float(values[n]), 2), bid), ask)
        row = {
            "symbol": universe.occ(piece.root, piece.expiry, right, strike),
            "description": f"{underlying} {piece.expiry:%b %d %Y} ${strike:.2f} {'Call' if is_call else 'Put'}",
            "exch": "Z", "type": "option", "last": last, "change": 0.0, "volume": int(volume[n]), "open": last,
            "high": last, "low": last, "close": None, "bid": bid, "ask": ask, "underlying": underlying,
            "strike": strike, "greeks": None, "change_percentage": 0.0, "average_volume": 0, "last_volume": 1,
            "trade_date": words.stamp_ms, "prevclose": last, "week_52_high": 0.0, "week_52_low": 0.0, "bidsize": 25,
            "bidexch": "C", "bid_date": words.stamp_ms, "asksize": 25, "askexch": "C", "ask_date": words.stamp_ms,
            "open_interest": int(open_interest[n]), "contract_size": 100, "expiration_date": piece.expiry.isoformat(),
            "expiration_type": "standard" if calendar.is_monthly(piece.expiry) else "weeklys",
            "option_type": "call" if is_call else "put", "root_symbol": piece.root,
        }  # fmt: skip
        if words.greeks is not None:
            row["greeks"] = _greeks(words, n, is_call, (ask - bid) / 2)
        rows.append(row)
    return rows


def _greeks(words: Wording, n: int, is_call: bool, half_spread: float) -> Json:
    piece, greeks = words.piece, words.greeks
    assert greeks is not None
    delta = float(greeks.delta[n])
    iv = float(piece.iv[n])
    width = half_spread / max(float(greeks.vega[n]) * 100.0, 1e-4)
    rho, phi = float(greeks.rho[n]), float(greeks.phi[n])
    if not is_call:
        rho -= float(piece.strikes[n]) * piece.years / 100.0
        phi += piece.spot * piece.years / 100.0
    figures = {
        "delta": delta if is_call else delta - 1.0, "gamma": float(greeks.gamma[n]), "theta": float(greeks.theta[n]),
        "vega": float(greeks.vega[n]), "rho": rho, "phi": phi, "bid_iv": max(iv - width, 0.0), "mid_iv": iv,
        "ask_iv": iv + min(width, iv), "smv_vol": iv,
    }  # fmt: skip
    return {name: round(value, 6) for name, value in figures.items()} | {"updated_at": words.updated_at}


def contract_quote(feed: Feed, contract: Contract, *, with_greeks: bool) -> Json | None:
    """Word the quote of one option; None once it has expired."""
    if feed.now() >= calendar.last_trade_at(contract.root, contract.expiry):
        return None
    piece, row = feed.contract_slice(contract)
    return option_rows(feed, wording(feed, piece, with_greeks=with_greeks), contract.right, row)[0]
