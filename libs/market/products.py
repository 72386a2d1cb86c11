"""What a series' root says about its contracts: underlying, hours, settlement, last trade.

1. Equity options trade to 16:00, options on broad ETFs and on indexes to 16:15; on half days to 13:00 and 13:15.
2. AM-settled series last trade on the session before their expiry date.
3. Expiring PM-settled index series stop with the stock market, not 15 minutes later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from enum import StrEnum
from functools import lru_cache
from typing import Final

from libs.market import calendar
from libs.market.options import OccSymbol

STANDARD_SIZE: Final = 100

_INDEX_NAMES: Final = "SPX XSP NDX XND NQX RUT MRUT VIX DJX OEX XEO RVX MXEA MXEF MXACW MXUSA MXWLD XAU HGX SOX OSX"
_INDEX_OF: Final = {root: root for root in _INDEX_NAMES.split()} | {
    "SPXW": "SPX",
    "NDXP": "NDX",
    "RUTW": "RUT",
    "VIXW": "VIX",
    "DJXW": "DJX",
    "OEXW": "OEX",
}
_AM_SETTLED: Final = frozenset(
    {"SPX", "NDX", "RUT", "DJX", "VIX", "VIXW", "RVX", "MXEA", "MXEF", "MXACW", "MXUSA", "MXWLD"}
)
_LATE_ETF_NAMES: Final = (
    "SPY QQQ IWM DIA MDY OEF IWN IWO IWV EEM EFA DBA DBB DBC DBO DBS MOO UNG UUP XHB XME XRT KBE KRE "
    "XLB XLC XLE XLF XLI XLK XLP XLRE XLU XLV XLY SVXY UVIX UVXY VIXM VIXY VXX VXZ"
)
_LATE_ETFS: Final = frozenset(_LATE_ETF_NAMES.split())
"""Funds whose options trade to 16:15. Source: Cboe, list of ETP options with extended hours."""
_SHARE_CLASSES: Final = {"BRKB": "BRK/B", "BFB": "BF/B"}


class SettlementTime(StrEnum):
    """When the final value is taken."""

    AM = "AM"
    PM = "PM"


class SettlementKind(StrEnum):
    """What the holder gets."""

    CASH = "CASH"
    PHYSICAL = "PHYSICAL"


@dataclass(frozen=True, slots=True)
class Settlement:
    """How a contract ends."""

    time: SettlementTime
    kind: SettlementKind


@dataclass(frozen=True, slots=True)
class TradingHours:
    """New York wall times in which a series trades."""

    opens: time
    closes: time
    half_day_closes: time


EQUITY_HOURS: Final = TradingHours(time(9, 30), time(16, 0), time(13, 0))
LATE_HOURS: Final = TradingHours(time(9, 30), time(16, 15), time(13, 15))


def underlying_of(root: str) -> str:
    """Return the ticker a root belongs to: `SPXW` → `SPX`, `AAPL1` → `AAPL`, `BRKB` → `BRK/B`."""
    if root in _INDEX_OF:
        return _INDEX_OF[root]
    plain = root.strip("0123456789") or root
    return _SHARE_CLASSES.get(plain, plain)


def is_index(root: str) -> bool:
    """Say whether the series is on an index."""
    return root in _INDEX_OF


def is_standard_contract(root: str, underlying: str, contract_size: int | None) -> bool:
    """Say whether a contract delivers the usual 100 of its underlying: size 100 and an unadjusted root.

    Unknown size counts as not standard.
    """
    adjusted = root[-1:].isdigit() or root[:1].isdigit()
    return contract_size == STANDARD_SIZE and not adjusted and underlying_of(root) == underlying.replace(".", "/")


def session_of(root: str) -> TradingHours:
    """Return the hours in which a series trades."""
    return LATE_HOURS if root in _LATE_ETFS or is_index(root) else EQUITY_HOURS


@lru_cache(maxsize=2048)
def session_on(root: str, day: date) -> tuple[datetime, datetime]:
    """Return when a series opens and closes on a trading day. Raises: InvalidInput when there is no session."""
    hours = session_of(root)
    stock = calendar.session(day)
    return stock.opens_at, calendar.new_york(day, hours.half_day_closes if stock.is_half_day else hours.closes)


def settlement(contract: OccSymbol) -> Settlement:
    """Return how a contract settles."""
    if contract.root in _AM_SETTLED:
        return Settlement(SettlementTime.AM, SettlementKind.CASH)
    return Settlement(SettlementTime.PM, SettlementKind.CASH if is_index(contract.root) else SettlementKind.PHYSICAL)


@lru_cache(maxsize=8192)
def last_trade_at(contract: OccSymbol) -> datetime:
    """Return the last instant the contract trades.

    Source: order-path §7; expiring PM-settled index series stop at 16:00: Cboe contract specifications, Tradier support
    "trading times for index options".
    """
    if settlement(contract).time is SettlementTime.AM:
        return session_on(contract.root, calendar.previous_session(contract.expiry).session_date)[1]
    last = calendar.session_on_or_before(contract.expiry)
    if is_index(contract.root):
        return last.closes_at
    return session_on(contract.root, last.session_date)[1]


def settles_at(contract: OccSymbol) -> datetime:
    """Return when the final value exists: the expiry session's open for AM series, else its stock close."""
    last = calendar.session_on_or_before(contract.expiry)
    return last.opens_at if settlement(contract).time is SettlementTime.AM else last.closes_at


def is_trading(contract: OccSymbol, at: datetime) -> bool:
    """Say whether the contract trades at an instant, by the calendar alone."""
    if at >= last_trade_at(contract):
        return False
    day = calendar.new_york_date(at)
    if not calendar.is_trading_day(day):
        return False
    opens_at, closes_at = session_on(contract.root, day)
    return opens_at <= at < closes_at


def days_to_expiry(contract: OccSymbol, at: datetime) -> int:
    """Count calendar days from an instant's New York date to expiry; 0 on the day, negative after."""
    return (contract.expiry - calendar.new_york_date(at)).days
