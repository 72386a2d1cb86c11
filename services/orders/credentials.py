"""Broker tokens: checked at the broker that is named, sealed for their row, taken away when nothing needs them.

1. A token is stored for the environment that knows it, under an account that it opens.
2. An account of a venue is one user's for good: its trades and fills are. Taking the token away does not free it.
3. While a trade of the account is watched its token can be renewed, never taken away.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from libs.broker.base import BrokerMode as Venue
from libs.common.db import Unit
from libs.common.errors import AppError, Conflict, InvalidInput, LiveNotEnabled, NotFound, UpstreamAuth
from libs.common.messages.orders import CredentialsChanged
from libs.common.messages.vocabulary import BrokerMode
from services.orders import auditing, store_accounts, store_audit
from services.orders.deps import Deps, account_key
from services.orders.store_requests import Account

COUNTERPART = {BrokerMode.TRADIER_SANDBOX: BrokerMode.TRADIER_LIVE, BrokerMode.TRADIER_LIVE: BrokerMode.TRADIER_SANDBOX}
"""Whose token somebody mistakes for whose."""
CONFIRMED = "LIVE"
"""What is typed before real money is touched."""


def offered(deps: Deps, mode: BrokerMode) -> None:
    """Refuse a mode that this installation does not offer. Raises: LiveNotEnabled, InvalidInput."""
    if Venue(mode) in deps.factory.base_urls:
        return
    if mode is BrokerMode.TRADIER_LIVE:
        raise LiveNotEnabled("TRADIER_LIVE is turned off on this installation")
    raise InvalidInput(f"{mode} is not available on this installation")


async def checked(deps: Deps, mode: BrokerMode, account_id: str, token: str) -> None:
    """Ask the broker whose token it is. Raises: UpstreamAuth, UpstreamUnavailable, InvalidInput, LiveNotEnabled."""
    offered(deps, mode)
    try:
        profile = await deps.factory.get_broker(mode, "", token).profile()
    except UpstreamAuth:
        other = COUNTERPART.get(mode)
        if other is not None and await _opens(deps, other, token):
            words = f"this is a token of {other}, not of {mode}: each environment has tokens of its own"
            raise InvalidInput(words) from None
        raise
    owned = [account.account_id for account in profile.accounts]
    if account_id not in owned:
        raise InvalidInput(f"this token does not open account {account_id}; it opens {', '.join(owned) or 'none'}")


async def _opens(deps: Deps, mode: BrokerMode, token: str) -> bool:
    """Say whether another environment knows a token, if it is offered here and answers in time."""
    base_url = deps.factory.base_urls.get(Venue(mode))
    if base_url is None:
        return False
    try:
        async with asyncio.timeout(deps.settings.counterpart_s):
            await deps.factory.get_broker(mode, "", token).profile()
    except (AppError, TimeoutError):
        return False
    return True


def new_account(username: str, mode: BrokerMode, account_id: str, name: str | None) -> Account:
    """Describe an account whose token is sealed next."""
    return Account(
        account_key=account_key(mode, account_id),
        username=username,
        broker_mode=mode,
        account_id=account_id,
        account_name=name,
        token_ciphertext="",
        key_version=0,
    )


async def kept(deps: Deps, account: Account, token: str, *, via: str | None) -> Account:
    """Store an account with its token sealed. Raises: Conflict when it is another user's."""
    async with deps.db.for_worker() as unit:
        return await keep(unit, deps, account, token, via=via)


async def keep(unit: Unit, deps: Deps, account: Account, token: str, *, via: str | None) -> Account:
    """Store an account with its token sealed, and tell it. The unit is the worker's. Raises: Conflict."""
    sealed = replace(account, token_ciphertext=deps.vault.seal(token, account.account_key))
    saved = await store_accounts.save_account(unit, sealed)
    unit.emit(_fact(account), key_version=saved.key_version, user=account.username)
    line = _line(account, "renewed" if saved.had_token else "stored", saved.key_version)
    await store_audit.audited(unit, account.username, line.kind, line.text, line.data, via=via)
    return replace(sealed, key_version=saved.key_version)


async def remove(unit: Unit, account: Account, *, via: str | None) -> None:
    """Forget an account's token. Raises: Conflict while a trade needs it, NotFound."""
    await store_accounts.lock_account(unit, account.account_key)
    needed = await store_accounts.watched_in(unit, account)
    if needed.open_trades:
        trades = "1 trade is" if needed.open_trades == 1 else f"{needed.open_trades} trades are"
        raise Conflict(f"{trades} open in account {account.account_id}: renew its token, or close first")
    if needed.unsettled_trades:
        raise Conflict(f"an order of a closed trade still works in account {account.account_id}; wait until it is over")
    version = await store_accounts.forget_token(unit, account.account_key)
    if version is None:
        raise NotFound(f"there are no credentials for account {account.account_id}")
    unit.emit(_fact(account, removed=True), key_version=version)
    line = _line(account, "removed", version)
    await store_audit.audited(unit, account.username, line.kind, line.text, line.data, via=via)


def _line(account: Account, verb: str, version: int) -> auditing.Line:
    return auditing.of_credentials(
        account.broker_mode, account.account_id, account.account_name, verb=verb, version=version
    )


def _fact(account: Account, *, removed: bool = False) -> CredentialsChanged:
    return CredentialsChanged(
        account_key=account.account_key,
        broker_mode=account.broker_mode,
        account_id=account.account_id,
        account_name=account.account_name,
        removed=removed,
    )
