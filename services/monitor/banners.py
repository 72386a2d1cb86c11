"""What monitor shows across a user's page: accounts that cannot be read, and how old each feed is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from libs.common.messages.monitor import Banner, BannerChanged
from libs.common.messages.vocabulary import Severity
from services.monitor import store_accounts
from services.monitor.cadence import QUIET_LOOKS, Watch
from services.monitor.deps import Deps
from services.monitor.store_accounts import Account

_TEXT = {
    "broker_unavailable": "The broker of {name} is not answering. Exits keep resting there; what you see may be old.",
    "re_authenticate": "The broker no longer accepts the token of {name}. Please enter a new one.",
    "credentials_unreadable": "The stored token of {name} cannot be opened here. Please enter it again.",
    "mode_unavailable": "{name} cannot be reached: its broker is not set up on this installation.",
    "blocked": "The broker forbids everything to {name} (403). Only the broker can lift that; exits that rest stay.",
    "broker_refuses": "The broker refuses to show {name}: {detail}. What you see may be old; exits that rest stay.",
    "no_credentials": "There are no credentials for {name}. Please enter a token.",
}


_PASSING = frozenset({"broker_unavailable", "broker_refuses"})
"""What is worth waiting for; the rest only a person ends."""

STALE_CYCLES = 3


def banners_of(accounts: Iterable[Account], deps: Deps) -> tuple[Banner, ...]:
    """Describe what is wrong with each account, or that its news is old."""
    found = (_wrong(account) or _stale(account, deps) for account in accounts)
    return tuple(banner for banner in found if banner is not None)


def _wrong(account: Account) -> Banner | None:
    if account.problem is None or account.problem_since is None:
        return None
    words = _TEXT.get(account.problem, account.problem)
    detail = (account.problem_detail or "").rstrip(".")
    return Banner(
        code=account.problem,
        level=Severity.WARNING if account.problem in _PASSING else Severity.ERROR,
        text=words.format(name=account.account_name or account.account_id, detail=detail),
        since=account.problem_since,
    )


def _stale(account: Account, deps: Deps) -> Banner | None:
    late = [feed for feed in _feeds(account, deps) if feed.is_late]
    if not late:
        return None
    oldest = max(late, key=lambda feed: feed.age_s or 0.0)
    name = account.account_name or account.account_id
    text = f"What is shown of {name} is {oldest.age_s:.0f} s old: its reads wait. Exits keep resting at the broker."
    since = deps.clock.now() - timedelta(seconds=(oldest.age_s or 0.0) - oldest.limit_s)
    return Banner(code="stale_data", level=Severity.WARNING, text=text, since=since)


def is_stale(account: Account, deps: Deps) -> bool:
    """Say whether an account should have been read long ago."""
    return any(feed.is_late for feed in _feeds(account, deps))


@dataclass(frozen=True, slots=True)
class _Feed:
    """One cycle of an account: how old its last read is (None: never read), and past which age that is too old."""

    name: str
    age_s: float | None
    limit_s: float
    is_polled: bool

    @property
    def is_late(self) -> bool:
        return self.is_polled and self.age_s is not None and self.age_s > self.limit_s


def _feeds(account: Account, deps: Deps) -> list[_Feed]:
    """List an account's cycles. While the market is closed nothing is read, and nothing is old for it."""
    said, now = deps.settings, deps.clock.now()
    watch = Watch(
        clock=deps.venues.known(account.broker_mode), trades=(), hot_until=None, force_open=said.force_market_open
    )
    usual_s = max(said.order_sync_s, said.portfolio_sync_s)
    is_quiet = account.quiet_looks >= QUIET_LOOKS
    read = (
        ("orders", account.orders_synced_at, max(usual_s, said.idle_sync_s) if is_quiet else usual_s),
        ("portfolio", account.portfolio_synced_at, usual_s),
    )
    return [
        _Feed(name, None if at is None else (now - at).total_seconds(), STALE_CYCLES * pace_s, watch.is_open(now))
        for name, at, pace_s in read
    ]


def feeds_of(accounts: Iterable[Account], deps: Deps) -> list[dict[str, Any]]:
    """Tell the age of each account's feeds. Units: seconds; null before the first read."""
    return [
        {
            "name": f"{feed.name} {account.account_id}",
            "age_s": None if feed.age_s is None else round(feed.age_s, 1),
            "ok": account.problem is None and feed.age_s is not None and not feed.is_late,
        }
        for account in accounts
        for feed in _feeds(account, deps)
    ]


async def say_banners(username: str, deps: Deps) -> None:
    """Say the user's banners now; a page that misses it asks for the status anyway."""
    async with deps.db.for_user(username) as unit:
        accounts = await store_accounts.accounts_of(unit)
    if deps.bus.connected:
        await deps.bus.tick(BannerChanged(origin="monitor", banners=banners_of(accounts, deps)), username)
