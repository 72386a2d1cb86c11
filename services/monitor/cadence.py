"""When an account is read next, purely.

1. While something is about to happen: every few seconds, at any hour for as long as a hint keeps the account hot.
2. While anything of ours may still change: every minute of the venue's polling window, until every order of ours was
   seen to be over in two looks. A working entry or a close is read every minute outside the window too.
3. Otherwise seldom: only somebody else's orders are left to be noticed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from libs.broker.venue_clock import no_later
from libs.market.clock import MarketClock, is_polling_time, next_poll_at
from libs.market.options import OccSymbol
from services.monitor.reconcile import OurTrade, is_hot, is_over

QUIET_LOOKS = 2
"""After how many looks without anything living an account counts as quiet."""


@dataclass(frozen=True, slots=True)
class Paces:
    """The pauses between reads."""

    usual: timedelta
    hot: timedelta
    idle: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What the pace of one account depends on. Time: `hot_until` real, aware UTC."""

    clock: MarketClock
    trades: Sequence[OurTrade]
    hot_until: datetime | None
    quiet_looks: int = QUIET_LOOKS
    force_open: bool = False

    @property
    def living(self) -> list[OurTrade]:
        """The trades that can still change at the broker."""
        return [trade for trade in self.trades if not is_over(trade)]

    @property
    def held(self) -> list[OccSymbol]:
        """The contracts that keep the window open beyond the stock market's close."""
        return [OccSymbol.parse(trade.occ_symbol) for trade in self.living]

    def is_kept_hot(self, now: datetime) -> bool:
        """Say whether a hint keeps the account hot."""
        return self.hot_until is not None and self.hot_until > now

    def is_open(self, now: datetime) -> bool:
        """Say whether the venue is worth polling."""
        return self.force_open or is_polling_time(self.clock, now, self.held)


def is_worth_reading(watch: Watch, now: datetime) -> bool:
    """Say whether a read that is due now can tell anything."""
    return watch.is_kept_hot(now) or watch.is_open(now) or any(is_hot(trade) for trade in watch.trades)


def next_read_at(watch: Watch, paces: Paces, now: datetime) -> datetime:
    """Return when an account's orders are read next."""
    is_hot_now = any(is_hot(trade) for trade in watch.trades)
    if watch.is_kept_hot(now) or (is_hot_now and watch.is_open(now)):
        return now + paces.hot
    if is_hot_now:
        return now + paces.usual
    is_quiet = not watch.living and watch.quiet_looks >= QUIET_LOOKS
    return next_visit_at(watch, paces.idle if is_quiet else paces.usual, now)


def next_visit_at(watch: Watch, every: timedelta, now: datetime) -> datetime:
    """Return the next instant of a plain cycle: `every` from now in the polling window, else its next start."""
    due_at = next_poll_at(watch.clock, now=now, every=every, held=watch.held, force_open=watch.force_open)
    return no_later(due_at, watch.clock, now, every=every) if due_at != now + every else due_at
