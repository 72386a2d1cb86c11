"""The exchange's trading days and hours, from a committed table (no pandas at run time).

1. Every instant is an aware UTC datetime; wall times are New York's, so a session keeps its hours over DST changes.
2. A date outside the table is an error, never a guess: `calendar_ends_on` is watched a year ahead.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from libs.common.errors import InvalidInput
from libs.market import calendar_table

NEW_YORK: Final = ZoneInfo("America/New_York")
OPEN: Final = time(9, 30)
CLOSE: Final = time(16, 0)
EARLY_CLOSE: Final = time(13, 0)
PREMARKET_OPEN: Final = time(4, 0)
POSTMARKET_CLOSE: Final = time(20, 0)
EARLY_POSTMARKET_CLOSE: Final = time(17, 0)

calendar_starts_on: Final = date.fromisoformat(calendar_table.FIRST)
calendar_ends_on: Final = date.fromisoformat(calendar_table.LAST)
_HOLIDAYS: Final = frozenset(map(date.fromisoformat, calendar_table.HOLIDAYS))
_EARLY_CLOSES: Final = frozenset(map(date.fromisoformat, calendar_table.EARLY_CLOSES))


@dataclass(frozen=True, slots=True)
class Session:
    """One trading day of the stock exchange."""

    session_date: date
    opens_at: datetime
    closes_at: datetime
    is_half_day: bool


def new_york(session_date: date, wall: time) -> datetime:
    """Return the UTC instant of a New York wall time."""
    return datetime.combine(session_date, wall, tzinfo=NEW_YORK).astimezone(UTC)


def new_york_date(at: datetime) -> date:
    """Return the New York date of an instant."""
    return at.astimezone(NEW_YORK).date()


def is_trading_day(day: date) -> bool:
    """Say whether the exchange opens. Raises: InvalidInput outside the table."""
    if not calendar_starts_on <= day <= calendar_ends_on:
        raise InvalidInput(f"the trading calendar covers {calendar_starts_on} to {calendar_ends_on}, not {day}")
    return day.weekday() < 5 and day not in _HOLIDAYS


def is_half_day(day: date) -> bool:
    """Say whether stocks close at 13:00."""
    return day in _EARLY_CLOSES


@lru_cache(maxsize=512)
def session(day: date) -> Session:
    """Return the hours of a trading day. Raises: InvalidInput when there is no session."""
    if not is_trading_day(day):
        raise InvalidInput(f"{day} is not a trading day")
    half = is_half_day(day)
    return Session(day, new_york(day, OPEN), new_york(day, EARLY_CLOSE if half else CLOSE), half)


def next_session(day: date) -> Session:
    """Return the first session after a date."""
    day += timedelta(days=1)
    while not is_trading_day(day):
        day += timedelta(days=1)
    return session(day)


def previous_session(day: date) -> Session:
    """Return the last session before a date."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return session(day)


def session_on_or_after(day: date) -> Session:
    """Return the session of a date, or the next one."""
    return session(day) if is_trading_day(day) else next_session(day)


def session_on_or_before(day: date) -> Session:
    """Return the session of a date, or the last one before it."""
    return session(day) if is_trading_day(day) else previous_session(day)


def calendar_ends_soon(today: date) -> bool:
    """Say whether less than a year of the table is left: time to generate it again."""
    return today + timedelta(days=365) >= calendar_ends_on
