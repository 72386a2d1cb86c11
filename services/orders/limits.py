"""What an account may still take on: each refusal names the limit, its value and the trade's.

1. Risk of a trade is (entry − stop) × quantity × multiplier; without a working stop it is the full premium.
2. Working and unknown entries count in full.
3. Limits block entries only, never an exit.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from libs.common.errors import LimitExceeded
from libs.market import money
from services.orders.preferences import TradingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRisk:
    """An open trade as the limits see it. `stop` is None where none protects."""

    qty: int
    multiplier: int
    entry_price: Decimal
    stop: Decimal | None
    is_unknown: bool = False
    change_today: Decimal = Decimal(0)

    @property
    def risk_usd(self) -> Decimal:
        """Return what may be lost."""
        return risk_usd(self.qty, self.multiplier, self.entry_price, None if self.is_unknown else self.stop)


@dataclass(frozen=True, slots=True)
class Exposure:
    """An account's open trades, and what it realized today (New York)."""

    open: tuple[OpenRisk, ...]
    realized_today: Decimal
    short_in: str | None = None
    """The contract the account is short in by orders of ours, while it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The trade that is asked for. `quote_age_s` is None where the venue did not say when it quoted."""

    qty: int
    multiplier: int
    entry_price: Decimal
    stop: Decimal | None
    bid: Decimal
    ask: Decimal
    is_limit: bool
    quote_age_s: float | None
    minutes_to_last_trade: float


def risk_usd(qty: int, multiplier: int, entry_price: Decimal, stop: Decimal | None) -> Decimal:
    """Return what may be lost. Units: USD."""
    return money.cents(max(entry_price - (stop or Decimal(0)), Decimal(0)) * qty * multiplier)


def check(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> None:
    """Refuse what passes a limit. Raises: LimitExceeded."""
    if exposure.short_in is not None:
        raise _exceeded("short_position", "0 contracts", f"an entry while the account is short in {exposure.short_in}")
    _check_size(settings, exposure, wanted)
    _check_market(settings, wanted)
    risk = risk_usd(wanted.qty, wanted.multiplier, wanted.entry_price, wanted.stop)
    heat = sum((trade.risk_usd for trade in exposure.open), Decimal(0)) + risk
    most = money.cents(settings.account_balance * settings.heat_limit_pct / 100)
    if heat > most:
        raise _exceeded("heat_limit_pct", f"{settings.heat_limit_pct} % = {most}", f"{heat} with this trade's {risk}")
    change = sum((trade.change_today for trade in exposure.open), Decimal(0))
    loss = max(-(exposure.realized_today + change), Decimal(0)) + risk
    if loss > settings.daily_loss_limit:
        raise _exceeded("daily_loss_limit", str(settings.daily_loss_limit), f"{loss} with this trade's risk {risk}")


def _check_size(settings: TradingSettings, exposure: Exposure, wanted: Wanted) -> None:
    premium = money.premium_usd(wanted.entry_price, wanted.qty, wanted.multiplier)
    if len(exposure.open) >= settings.max_positions:
        raise _exceeded("max_positions", str(settings.max_positions), f"{len(exposure.open) + 1} open trades")
    if settings.max_contracts is not None and wanted.qty > settings.max_contracts:
        raise _exceeded("max_contracts", str(settings.max_contracts), f"{wanted.qty} contracts")
    if settings.max_premium is not None and premium > settings.max_premium:
        raise _exceeded("max_premium", str(settings.max_premium), str(premium))


def _check_market(settings: TradingSettings, wanted: Wanted) -> None:
    minutes = settings.no_entry_before_expiry_min
    if wanted.minutes_to_last_trade < minutes:
        left = f"{max(wanted.minutes_to_last_trade, 0):.0f} min to the last trade"
        raise _exceeded("no_entry_before_expiry_min", str(minutes), left)
    age, oldest = wanted.quote_age_s, settings.max_quote_age_s
    if oldest is not None and (age is None or age > oldest):
        raise _exceeded("max_quote_age_s", str(oldest), "a quote of unknown age" if age is None else f"{age:.0f} s")
    middle = money.mid(wanted.bid, wanted.ask)
    if middle is None or middle <= 0:
        return
    spread = money.cents((wanted.ask - wanted.bid) / middle * 100)
    if settings.max_spread_pct is not None and spread > settings.max_spread_pct:
        raise _exceeded("max_spread_pct", str(settings.max_spread_pct), f"{spread} %")
    away = money.cents((wanted.entry_price - middle) / middle * 100)
    if settings.collar_pct is not None and wanted.is_limit and away > settings.collar_pct:
        raise _exceeded("collar_pct", str(settings.collar_pct), f"{away} % above the middle {middle}")


def _exceeded(limit: str, value: str, found: str) -> LimitExceeded:
    return LimitExceeded(f"{limit} is {value}; this would be {found}", limit=limit, value=value, found=found)
