"""When the next snapshot is due, and when it is a bookend of the session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.common.clock import ManualClock
from libs.market.clock import Bookend, ExchangeClock, ReadingClock
from libs.market.session import MarketState
from services.pricing.cycle import wishes
from services.pricing.snapshots import next_cycle

HELD = wishes([("AAPL", "AAPL261218C00150000")], datetime(2026, 11, 20, tzinfo=UTC).date())
EARLY = datetime(2026, 11, 20, 13, 0, tzinfo=UTC)
BEFORE = datetime(2026, 11, 20, 14, 25, tzinfo=UTC)
OPENS = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
AFTER = datetime(2026, 11, 20, 21, 5, tzinfo=UTC)
MONDAY = datetime(2026, 11, 23, 14, 25, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def deps(now: datetime, *, force_open: bool = False) -> Any:
    settings = SimpleNamespace(snapshot_s=40.0, force_market_open=force_open)
    return cast("Any", SimpleNamespace(clock=ManualClock(now), settings=settings))


@pytest.mark.parametrize(
    ("now", "after", "expected"),
    [
        (EARLY, EARLY, (BEFORE, Bookend.PRE_MARKET)),
        (BEFORE + SECOND, BEFORE, (OPENS, None)),
        (BEFORE - SECOND, BEFORE, (OPENS, None)),
        (OPENS, OPENS, (OPENS + 40 * SECOND, None)),
        (AFTER - 20 * SECOND, AFTER - 20 * SECOND, (AFTER, Bookend.POST_MARKET)),
        (AFTER + SECOND, AFTER, (MONDAY, Bookend.PRE_MARKET)),
        (AFTER - SECOND, AFTER, (MONDAY, Bookend.PRE_MARKET)),
    ],
    ids=["morning", "after-bookend", "clock-behind", "open", "closing", "evening", "evening-clock-behind"],
)
def test_cycles_follow_the_exchange_and_its_bookends_come_once(
    now: datetime, after: datetime, expected: tuple[datetime, Bookend | None]
) -> None:
    assert next_cycle(ExchangeClock(), HELD, deps(now), after=after) == expected


def test_a_bundled_market_that_is_held_open_has_no_bookends() -> None:
    clock = ReadingClock(market_read=BEFORE - SECOND, read_at=EARLY, held=MarketState.OPEN)
    assert next_cycle(clock, HELD, deps(EARLY), after=EARLY) == (EARLY + 40 * SECOND, None)


def test_the_override_quotes_at_night_and_keeps_the_bookends() -> None:
    night = AFTER + timedelta(hours=5)
    assert next_cycle(ExchangeClock(), HELD, deps(night, force_open=True), after=night) == (night + 40 * SECOND, None)
    nearly = BEFORE - 10 * SECOND
    assert next_cycle(ExchangeClock(), HELD, deps(nearly, force_open=True), after=nearly)[1] is Bookend.PRE_MARKET
