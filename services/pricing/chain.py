"""Chains and expiries for the order ticket: from our cache, or one bounded refresh shared by everybody."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import date, datetime, timedelta
from typing import Any, TypeGuard

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import NotFound, UpstreamError, UpstreamUnavailable
from services.pricing import store_chains
from services.pricing.feed import Feed
from services.pricing.orats import OptionQuote, Rows
from services.pricing.settings import Settings

LIST_OF_EXPIRIES = date.min
Document = dict[str, Any]
Cached = tuple[Document, datetime]
"""An answer and when it was made."""


class Chains:
    """Answers from the cache while it is fresh; else refreshes, once at a time per question in this process."""

    def __init__(self, db: Database, feed: Feed, clock: Clock, settings: Settings) -> None:
        self._db, self._feed, self._clock, self._settings = db, feed, clock, settings
        self._running: dict[tuple[str, date], asyncio.Task[Document]] = {}

    async def chain(self, ticker: str, expiry: date) -> Document:
        """Return one expiry's chain. Raises: NotFound, UpstreamUnavailable when there is nothing to show."""
        keep_s = self._settings.chain_keep_s
        return await self._answer(ticker, expiry, keep_s, lambda: self._fetch_chain(ticker, expiry))

    async def expirations(self, ticker: str) -> Document:
        """Return a ticker's expiries. Raises: NotFound, UpstreamUnavailable when there is nothing to show."""
        keep_s = self._settings.expirations_keep_s
        return await self._answer(ticker, LIST_OF_EXPIRIES, keep_s, lambda: self._fetch_expirations(ticker))

    async def _answer(
        self, ticker: str, expiry: date, keep_s: float, fetch: Callable[[], Awaitable[Document]]
    ) -> Document:
        cached = await self._cached(ticker, expiry)
        if self._is_fresh(cached, keep_s):
            return cached[0]
        try:
            async with asyncio.timeout(self._settings.chain_deadline_s):
                # Shielded: whoever gave up waiting must not stop the refresh of the others.
                return await asyncio.shield(self._refresh(ticker, expiry, keep_s, fetch))
        except (TimeoutError, UpstreamError) as error:
            if cached is not None:
                return cached[0]
            detail = error.detail if isinstance(error, UpstreamError) else "the market data vendor is slow"
            raise UpstreamUnavailable(detail) from error

    async def _cached(self, ticker: str, expiry: date) -> Cached | None:
        async with self._db.for_worker() as unit:
            return await store_chains.cached(unit, ticker, expiry)

    def _is_fresh(self, cached: Cached | None, keep_s: float) -> TypeGuard[Cached]:
        return cached is not None and self._clock.now() - cached[1] < timedelta(seconds=keep_s)

    def _refresh(
        self, ticker: str, expiry: date, keep_s: float, fetch: Callable[[], Awaitable[Document]]
    ) -> asyncio.Task[Document]:
        key = (ticker, expiry)
        running = self._running.get(key)
        if running is None:
            # house: no-bare-task - held in the dict, shared by all who wait, bounded by the feed's own deadline
            running = asyncio.create_task(self._fetch_and_keep(ticker, expiry, keep_s, fetch))
            self._running[key] = running
            running.add_done_callback(lambda _: self._running.pop(key, None))
        return running

    async def _fetch_and_keep(
        self, ticker: str, expiry: date, keep_s: float, fetch: Callable[[], Awaitable[Document]]
    ) -> Document:
        # Whoever looked just before the last refresh ended comes here just after it.
        cached = await self._cached(ticker, expiry)
        if self._is_fresh(cached, keep_s):
            return cached[0]
        document = await fetch()
        async with self._db.for_worker() as unit:
            await store_chains.keep(unit, ticker, expiry, document, self._clock.now())
        return document

    async def _fetch_chain(self, ticker: str, expiry: date) -> Document:
        rows = await self._feed.chain(ticker, expiry)
        if not rows.quotes:
            raise NotFound(f"no options of {ticker} expire on {expiry}")
        return chain_document(ticker, expiry, rows, self._clock.now(), self._feed.source)

    async def _fetch_expirations(self, ticker: str) -> Document:
        dates = await self._feed.expirations(ticker)
        if not dates:
            raise NotFound(f"no options are listed on {ticker}")
        listed = [expiry.isoformat() for expiry in dates]
        return {"ticker": ticker, "expirations": listed, "as_of": self._clock.now().isoformat()}


def chain_document(ticker: str, expiry: date, rows: Rows, now: datetime, source: str) -> Document:
    """Write a chain as it is answered, calls and puts by strike."""
    quoted_at = max((quote.quoted_at for quote in rows.quotes), default=now)
    ordered = sorted(rows.quotes, key=lambda quote: (quote.contract.strike, quote.contract.option_type))
    return {
        "ticker": ticker,
        "expiry": expiry.isoformat(),
        "underlying_price": None if rows.underlying_price is None else format(rows.underlying_price, "f"),
        "as_of": quoted_at.isoformat(),
        "source": source,
        "options": [_line(quote) for quote in ordered],
    }


def _line(quote: OptionQuote) -> Document:
    return {
        "occ_symbol": str(quote.contract),
        "option_type": quote.contract.option_type.value,
        "strike": format(quote.contract.strike, "f"),
        "bid": format(quote.bid, "f"),
        "ask": format(quote.ask, "f"),
        "mid": format((quote.bid + quote.ask) / 2, "f"),
        "delta": quote.delta,
        "gamma": quote.gamma,
        "theta": quote.theta,
        "vega": quote.vega,
        "iv": quote.iv,
        "volume": quote.volume,
        "open_interest": quote.open_interest,
    }
