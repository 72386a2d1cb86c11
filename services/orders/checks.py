"""What can be known of a trade before anything is stored: its contract, prices, session, and what the account can pay.

All of it is asked at the same time. Quote and session must come; what the account holds, has working and owns may be
missing at a slow broker, and is then not held against the trade; for a placement the broker's preview must come.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Final

from libs.broker.base import BrokerProvider
from libs.broker.orders import Duration as BrokerDuration
from libs.broker.orders import OptionOrder, OrderReport, OrderSide, OrderType
from libs.broker.reports import BalanceReport, Quote
from libs.common.errors import AppError, Expired, InvalidInput, MarketClosed
from libs.common.ids import new_tag
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.safety import CheckTrade
from libs.common.messages.vocabulary import BrokerMode, EntryType
from libs.market import calendar, products
from libs.market.clock import MarketClock
from libs.market.options import OccSymbol
from services.orders import brackets, limits, sessions, sights, talk
from services.orders.brackets import Prices
from services.orders.contract import holding_of
from services.orders.deps import Deps
from services.orders.evidence import Baseline
from services.orders.limits import Freshness
from services.orders.preferences import TradingSettings

Wish = PlaceTrade | CheckTrade

DELAY: Final = timedelta(minutes=15)
"""By so much the sandbox's quotes are late by nature. Source: order path, §8."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A trade that was checked against a fresh quote. Time: `seen_s` monotonic, of the broker's answers."""

    contract: OccSymbol
    quote: Quote
    prices: Prices
    multiplier: int
    minutes_to_last_trade: float
    quote_age_s: float | None
    base: Baseline
    balances: BalanceReport | None
    live_there: tuple[str, ...]
    """Orders that work in the contract at the broker, whoever's."""
    fresh: Freshness
    seen_s: float
    objection: AppError | None
    """What the broker's preview has against the order."""

    @property
    def day(self) -> str:
        """Name the venue's New York day."""
        return calendar.new_york_date(self.base.venue_at).isoformat()

    def wanted(self, wish: Wish) -> limits.Wanted:
        """Return the trade as the limits see it."""
        balances = self.balances
        size = self.quote.contract_size
        return limits.Wanted(
            qty=wish.qty,
            multiplier=self.multiplier,
            entry_price=self.prices.reference,
            stop=self.prices.sl,
            bid=self.quote.bid or Decimal(0),
            ask=self.quote.ask or Decimal(0),
            is_limit=self.prices.limit is not None,
            quote_age_s=self.quote_age_s,
            minutes_to_last_trade=self.minutes_to_last_trade,
            is_am_settled=_is_am_settled(self.contract),
            is_standard=products.is_standard_contract(self.contract.root, wish.ticker.upper(), size),
            equity=None if balances is None else balances.total_equity_usd,
            buying_power=None if balances is None else balances.option_buying_power_usd,
        )

    def still_good(self, deps: Deps) -> None:
        """Refuse what the broker said too long ago, or was against. Raises: Expired, and as the preview did."""
        if self.objection is not None:
            raise self.objection
        if deps.clock.monotonic() - self.seen_s > deps.settings.order_waits.preview_s:
            raise Expired("the broker's preview was too old when the order could be stored; nothing was done")


async def terms_of(
    wish: Wish, settings: TradingSettings, broker: BrokerProvider, deps: Deps, *, previews: bool
) -> Terms:
    """Check everything that can be refused before anything is stored.

    Raises: InvalidInput, MarketClosed. With `previews` the broker is asked what it thinks of the order.
    """
    brackets.check_qty(wish.qty)
    candidates = series_of(wish)
    symbols = (wish.ticker, *(str(contract) for contract in candidates))
    now, within_s, seen_s = deps.clock.now(), deps.settings.order_waits.base_s, deps.clock.monotonic()
    early = candidates[0] if previews and len(candidates) == 1 else None
    (quotes, clock), positions, balances, orders, preview = await asyncio.gather(
        talk.market_of(broker, symbols, now, greeks=True),
        sights.positions_in_time(broker, within_s),
        sights.in_time(broker.balances(), within_s),
        sights.in_time(broker.orders(), within_s),
        _previewed(wish, early, broker),
    )
    contract = _listed(wish, candidates, quotes, settings)
    quote = quotes[str(contract)]
    market_at = clock.market_at(deps.clock.now())
    left_min = (products.last_trade_at(contract) - market_at).total_seconds() / 60
    if left_min <= 0:
        raise InvalidInput(f"{contract} has expired; it traded last {products.last_trade_at(contract):%Y-%m-%d %H:%MZ}")
    if not sessions.is_open(deps, clock, BrokerMode(broker.mode), contract):
        raise MarketClosed(f"{wish.ticker} options do not trade now")
    prices = brackets.entry_prices(wish.entry, wish.sl_price, wish.tp_price, contract, quote)
    if previews and early is None:
        preview = await _previewed(wish, contract, broker)
    delay = DELAY if quote.is_delayed else timedelta(0)
    age = None if quote.quoted_at is None else max(market_at - quote.quoted_at - delay, timedelta(0)).total_seconds()
    holding = None if positions is None else holding_of(positions, str(contract))
    return Terms(
        contract,
        quote,
        prices,
        quote.contract_size or products.STANDARD_SIZE,
        left_min,
        age,
        Baseline(venue_at=clock.market_at(now), holding=holding),
        balances,
        _live_in(contract, orders or ()),
        _freshness(clock, deps, delay),
        seen_s,
        preview,
    )


def _freshness(clock: MarketClock, deps: Deps, delay: timedelta) -> Freshness:
    """Say until when marks count: so many real seconds, in the venue's own time."""
    now = deps.clock.now()
    oldest = clock.market_at(now + timedelta(seconds=deps.settings.order_waits.mark_s)) - clock.market_at(now)
    return Freshness(clock.market_at(now), oldest + delay)


def _live_in(contract: OccSymbol, orders: tuple[OrderReport, ...]) -> tuple[str, ...]:
    flats = (flat for top in orders for flat in top.flat())
    return tuple(flat.id for flat in flats if flat.occ_symbol == str(contract) and not flat.is_terminal)


async def _previewed(wish: Wish, contract: OccSymbol | None, broker: BrokerProvider) -> AppError | None:
    """Ask the broker what it thinks of the entry; returns what it has against it."""
    if contract is None:
        return None
    try:
        limit = brackets.entry_limit(wish.entry, contract)
        order = OptionOrder(
            occ_symbol=str(contract),
            underlying=products.underlying_of(contract.root),
            side=OrderSide.BUY_TO_OPEN,
            qty=wish.qty,
            type=OrderType.MARKET if wish.entry.type is EntryType.MARKET else OrderType.LIMIT,
            duration=BrokerDuration(wish.entry.duration),
            tag=new_tag(),
            price=limit,
        )
        await broker.preview(order)
    except AppError as error:
        return error
    return None


def series_of(wish: Wish) -> list[OccSymbol]:
    """List the series a ticker's contract may be in: its own root, then the weeklies' of an index."""
    ticker = wish.ticker.upper()
    plain = ticker.replace("/", "").replace(".", "")
    roots = [plain, *(root for root in (f"{plain}W", f"{plain}P") if products.underlying_of(root) == ticker)]
    return [OccSymbol(root, wish.expiry, wish.option_type, wish.strike) for root in roots]


def _listed(wish: Wish, candidates: list[OccSymbol], quotes: dict[str, Quote], settings: TradingSettings) -> OccSymbol:
    """Choose the listed series, one that the settings allow where there is a choice. Raises: InvalidInput."""
    ticker = wish.ticker.upper()
    if ticker not in quotes and wish.ticker not in quotes and not products.is_index(candidates[0].root):
        raise InvalidInput(f"unknown ticker {ticker}")
    listed = [contract for contract in candidates if str(contract) in quotes]
    if not listed:
        words = f"{ticker} {wish.expiry} {wish.strike} {wish.option_type}"
        raise InvalidInput(f"{words} is not listed: no such strike or expiry")
    return min(listed, key=lambda contract: _is_am_settled(contract) and not settings.allow_am_settled)


def _is_am_settled(contract: OccSymbol) -> bool:
    return products.settlement(contract).time is products.SettlementTime.AM
