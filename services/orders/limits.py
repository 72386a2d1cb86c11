"""What an account may still take on: each refusal names the limit, its value and the trade's.

1. Risk of a trade is (entry − stop) × quantity × multiplier; without a working stop it is the full premium.
2. Working and unknown entries count in full: in heat, and as lost already in the day's loss until their result is seen.
3. A stale mark counts as the stop, or as nothing left where no stop works.
4. Limits block entries only, never an exit.
5. What a check tells of a trade beforehand is worked out by the same lines that refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from libs.common.errors import LimitExceeded
from libs.common.messages.safety import LimitUse
from libs.market import money
from services.orders.preferences import TradingSettings

ZERO = Decimal(0)


@dataclass(frozen=True, slots=True)
class Freshness:
    """Until when a mark counts. Time: the venue's own."""

    at: datetime
    oldest: timedelta

    def holds(self, seen_at: datetime | None) -> bool:
        """Say whether what was seen then is still true enough."""
        return seen_at is not None and self.at - seen_at <= self.oldest


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRisk:
    """An open trade as the limits see it. `stop` is None where none protects; `qty` of an entry is what was asked."""

    qty: int
    multiplier: int
    entry_price: Decimal
    stop: Decimal | None
    is_unknown: bool = False
    is_pending: bool = False
    """Its entry is not over."""
    open_pnl: Decimal | None = None
    """By its last mark; None: never marked."""
    pnl_before: Decimal = ZERO
    """Its open P&L when this day began."""
    marked_at: datetime | None = None
    """Of its last mark, or of its fill."""

    @property
    def risk_usd(self) -> Decimal:
        """Return what may be lost."""
        return risk_usd(self.qty, self.multiplier, self.entry_price, self.working_stop)

    @property
    def working_stop(self) -> Decimal | None:
        """Return the stop that can be relied on."""
        return None if self.is_unknown else self.stop

    def change_usd(self, fresh: Freshness) -> Decimal:
        """Return how the day has changed its open P&L, by the worst where nobody knows."""
        if self.is_pending:
            return -self.risk_usd
        if fresh.holds(self.marked_at):
            return (self.open_pnl or ZERO) - self.pnl_before
        worst = ((self.working_stop or ZERO) - self.entry_price) * self.qty * self.multiplier
        return money.cents(worst) - self.pnl_before


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """An account's open trades, and what it realized today (New York)."""

    open: tuple[OpenRisk, ...] = ()
    realized_today: Decimal = ZERO
    fresh: Freshness
    short_in: str | None = None
    """The contract the account is short in by orders of ours, while it is."""

    @property
    def heat_usd(self) -> Decimal:
        """Return what all open trades may lose."""
        return sum((trade.risk_usd for trade in self.open), ZERO)

    @property
    def loss_usd(self) -> Decimal:
        """Return what the day has lost so far; 0 while it has gained."""
        change = sum((trade.change_usd(self.fresh) for trade in self.open), ZERO)
        return max(-(self.realized_today + change), ZERO)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The trade that is asked for. `quote_age_s` is None where the venue did not say when it quoted.

    `equity` and `buying_power` are the broker's, None where it did not say in time.
    """

    qty: int
    multiplier: int
    entry_price: Decimal
    stop: Decimal | None
    bid: Decimal
    ask: Decimal
    is_limit: bool
    quote_age_s: float | None
    minutes_to_last_trade: float
    is_am_settled: bool = False
    is_standard: bool = True
    equity: Decimal | None = None
    buying_power: Decimal | None = None

    @property
    def risk_usd(self) -> Decimal:
        """Return what may be lost."""
        return risk_usd(self.qty, self.multiplier, self.entry_price, self.stop)

    @property
    def premium_usd(self) -> Decimal:
        """Return what it costs."""
        return money.premium_usd(self.entry_price, self.qty, self.multiplier)


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """One limit and the trade, in words."""

    limit: str
    value: str | None
    used: str | None = None
    would_be: str | None
    exceeded: bool
    worded: str | None = None
    """The limit's value in a sentence, where it is more than a number."""
    found: str | None = None
    """The trade's."""

    def shown(self) -> LimitUse:
        """Return what is told of it."""
        return LimitUse(
            limit=self.limit, value=self.value, used=self.used, would_be=self.would_be, exceeded=self.exceeded
        )

    def refusal(self) -> LimitExceeded:
        """Return the error that names it."""
        value, found = self.worded or str(self.value), self.found or str(self.would_be)
        words = f"{self.limit} is {value}; this would be {found}"
        return LimitExceeded(words, limit=self.limit, value=value, found=found)


def risk_usd(qty: int, multiplier: int, entry_price: Decimal, stop: Decimal | None) -> Decimal:
    """Return what may be lost. Units: USD."""
    return money.cents(max(entry_price - (stop or ZERO), ZERO) * qty * multiplier)


def check(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> None:
    """Refuse what passes a limit. Raises: LimitExceeded."""
    for use in uses(settings, exposure, wanted):
        if use.exceeded:
            raise use.refusal()


def uses(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> Iterator[Use]:
    """Tell what a trade would use of each limit, the one that refuses first before the others."""
    yield from _of_contract(settings, exposure, wanted)
    yield from _of_size(settings, exposure, wanted)
    yield from _of_market(settings, wanted)
    yield from _of_money(settings, exposure, wanted)


def _of_contract(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> Iterator[Use]:
    if exposure.short_in is not None:
        found = f"an entry while the account is short in {exposure.short_in}"
        yield Use(limit="short_position", value="0 contracts", would_be=None, exceeded=True, found=found)
    if wanted.is_am_settled and not settings.allow_am_settled:
        found = "a contract that settles at the open"
        yield Use(limit="allow_am_settled", value="off", would_be="on", exceeded=True, found=found)
    if not wanted.is_standard and not settings.allow_non_standard:
        found = f"a contract of {wanted.multiplier}, not a standard one of 100"
        yield Use(limit="allow_non_standard", value="off", would_be="on", exceeded=True, found=found)


def _of_size(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> Iterator[Use]:
    count, most, contracts = len(exposure.open), settings.max_positions, settings.max_contracts
    yield Use(
        limit="max_positions",
        value=str(most),
        used=str(count),
        would_be=str(count + 1),
        exceeded=count + 1 > most,
        found=f"{count + 1} open trades",
    )
    yield Use(
        limit="max_contracts",
        value=_or_none(contracts),
        would_be=str(wanted.qty),
        exceeded=contracts is not None and wanted.qty > contracts,
        found=f"{wanted.qty} contracts",
    )
    premium, dearest = wanted.premium_usd, settings.max_premium
    yield Use(
        limit="max_premium",
        value=_or_none(dearest),
        would_be=str(premium),
        exceeded=dearest is not None and premium > dearest,
    )


def _of_market(settings: TradingSettings, wanted: Wanted) -> Iterator[Use]:
    minutes, left = settings.no_entry_before_expiry_min, max(wanted.minutes_to_last_trade, 0)
    yield Use(
        limit="no_entry_before_expiry_min",
        value=str(minutes),
        would_be=f"{left:.0f}",
        exceeded=left < minutes,
        found=f"{left:.0f} min to the last trade",
    )
    age, oldest = wanted.quote_age_s, settings.max_quote_age_s
    yield Use(
        limit="max_quote_age_s",
        value=_or_none(oldest),
        would_be=None if age is None else f"{age:.0f}",
        exceeded=oldest is not None and (age is None or age > oldest),
        found="a quote of unknown age" if age is None else f"{age:.0f} s",
    )
    middle = money.mid(wanted.bid, wanted.ask)
    spread = money.cents((wanted.ask - wanted.bid) / middle * 100) if middle else None
    away = money.cents((wanted.entry_price - middle) / middle * 100) if middle else None
    yield _of_quote("max_spread_pct", settings.max_spread_pct, spread, "%")
    if wanted.is_limit:
        yield _of_quote("collar_pct", settings.collar_pct, away, f"% above the middle {middle}")


def _of_quote(limit: str, most: Decimal | None, found: Decimal | None, unit: str) -> Use:
    """Compare with what the quote says; one without two sides says nothing, and passes no limit."""
    words = "a quote without two sides" if found is None else f"{found} {unit}"
    exceeded = most is not None and (found is None or found > most)
    return Use(limit=limit, value=_or_none(most), would_be=_or_none(found), exceeded=exceeded, found=words)


def _of_money(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> Iterator[Use]:
    risk, power = wanted.risk_usd, wanted.buying_power
    yield Use(
        limit="buying_power",
        value=_or_none(power),
        would_be=str(wanted.premium_usd),
        exceeded=power is not None and wanted.premium_usd > power,
    )
    balance = settings.account_balance if wanted.equity is None else min(settings.account_balance, wanted.equity)
    most, used = money.cents(balance * settings.heat_limit_pct / 100), exposure.heat_usd
    yield Use(
        limit="heat_limit_pct",
        value=str(settings.heat_limit_pct),
        used=_share(used, balance),
        would_be=_share(used + risk, balance),
        exceeded=used + risk > most,
        worded=f"{settings.heat_limit_pct} % = {most}",
        found=f"{used + risk} with this trade's {risk}",
    )
    lost = exposure.loss_usd
    yield Use(
        limit="daily_loss_limit",
        value=str(settings.daily_loss_limit),
        used=str(lost),
        would_be=str(lost + risk),
        exceeded=lost + risk > settings.daily_loss_limit,
        found=f"{lost + risk} with this trade's risk {risk}",
    )


def _share(part: Decimal, whole: Decimal) -> str | None:
    return str(money.cents(part / whole * 100)) if whole > 0 else None


def _or_none(value: Decimal | int | None) -> str | None:
    return None if value is None else str(value)
