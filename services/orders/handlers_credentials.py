"""Broker credentials. A token goes in and never comes out, but sealed, to monitor."""

from __future__ import annotations

from typing import Any

from libs.broker.base import BrokerMode as Venue
from libs.common.errors import Conflict, InvalidInput, NotFound
from libs.common.handlers import Context, answers
from libs.common.messages.accounts import RemoveCredentials
from libs.common.messages.orders import GetBrokerAccess, StoreCredentials, TestCredentials
from libs.common.messages.vocabulary import BrokerMode
from services.orders import accounts, credentials, store_accounts
from services.orders.deps import Deps, account_key


@answers(StoreCredentials)
async def store_credentials(command: StoreCredentials, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Check a broker token and keep it sealed. Raises: UpstreamAuth, Conflict, InvalidInput."""
    if command.broker_mode is BrokerMode.TRADIER_LIVE and command.confirm != credentials.CONFIRMED:
        raise InvalidInput('credentials of TRADIER_LIVE need confirm: "LIVE"')
    _check_text("account_id", command.account_id, 32)
    _check_text("token", command.token, 256)
    await accounts.settled_in(deps, ctx.user)
    await credentials.checked(deps, command.broker_mode, command.account_id, command.token)
    account = credentials.new_account(ctx.user, command.broker_mode, command.account_id, command.account_name)
    await credentials.kept(deps, account, command.token, via=ctx.via)
    async with deps.db.for_user(ctx.user) as unit:
        # The settings as they are now: the broker was asked in between, and somebody may have changed them.
        await store_accounts.lock_settings(unit, ctx.user)
        await accounts.chosen_if_none(unit, account, via=ctx.via)
    return _shown(command.broker_mode, command.account_id, command.account_name)


@answers(TestCredentials)
async def test_credentials(command: TestCredentials, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Ask the broker whether a token, given or stored, opens the account. Stores nothing."""
    token = command.token
    key = account_key(command.broker_mode, command.account_id)
    async with deps.db.for_user(ctx.user) as unit:
        known = await store_accounts.account(unit, key)
    if token is None:
        if known is None:
            raise NotFound(f"there are no credentials for account {command.account_id}")
        token = deps.opened(known.token_ciphertext, key)
    await credentials.checked(deps, command.broker_mode, command.account_id, token)
    return _shown(command.broker_mode, command.account_id, known.account_name if known else None) | {"ok": True}


@answers(RemoveCredentials)
async def remove_credentials(command: RemoveCredentials, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Forget an account's token; where it was the chosen one, another of the mode is. Raises: Conflict, NotFound."""
    async with deps.db.for_user(ctx.user) as unit:
        # First the settings, then the account, as whoever chooses an account does.
        await store_accounts.lock_settings(unit, ctx.user)
        found = await store_accounts.account(unit, account_key(command.broker_mode, command.account_id))
        if found is None:
            raise NotFound(f"there are no credentials for account {command.account_id}")
        await credentials.remove(unit, found, via=ctx.via)
        await accounts.another_chosen(unit, found, via=ctx.via)
    return _shown(found.broker_mode, found.account_id, found.account_name)


@answers(GetBrokerAccess)
async def get_broker_access(query: GetBrokerAccess, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Answer where an account is reached, with its sealed token; only monitor may ask."""
    key = account_key(query.broker_mode, query.account_id)
    async with deps.db.for_user(ctx.user) as unit:
        found = await store_accounts.account(unit, key)
    if found is None:
        raise NotFound(f"there are no credentials for account {query.account_id}")
    base_url = deps.factory.base_urls.get(Venue(query.broker_mode))
    if base_url is None:
        raise Conflict(f"{query.broker_mode} is not available on this installation")
    return {
        "base_url": base_url,
        "account_id": found.account_id,
        "account_name": found.account_name,
        "broker_mode": found.broker_mode,
        "token_ciphertext": found.token_ciphertext,
        "row_id": found.account_key,
    }


def _shown(mode: BrokerMode, account_id: str, name: str | None) -> dict[str, Any]:
    return {"broker_mode": mode, "account_id": account_id, "account_name": name}


def _check_text(name: str, value: str, longest: int) -> None:
    if not value or len(value) > longest or not value.isascii() or not value.isprintable() or " " in value:
        raise InvalidInput(f"{name} must be 1 to {longest} printable characters without blanks")
