"""The market clock of a broker: the exchange's for real venues, its own for a simulator, whatever mode it plays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.reports import ClockReport
from libs.common.clock import Clock
from libs.common.errors import AppError
from libs.market.clock import ExchangeClock, MarketClock, ReadingClock

KEEP: Final = timedelta(seconds=2)
"""How long a reading of a simulator's clock is used before it is read again."""

LOOK_AGAIN: Final = timedelta(seconds=60)
"""How often a simulator's clock is looked at while its session is over: it may stand still, be held or be set."""


def clock_from(report: ClockReport, read_at: datetime) -> ReadingClock:
    """Return the clock a reading describes. Time: `read_at` is the real instant of the reading."""
    return ReadingClock(
        market_read=report.market_now,
        read_at=read_at,
        speed=report.speed,
        held=None if report.follows_calendar else report.state,
    )


async def market_clock(broker: BrokerProvider, *, now: datetime) -> MarketClock:
    """Return a venue's clock; a simulator is asked, the others follow the calendar. Raises: UpstreamUnavailable."""
    if not await broker.keeps_own_time():
        return ExchangeClock()
    return clock_from(await broker.clock(), now)


class VenueClocks:
    """The clocks of all venues for one process. A simulator's is kept for a moment, and goes on while it is silent."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._read: dict[BrokerMode, tuple[MarketClock, datetime]] = {}

    def known(self, mode: BrokerMode) -> MarketClock:
        """Return a venue's clock as it was last read, without asking anybody."""
        return self._read[mode][0] if mode in self._read else ExchangeClock()

    async def read(self, broker: BrokerProvider) -> MarketClock:
        """Return the clock of a broker's venue, read again when the last reading is old."""
        now = self._clock.now()
        read_at = self._read[broker.mode][1] if broker.mode in self._read else None
        if read_at is None or now - read_at > KEEP:
            try:
                self._read[broker.mode] = (await market_clock(broker, now=now), now)
            except AppError:
                return self.known(broker.mode)
        return self.known(broker.mode)


def no_later(due_at: datetime | None, clock: MarketClock, now: datetime, *, every: timedelta) -> datetime:
    """Return when to look next: as planned at a real venue, soon at one whose clock may be set or stand still.

    Soon is what is done `every` so often anyway in the session, or `LOOK_AGAIN` where that is seldom.
    """
    soon = now + min(every, LOOK_AGAIN)
    if due_at is None:
        return soon
    return due_at if isinstance(clock, ExchangeClock) else min(due_at, soon)
