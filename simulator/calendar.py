"""When the exchange is open, which days options end, by New York's clock. Pure."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
PREMARKET_OPENS = time(4, 0)
OPENS = time(9, 30)
CLOSES = time(16, 0)
CLOSES_EARLY = time(13, 0)
POSTMARKET_CLOSES = time(20, 0)
WEEKLY_EXPIRIES = 6
MONTHLY_EXPIRIES = 4
LATE_CLOSE = timedelta(minutes=15)
LATE_ROOTS = frozenset(
    {"SPY", "QQQ", "IWM", "DIA", "VIX", "XLB", "XLC", "XLE", "XLF", "XLI", "XLK", "XLP", "XLRE", "XLU", "XLV", "XLY"}
)
SETTLED_AT_OPEN = frozenset({"VIX"})


def eastern(at: datetime) -> datetime:
    """Tell an instant by New York's clock."""
    return at.astimezone(NEW_YORK)


def at_eastern(day: date, clock: time) -> datetime:
    """Tell the instant of a New York wall-clock time, in UTC."""
    return datetime.combine(day, clock, NEW_YORK).astimezone(UTC)


def _nth(year: int, month: int, weekday: int, n: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (n - 1))


def _last_monday_of_may(year: int) -> date:
    last = date(year, 5, 31)
    return last - timedelta(days=last.weekday())


def _easter(year: int) -> date:
    """Source: the anonymous Gregorian computus."""
    a, b, c = year % 19, year // 100, year % 100
    d, e = b // 4, b % 4
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = c // 4, c % 4
    m = (32 + 2 * e + 2 * i - h - k) % 7
    n = (a + 11 * h + 22 * m) // 451
    month, day = divmod(h + m - 7 * n + 114, 31)
    return date(year, month, day + 1)


def _observed(day: date) -> date:
    return day + timedelta(days={5: -1, 6: 1}.get(day.weekday(), 0))


@lru_cache(maxsize=32)
def holidays(year: int) -> frozenset[date]:
    """List the days of a year on which the exchange stays shut (a Saturday's New Year is not made up for)."""
    new_year = date(year, 1, 1)
    days = {
        _nth(year, 1, 0, 3),
        _nth(year, 2, 0, 3),
        _easter(year) - timedelta(days=2),
        _last_monday_of_may(year),
        _observed(date(year, 6, 19)),
        _observed(date(year, 7, 4)),
        _nth(year, 9, 0, 1),
        _nth(year, 11, 3, 4),
        _observed(date(year, 12, 25)),
    }
    if new_year.weekday() != 5:
        days.add(_observed(new_year))
    return frozenset(days)


def is_trading_day(day: date) -> bool:
    """Say whether the exchange opens on a day."""
    return day.weekday() < 5 and day not in holidays(day.year)


def closing_time(day: date) -> time:
    """Tell when trading ends on a trading day: 13:00 on the three half days."""
    halves = {_nth(day.year, 11, 3, 4) + timedelta(days=1), date(day.year, 7, 3), date(day.year, 12, 24)}
    return CLOSES_EARLY if day in halves else CLOSES


def next_trading_day(day: date) -> date:
    """Find the first trading day after a day."""
    day += timedelta(days=1)
    while not is_trading_day(day):
        day += timedelta(days=1)
    return day


def previous_trading_day(day: date) -> date:
    """Find the last trading day before a day."""
    day -= timedelta(days=1)
    while not is_trading_day(day):
        day -= timedelta(days=1)
    return day


def last_session_over(at: datetime) -> date:
    """Find the last trading day whose trading in shares had ended at an instant."""
    day = eastern(at).date()
    if is_trading_day(day) and at >= at_eastern(day, closing_time(day)):
        return day
    return previous_trading_day(day)


def state_at(at: datetime) -> tuple[str, datetime, str]:
    """Tell the session's state, when it changes next, and to what."""
    local = eastern(at)
    day, clock = local.date(), local.time()
    if is_trading_day(day):
        close = closing_time(day)
        for until, state, following in (
            (PREMARKET_OPENS, "closed", "premarket"),
            (OPENS, "premarket", "open"),
            (close, "open", "postmarket"),
            (POSTMARKET_CLOSES, "postmarket", "closed"),
        ):
            if clock < until:
                return state, at_eastern(day, until), following
    return "closed", at_eastern(next_trading_day(day), PREMARKET_OPENS), "premarket"


@lru_cache(maxsize=4096)
def last_trade_at(root: str, expiry: date) -> datetime:
    """Tell when a contract trades for the last time: the session before for what settles at the open."""
    day = previous_trading_day(expiry) if root in SETTLED_AT_OPEN else expiry
    close = at_eastern(day, closing_time(day))
    return close + LATE_CLOSE if root in LATE_ROOTS else close


def is_late_hour(at: datetime) -> bool:
    """Say whether only the options that trade a quarter of an hour longer are open."""
    day = eastern(at).date()
    if not is_trading_day(day):
        return False
    close = at_eastern(day, closing_time(day))
    return close <= at < close + LATE_CLOSE


def _friday_expiry(friday: date) -> date:
    return friday if is_trading_day(friday) else friday - timedelta(days=1)


@lru_cache(maxsize=64)
def expiries(first_day: date) -> tuple[date, ...]:
    """List the expiries on offer from a day on: six weeklies, then the next four monthlies."""
    friday = first_day + timedelta(days=(4 - first_day.weekday()) % 7)
    fridays = [friday + timedelta(days=7 * n) for n in range(WEEKLY_EXPIRIES + 1)]
    weeklies = [day for day in map(_friday_expiry, fridays) if day >= first_day][:WEEKLY_EXPIRIES]
    monthlies: list[date] = []
    year, month = weeklies[-1].year, weeklies[-1].month
    while len(monthlies) < MONTHLY_EXPIRIES:
        third = _friday_expiry(_nth(year, month, 4, 3))
        if third > weeklies[-1]:
            monthlies.append(third)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return tuple(weeklies + monthlies)


def listed_expiries(root: str, at: datetime) -> tuple[date, ...]:
    """List the expiries of a root that still trade at an instant."""
    first = eastern(at).date()
    while not is_trading_day(first) or at >= last_trade_at(root, first):
        first += timedelta(days=1)
    return expiries(first)


def is_monthly(expiry: date) -> bool:
    """Say whether an expiry is the month's standard one."""
    return expiry == _friday_expiry(_nth(expiry.year, expiry.month, 4, 3))
