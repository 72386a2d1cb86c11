"""What a broker reports besides orders: holdings, money, quotes, its clock and whose token it is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from libs.market.session import MarketState


@dataclass(frozen=True, slots=True, kw_only=True)
class PositionReport:
    """One holding. Contracts, or shares, which may be fractional; negative is short."""

    symbol: str
    qty: Decimal
    cost_basis_usd: Decimal
    """The whole position's cost, multiplier included."""
    acquired_at: datetime | None = None
    id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastTrade:
    """One execution of an earlier day as the account's history tells it: without an order, without a time."""

    day: date
    symbol: str
    qty: Decimal
    """Below zero is sold."""
    price: Decimal
    commission_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceReport:
    """The account's money. None is what the broker did not say."""

    account_id: str
    account_type: str
    total_equity_usd: Decimal | None = None
    total_cash_usd: Decimal | None = None
    market_value_usd: Decimal | None = None
    open_pl_usd: Decimal | None = None
    close_pl_usd: Decimal | None = None
    option_buying_power_usd: Decimal | None = None
    stock_buying_power_usd: Decimal | None = None
    current_requirement_usd: Decimal | None = None
    maintenance_call_usd: Decimal | None = None
    pending_cash_usd: Decimal | None = None
    uncleared_funds_usd: Decimal | None = None
    pending_orders: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Greeks:
    """Sensitivities as the venue computes them (floats by nature). Vega and rho per point, theta per calendar day."""

    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    rho: float | None = None
    phi: float | None = None
    bid_iv: float | None = None
    mid_iv: float | None = None
    ask_iv: float | None = None
    smv_vol: float | None = None
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One instrument's quote. Both sides zero is no quote; bid 0 with an ask is one."""

    symbol: str
    type: str
    """`stock`, `etf`, `index`, `option`, … as the venue says."""
    bid: Decimal | None = None
    ask: Decimal | None = None
    last: Decimal | None = None
    bid_size: int | None = None
    ask_size: int | None = None
    bid_at: datetime | None = None
    ask_at: datetime | None = None
    trade_at: datetime | None = None
    is_delayed: bool = False
    """The venue's documented delay of 15 minutes applies."""
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    previous_close: Decimal | None = None
    volume: int | None = None
    open_interest: int | None = None
    underlying: str | None = None
    root: str | None = None
    option_type: str | None = None
    """`CALL` or `PUT`."""
    strike: Decimal | None = None
    expiry: date | None = None
    contract_size: int | None = None
    greeks: Greeks | None = None

    @property
    def quoted_at(self) -> datetime | None:
        """When the newer side was quoted."""
        times = [at for at in (self.bid_at, self.ask_at) if at is not None]
        return max(times) if times else None

    @property
    def has_market(self) -> bool:
        """Say whether there is a quote at all: a bid, or at least an ask."""
        return bool(self.bid or self.ask)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Every listed contract of one underlying and expiry. Empty when the venue lists none."""

    underlying: str
    expiry: date
    options: tuple[Quote, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockReport:
    """The venue's market clock."""

    market_date: date
    state: MarketState
    market_now: datetime
    next_change: str | None = None
    """New York wall time of the next change, HH:MM."""
    next_state: MarketState | None = None
    speed: Decimal = Decimal(1)
    """Market seconds per real second; 1 except in the simulator."""
    follows_calendar: bool = True
    """False where the venue holds its session open or closed whatever the calendar says (simulator)."""
    is_simulated: bool = False
    """Whether the venue says itself that its time is its own."""
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAccount:
    """One account the token may use."""

    account_id: str
    status: str
    type: str
    option_level: int | None
    classification: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Whom the token belongs to. Only a refusal of this look-up means: re-authenticate."""

    id: str
    name: str
    accounts: tuple[ProfileAccount, ...]
