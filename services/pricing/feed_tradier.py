"""Tradier's market data for those without ORATS: a token of its own, one request per ticker."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

from libs.broker.base import BrokerProvider
from libs.broker.reports import Quote
from libs.common.clock import Clock
from libs.common.errors import InvalidInput
from libs.market.options import OccSymbol
from services.pricing.cycle import Wish
from services.pricing.feed import Feed
from services.pricing.orats import OptionQuote, Rows


class TradierFeed(Feed):
    """Quotes, chains and expirations by a market data token."""

    source = "tradier"

    def __init__(self, broker: BrokerProvider, clock: Clock, *, is_delayed: bool, requests_per_min: int) -> None:
        self._broker, self._clock = broker, clock
        self.is_delayed, self.requests_per_min = is_delayed, requests_per_min

    async def quotes(self, wish: Wish) -> Rows:
        """Quote the wished contracts and their underlying, in one request."""
        symbols = sorted(str(contract) for contract in wish.contracts)
        found = await self._broker.quotes([wish.ticker, *symbols], greeks=True)
        options = [found[symbol] for symbol in symbols if symbol in found]
        return read_quotes(wish.ticker, found.get(wish.ticker), options, self._clock.now())

    async def chain(self, ticker: str, expiry: date) -> Rows:
        """Quote every strike of one expiry, and the underlying."""
        listed = await self._broker.chain(ticker, expiry, greeks=True)
        underlying = await self._broker.quotes([ticker])
        return read_quotes(ticker, underlying.get(ticker), listed.options, self._clock.now())

    async def expirations(self, ticker: str) -> tuple[date, ...]:
        """List the expiries of a ticker over all roots."""
        return await self._broker.expirations(ticker)


def read_quotes(ticker: str, underlying: Quote | None, options: Iterable[Quote], now: datetime) -> Rows:
    """Read Tradier's quotes as rows. Time: `now` stands for a quote that has no time of its own."""
    quotes, skipped = [], 0
    for option in options:
        try:
            contract = OccSymbol.parse(option.symbol)
        except InvalidInput:
            skipped += 1
            continue
        if option.has_market:
            quotes.append(_quote(contract, option, now))
    price = None if underlying is None else underlying.last or underlying.close or underlying.previous_close
    return Rows(ticker=ticker, underlying_price=price, quotes=tuple(quotes), skipped=skipped)


def _quote(contract: OccSymbol, option: Quote, now: datetime) -> OptionQuote:
    greeks = option.greeks
    return OptionQuote(
        contract=contract,
        bid=option.bid or Decimal(0),
        ask=option.ask or Decimal(0),
        delta=None if greeks is None else greeks.delta,
        gamma=None if greeks is None else greeks.gamma,
        theta=None if greeks is None else greeks.theta,
        vega=None if greeks is None else greeks.vega,
        iv=None if greeks is None else greeks.mid_iv or greeks.smv_vol,
        volume=option.volume,
        open_interest=option.open_interest,
        quoted_at=(option.quoted_at or now).astimezone(UTC),
    )
