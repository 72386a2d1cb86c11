"""The session that pricing follows: the bundled market's clock where it runs, else the exchange calendar."""

from __future__ import annotations

from datetime import timedelta

from libs.broker.base import BrokerProvider
from libs.broker.venue_clock import market_clock
from libs.common.clock import Clock
from libs.common.errors import AppError
from libs.market.clock import ExchangeClock, MarketClock

KEEP = timedelta(seconds=2)


class Venue:
    """A market clock that is read again when it is older than two seconds, and goes on while it cannot be."""

    def __init__(self, clock: Clock, broker: BrokerProvider | None) -> None:
        """Follow `broker`'s clock, or the calendar without one."""
        self._clock, self._broker = clock, broker
        self._known: MarketClock = ExchangeClock()
        self._read_at = clock.now() - 2 * KEEP

    async def market_clock(self) -> MarketClock:
        """Return the clock."""
        now = self._clock.now()
        if self._broker is not None and now - self._read_at > KEEP:
            try:
                self._known = await market_clock(self._broker, now=now)
                self._read_at = now
            except AppError:
                return self._known
        return self._known
