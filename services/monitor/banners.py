"""What monitor shows across a user's page: accounts that cannot be read, and how old each feed is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Any

from libs.common.messages.monitor import Banner, BannerChanged
from libs.common.messages.vocabulary import Severity
from services.monitor import store_accounts
from services.monitor.deps import Deps
from services.monitor.store_accounts import Account

_TEXT = {
    "broker_unavailable": "The broker of {name} is not answering. Exits keep resting there; what you see may be old.",
    "re_authenticate": "The broker no longer accepts the token of {name}. Please enter a new one.",
    "credentials_unreadable": "The stored token of {name} cannot be opened here. Please enter it again.",
    "mode_unavailable": "{name} cannot be reached: its broker is not set up on this installation.",
    "no_credentials": "There are no credentials for {name}. Please enter a token.",
}


def banners_of(accounts: Iterable[Account]) -> tuple[Banner, ...]:
    """Describe what is wrong with each account."""
    return tuple(
        Banner(
            code=account.problem,
            level=Severity.WARNING if account.problem == "broker_unavailable" else Severity.ERROR,
            text=_TEXT.get(account.problem, account.problem).format(name=account.account_name or account.account_id),
            since=account.problem_since,
        )
        for account in accounts
        if account.problem is not None and account.problem_since is not None
    )


def feeds_of(
    accounts: Iterable[Account], now: datetime, stale_after_s: float, is_polled: Callable[[Account], bool]
) -> list[dict[str, Any]]:
    """Tell the age of each account's feeds. Units: seconds; null before the first read.

    While the market is closed nothing is read, and nothing is old for it.
    """
    feeds = []
    for account in accounts:
        for name, at in (("orders", account.orders_synced_at), ("portfolio", account.portfolio_synced_at)):
            age_s = None if at is None else round((now - at).total_seconds(), 1)
            is_ok = account.problem is None and age_s is not None and (age_s <= stale_after_s or not is_polled(account))
            feeds.append({"name": f"{name} {account.account_id}", "age_s": age_s, "ok": is_ok})
    return feeds


async def say_banners(username: str, deps: Deps) -> None:
    """Say the user's banners now; a page that misses it asks for the status anyway."""
    async with deps.db.for_user(username) as unit:
        accounts = await store_accounts.accounts_of(unit)
    if deps.bus.connected:
        await deps.bus.tick(BannerChanged(origin="monitor", banners=banners_of(accounts)), username)
