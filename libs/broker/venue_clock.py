"""The market clock of a broker: the exchange's for real venues, the simulator's own for PAPER."""

from __future__ import annotations

from datetime import datetime

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.reports import ClockReport
from libs.market.clock import ExchangeClock, MarketClock, ReadingClock


def clock_from(report: ClockReport, read_at: datetime) -> ReadingClock:
    """Return the clock a reading describes. Time: `read_at` is the real instant of the reading."""
    return ReadingClock(
        market_read=report.market_now,
        read_at=read_at,
        speed=report.speed,
        held=None if report.follows_calendar else report.state,
    )


async def market_clock(broker: BrokerProvider, *, now: datetime) -> MarketClock:
    """Return a venue's clock; PAPER is asked, the others follow the calendar. Raises: UpstreamUnavailable."""
    if broker.mode is not BrokerMode.PAPER:
        return ExchangeClock()
    return clock_from(await broker.clock(), now)
