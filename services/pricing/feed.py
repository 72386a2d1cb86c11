"""What pricing asks of a market data vendor, whichever it is."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from datetime import date

import structlog

from libs.common.errors import UpstreamError
from services.pricing.cycle import Wish
from services.pricing.orats import Rows

log = structlog.get_logger(__name__)


class Feed(ABC):
    """One vendor. Raises: UpstreamError from every question."""

    source: str
    """The vendor's name, as stored and shown."""
    is_delayed: bool = False
    requests_per_min: int

    @abstractmethod
    async def quotes(self, wish: Wish) -> Rows:
        """Quote the wished contracts of one ticker, in one request."""

    @abstractmethod
    async def chain(self, ticker: str, expiry: date) -> Rows:
        """Quote every strike of one expiry."""

    @abstractmethod
    async def expirations(self, ticker: str) -> tuple[date, ...]:
        """List the expiries of a ticker, soonest first; none for one that the vendor does not know."""

    async def all_quotes(self, wishes: Iterable[Wish]) -> list[Rows]:
        """Quote many tickers at once; one that fails is left out and logged."""
        answers = await asyncio.gather(*(self._quotes_or_none(wish) for wish in wishes))
        return [rows for rows in answers if rows is not None]

    async def _quotes_or_none(self, wish: Wish) -> Rows | None:
        try:
            return await self.quotes(wish)
        except UpstreamError as error:
            log.warning("quotes_missing", ticker=wish.ticker, reason=error.detail)
            return None
