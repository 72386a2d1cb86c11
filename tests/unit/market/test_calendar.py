"""Trading days and hours."""

from datetime import UTC, date, datetime, timedelta

import pytest

from libs.common.errors import InvalidInput
from libs.market import calendar


@pytest.mark.parametrize(
    ("day", "opens"),
    [
        (date(2026, 11, 26), False),  # Thanksgiving
        (date(2026, 11, 27), True),
        (date(2026, 7, 3), False),  # Independence Day, observed
        (date(2025, 1, 9), False),  # day of mourning
        (date(2026, 4, 3), False),  # Good Friday
        (date(2021, 12, 31), True),  # New Year's Day on a Saturday is not moved back
        (date(2026, 11, 21), False),
        (date(2026, 11, 23), True),
    ],
)
def test_the_exchange_opens_on_its_days(day: date, opens: bool) -> None:
    assert calendar.is_trading_day(day) is opens


@pytest.mark.parametrize("day", [calendar.calendar_starts_on, calendar.calendar_ends_on])
def test_a_date_outside_the_table_is_an_error_not_a_guess(day: date) -> None:
    calendar.is_trading_day(day)
    with pytest.raises(InvalidInput):
        calendar.is_trading_day(day + timedelta(days=1 if day == calendar.calendar_ends_on else -1))


def test_a_session_keeps_its_new_york_hours_over_the_clock_change() -> None:
    winter, summer = calendar.session(date(2026, 3, 6)), calendar.session(date(2026, 3, 9))
    assert winter.opens_at == datetime(2026, 3, 6, 14, 30, tzinfo=UTC)
    assert summer.opens_at == datetime(2026, 3, 9, 13, 30, tzinfo=UTC)
    assert summer.closes_at == datetime(2026, 3, 9, 20, 0, tzinfo=UTC)


def test_the_day_after_thanksgiving_closes_at_one() -> None:
    black_friday = calendar.session(date(2026, 11, 27))
    assert black_friday.is_half_day
    assert black_friday.closes_at == datetime(2026, 11, 27, 18, 0, tzinfo=UTC)


def test_a_day_without_trading_has_no_session() -> None:
    with pytest.raises(InvalidInput, match="not a trading day"):
        calendar.session(date(2026, 11, 26))


def test_neighbouring_sessions_skip_weekends_and_holidays() -> None:
    assert calendar.next_session(date(2026, 11, 25)).session_date == date(2026, 11, 27)
    assert calendar.previous_session(date(2026, 11, 30)).session_date == date(2026, 11, 27)
    assert calendar.session_on_or_after(date(2026, 11, 27)).session_date == date(2026, 11, 27)
    assert calendar.session_on_or_before(date(2026, 11, 26)).session_date == date(2026, 11, 25)


def test_every_year_has_as_many_sessions_as_an_exchange_year() -> None:
    for year in range(2015, 2033):
        first = date(year, 1, 1)
        days = [first + timedelta(days=n) for n in range(366)]
        assert 249 <= sum(calendar.is_trading_day(day) for day in days if day.year == year) <= 253


def test_health_warns_a_year_before_the_table_ends() -> None:
    last = calendar.calendar_ends_on
    assert calendar.calendar_ends_soon(last - timedelta(days=365))
    assert not calendar.calendar_ends_soon(last - timedelta(days=366))


def test_the_new_york_date_of_a_late_utc_hour_is_the_day_before() -> None:
    assert calendar.new_york_date(datetime(2026, 11, 21, 4, 59, tzinfo=UTC)) == date(2026, 11, 20)
    assert calendar.new_york_date(datetime(2026, 11, 21, 5, 0, tzinfo=UTC)) == date(2026, 11, 21)
