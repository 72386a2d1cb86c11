"""Market time of a chapter: the next close, open, half day, midnight or expiry after now. Pure.

Time only goes forward in a campaign, as it does at a broker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta

from libs.market import calendar

SOON = timedelta(seconds=15)


def _next_close(now: datetime, *, half: bool = False) -> datetime:
    found = calendar.session_on_or_after(calendar.new_york_date(now))
    while found.closes_at <= now + SOON or (half and not calendar.is_half_day(found.session_date)):
        found = calendar.next_session(found.session_date)
    return found.closes_at


def _next_open(now: datetime) -> datetime:
    found = calendar.session_on_or_after(calendar.new_york_date(now))
    while found.opens_at <= now + SOON:
        found = calendar.next_session(found.session_date)
    return found.opens_at


def _next_midnight(now: datetime) -> datetime:
    return calendar.new_york(calendar.new_york_date(now + SOON) + timedelta(days=1), time(0))


def _expiry_close(now: datetime) -> datetime:
    """Return the close of the Friday's session (or the day before a holiday's) that is next."""
    day = calendar.new_york_date(now)
    while True:
        friday = day + timedelta(days=(4 - day.weekday()) % 7)
        found = calendar.session_on_or_before(friday)
        if found.closes_at > now:
            return found.closes_at
        day = friday + timedelta(days=1)


STEPS: dict[str, tuple[Callable[[datetime], datetime] | None, str]] = {
    "open": (None, "open"),
    "before_close": (lambda now: _next_close(now) - SOON, "calendar"),
    "before_open": (lambda now: _next_open(now) - timedelta(seconds=5), "calendar"),
    "before_half_day_close": (lambda now: _next_close(now, half=True) - SOON, "calendar"),
    "before_midnight": (lambda now: _next_midnight(now) - SOON, "open"),
    "before_expiry": (lambda now: _expiry_close(now) - timedelta(minutes=45), "calendar"),
    "near_expiry": (lambda now: _expiry_close(now) - timedelta(minutes=20), "calendar"),
    "at_expiry": (lambda now: _expiry_close(now) - timedelta(seconds=8), "calendar"),
    "after_expiry": (lambda now: _expiry_close(now - timedelta(hours=1)) + timedelta(minutes=16), "calendar"),
}
"""Each step: the market time it sets, and the session. `after_expiry` follows `at_expiry` within the hour."""


def moved(step: str, now: datetime) -> dict[str, str]:
    """Return what to tell the simulator's clock."""
    instant, session = STEPS[step]
    return {"session": session} | ({} if instant is None else {"now": instant(now).astimezone(UTC).isoformat()})
