"""Bars of the seeded paths: minutes, days, weeks, months. Pure over a feed; pins show in the last bar only."""

from datetime import date, datetime, timedelta
from typing import Any, cast

import numpy as np

from simulator import calendar, market
from simulator.feed import Feed
from simulator.universe import TICKERS

Json = dict[str, Any]
SAMPLES = 5
MOST_BARS = 12_000


def _trades(feed: Feed, second: int, *, only_open: bool) -> bool:
    """Say whether a minute belongs to the session asked for; a forced session owns its whole day."""
    at = datetime.fromtimestamp(second, calendar.NEW_YORK)
    today = calendar.eastern(feed.now()).date()
    if feed.clock.session == "open" and at.date() == today:
        return True
    if not calendar.is_trading_day(at.date()):
        return False
    if only_open:
        return calendar.OPENS <= at.time() < calendar.closing_time(at.date())
    return calendar.PREMARKET_OPENS <= at.time() < calendar.POSTMARKET_CLOSES


def minute_bars(
    feed: Feed, symbol: str, span: tuple[datetime, datetime], minutes: int, *, only_open: bool
) -> list[Json]:
    """List intraday bars between two instants."""
    width = minutes * 60
    first = int(span[0].timestamp()) // width * width
    starts = [n for n in range(first, int(span[1].timestamp()) + 1, width) if _trades(feed, n, only_open=only_open)]
    starts = starts[-MOST_BARS:]
    if not starts:
        return []
    now_s = feed.second()
    grid = np.array(starts, dtype=np.float64)[:, None] + np.linspace(0, width, SAMPLES)
    prices = market.spots(feed.seed, TICKERS[symbol], np.minimum(grid, now_s).ravel()).reshape(grid.shape)
    if symbol in feed.pins and starts[-1] <= now_s < starts[-1] + width:
        prices[-1, -1] = feed.spot(symbol)
    rows = []
    walks = cast("list[list[float]]", prices.tolist())
    for start, bar in zip(starts, walks, strict=True):
        local = datetime.fromtimestamp(start, calendar.NEW_YORK)
        high, low = max(bar), min(bar)
        rows.append({
            "time": local.strftime("%Y-%m-%dT%H:%M:%S"), "timestamp": start, "price": round((high + low) / 2, 2),
            "open": bar[0], "high": high, "low": low, "close": bar[-1], "volume": 1000 * minutes + start % 977,
            "vwap": round(sum(bar) / SAMPLES, 4),
        })  # fmt: skip
    return rows


def _day_bar(feed: Feed, symbol: str, day: date) -> Json:
    opens = calendar.at_eastern(day, calendar.OPENS).timestamp()
    closes = calendar.at_eastern(day, calendar.closing_time(day)).timestamp()
    times = np.minimum(np.floor(np.linspace(opens, closes, 28)), feed.second())
    path = market.spots(feed.seed, TICKERS[symbol], times).tolist()
    return {"date": day.isoformat(), "open": path[0], "high": max(path), "low": min(path), "close": path[-1],
            "volume": 1_000_000 + day.toordinal() % 9973}  # fmt: skip


def daily_bars(feed: Feed, symbol: str, start: date, end: date, interval: str) -> list[Json]:
    """List the bars of trading days, or of the weeks or months they fall in."""
    days = [start + timedelta(days=n) for n in range((end - start).days + 1)]
    bars = [_day_bar(feed, symbol, day) for day in days if calendar.is_trading_day(day)][-MOST_BARS:]
    if interval == "daily":
        return bars
    joined: dict[tuple[int, int], Json] = {}
    for bar in bars:
        day = date.fromisoformat(bar["date"])
        key = day.isocalendar()[:2] if interval == "weekly" else (day.year, day.month)
        known = joined.setdefault(key, dict(bar) | {"volume": 0})
        known["high"], known["low"] = max(known["high"], bar["high"]), min(known["low"], bar["low"])
        known["close"] = bar["close"]
        known["volume"] += bar["volume"]
    return list(joined.values())
