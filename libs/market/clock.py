"""Market time of a venue as a pure function of real time, and the instants at which work is due.

1. Nothing here reads a clock: `now` and every answer are real time, aware UTC; market time stays inside.
2. `real_at_of(market_at(t)) == t` while the venue's time runs.
3. None means: not before the venue's clock is read again (it stands still, or its session is held closed).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from libs.market import calendar, products
from libs.market.options import OccSymbol
from libs.market.session import MarketState, state_at

AFTER_CLOSE: Final = timedelta(minutes=5)
BEFORE_OPEN: Final = timedelta(minutes=5)


class MarketClock(Protocol):
    """A venue's time."""

    @property
    def held(self) -> MarketState | None:
        """The state the venue is held in whatever the calendar says; None when it follows the calendar."""

    def market_at(self, real_at: datetime) -> datetime:
        """Return the market's instant at a real one."""

    def real_at_of(self, market_at: datetime) -> datetime | None:
        """Return when the market reaches an instant; None while its time stands still."""


@dataclass(frozen=True, slots=True)
class ExchangeClock:
    """The exchange's own time: real time and the calendar."""

    held: MarketState | None = None

    def market_at(self, real_at: datetime) -> datetime:
        """Return the same instant."""
        return real_at

    def real_at_of(self, market_at: datetime) -> datetime | None:
        """Return the same instant."""
        return market_at


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingClock:
    """A venue whose time was read once and has gone on at its speed since."""

    market_read: datetime
    """The market's instant when read."""
    read_at: datetime
    """The real instant of the reading."""
    speed: Decimal = Decimal(1)
    held: MarketState | None = None

    def market_at(self, real_at: datetime) -> datetime:
        """Return the market's instant at a real one."""
        return self.market_read + (real_at - self.read_at) * float(self.speed)

    def real_at_of(self, market_at: datetime) -> datetime | None:
        """Return when the market reaches an instant; None while its time stands still."""
        ahead = market_at - self.market_read
        if self.speed == 0:
            return self.read_at if ahead <= timedelta(0) else None
        return self.read_at + ahead / float(self.speed)


class Bookend(StrEnum):
    """The two snapshots around a session."""

    PRE_MARKET = "PRE_MARKET"
    POST_MARKET = "POST_MARKET"


def market_state(clock: MarketClock, now: datetime) -> MarketState:
    """Return the venue's state."""
    return clock.held or state_at(clock.market_at(now))


def market_date(clock: MarketClock, now: datetime) -> date:
    """Return the venue's New York date."""
    return calendar.new_york_date(clock.market_at(now))


def is_contract_open(clock: MarketClock, contract: OccSymbol, now: datetime) -> bool:
    """Say whether orders in a contract can execute: the venue is in its session and the contract still trades."""
    at = clock.market_at(now)
    if clock.held is None:
        return products.is_trading(contract, at)
    return clock.held is MarketState.OPEN and at < products.last_trade_at(contract)


def is_after_last_trade(clock: MarketClock, contract: OccSymbol, now: datetime) -> bool:
    """Say whether the contract has stopped trading for good."""
    return clock.market_at(now) >= products.last_trade_at(contract)


def next_open_at(clock: MarketClock, root: str, now: datetime) -> datetime | None:
    """Return when the series trades next; `now` while it does."""
    if clock.held is not None:
        return now if clock.held is MarketState.OPEN else None
    at = clock.market_at(now)
    stock = calendar.session_on_or_after(calendar.new_york_date(at))
    opens_at, closes_at = products.session_on(root, stock.session_date)
    if at >= closes_at:
        opens_at, closes_at = products.session_on(root, calendar.next_session(stock.session_date).session_date)
    return now if opens_at <= at else clock.real_at_of(opens_at)


def next_turn(clock: MarketClock, now: datetime) -> tuple[datetime, MarketState] | None:
    """Return when the stock session opens or closes next, and the state that begins then; None while it is held."""
    if clock.held is not None:
        return None
    at = clock.market_at(now)
    day = calendar.new_york_date(at)
    if calendar.is_trading_day(day) and at < calendar.session(day).closes_at:
        stock = calendar.session(day)
    else:
        stock = calendar.next_session(day)
    is_open = stock.opens_at <= at
    real_at = clock.real_at_of(stock.closes_at if is_open else stock.opens_at)
    return None if real_at is None else (real_at, MarketState.POSTMARKET if is_open else MarketState.OPEN)


def last_turn(clock: MarketClock, now: datetime) -> datetime | None:
    """Return when the stock session last opened or closed; None while it is held."""
    if clock.held is not None:
        return None
    at = clock.market_at(now)
    stock = calendar.session_on_or_before(calendar.new_york_date(at))
    if at < stock.opens_at:
        stock = calendar.previous_session(stock.session_date)
    return clock.real_at_of(stock.closes_at if stock.closes_at <= at else stock.opens_at)


def polling_window(day: date, held: Iterable[OccSymbol] = ()) -> tuple[datetime, datetime]:
    """Return from when to when a trading day is polled, in market time.

    From the open to the stock close; while something is held, to the last close among its series and 5 minutes more.
    """
    stock = calendar.session(day)
    closes = [products.session_on(root, day)[1] for root in {contract.root for contract in held}]
    return stock.opens_at, max([stock.closes_at, *(close + AFTER_CLOSE for close in closes)])


def is_polling_time(clock: MarketClock, now: datetime, held: Iterable[OccSymbol] = ()) -> bool:
    """Say whether the venue is worth polling at an instant."""
    if clock.held is not None:
        return clock.held is MarketState.OPEN
    at = clock.market_at(now)
    day = calendar.new_york_date(at)
    if not calendar.is_trading_day(day):
        return False
    starts_at, ends_at = polling_window(day, held)
    return starts_at <= at < ends_at


def next_poll_at(
    clock: MarketClock,
    *,
    now: datetime,
    every: timedelta,
    held: Iterable[OccSymbol] = (),
    force_open: bool = False,
) -> datetime | None:
    """Return the next instant to poll: `every` from now inside the window, else when the next window starts.

    `every` is real time whatever the venue's speed.
    """
    held = tuple(held)
    if force_open or (is_polling_time(clock, now, held) and is_polling_time(clock, now + every, held)):
        return now + every
    if clock.held is not None:
        return None
    at = clock.market_at(now)
    day = calendar.new_york_date(at)
    if not (calendar.is_trading_day(day) and at < polling_window(day, held)[0]):
        day = calendar.next_session(day).session_date
    return clock.real_at_of(polling_window(day, held)[0])


def bookends_of(day: date, root: str = "") -> tuple[tuple[datetime, Bookend], tuple[datetime, Bookend]]:
    """Return a trading day's two bookend snapshots in market time: 5 minutes before the open, 5 after the close.

    Range: without a root, or for equity options, the close is the stock market's; a late series has its own.
    """
    opens_at, closes_at = products.session_on(root, day)
    return (opens_at - BEFORE_OPEN, Bookend.PRE_MARKET), (closes_at + AFTER_CLOSE, Bookend.POST_MARKET)


def next_bookend_at(clock: MarketClock, now: datetime, root: str = "") -> tuple[datetime, Bookend] | None:
    """Return the next bookend snapshot strictly after now, and which it is."""
    at = clock.market_at(now)
    day = calendar.session_on_or_after(calendar.new_york_date(at)).session_date
    upcoming = [*bookends_of(day, root), *bookends_of(calendar.next_session(day).session_date, root)]
    due_at, which = next((due_at, which) for due_at, which in upcoming if due_at > at)
    real_at = clock.real_at_of(due_at)
    return None if real_at is None else (real_at, which)
