"""The session that pricing follows: the bundled market's clock where it runs, else the exchange calendar."""

from __future__ import annotations

from libs.broker.base import BrokerProvider
from libs.broker.venue_clock import VenueClocks
from libs.common.clock import Clock
from libs.market.clock import ExchangeClock, MarketClock


class Venue:
    """A market clock that is read again when it is old, and goes on while it cannot be."""

    def __init__(self, clock: Clock, broker: BrokerProvider | None) -> None:
        """Follow `broker`'s clock, or the calendar without one."""
        self._broker = broker
        self._clocks = VenueClocks(clock)

    async def market_clock(self) -> MarketClock:
        """Return the clock."""
        return ExchangeClock() if self._broker is None else await self._clocks.read(self._broker)
