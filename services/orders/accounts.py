"""Settings and accounts as a request needs them: made with the defaults at first use, a PAPER account with them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from libs.broker.base import BrokerMode as Venue
from libs.common import log
from libs.common.db import Unit
from libs.common.errors import Conflict, InvalidInput, UpstreamAuth, UpstreamUnavailable
from libs.common.messages.orders import TradingSettingsChanged
from libs.common.messages.vocabulary import BrokerMode
from services.orders import auditing, credentials, store_accounts, store_audit, store_requests
from services.orders.deps import Deps
from services.orders.preferences import TradingSettings
from services.orders.store_accounts import StoredSettings
from services.orders.store_requests import Account

PAPER_NAME = "Paper"

_log = log.get(__name__)


async def settled_in(deps: Deps, username: str) -> StoredSettings:
    """Return a user's settings, made at first use, with a PAPER account as soon as the simulator can be asked.

    Idempotent: yes. Without the simulator the settings have no account, and the next use tries again.
    """
    has_paper = Venue.PAPER in deps.factory.base_urls
    async with deps.db.for_user(username) as unit:
        settings = await store_accounts.settings_of(unit, username)
        if settings is None:
            first = TradingSettings(broker_mode=BrokerMode.PAPER if has_paper else BrokerMode.TRADIER_SANDBOX)
            await store_accounts.make_settings(unit, username, first)
            settings = await store_accounts.settings_of(unit, username)
    assert settings is not None
    if settings.account_id is None and settings.broker_mode is BrokerMode.PAPER and has_paper:
        return await _with_paper(deps, username, settings)
    return settings


async def _with_paper(deps: Deps, username: str, settings: StoredSettings) -> StoredSettings:
    async with deps.db.for_user(username) as unit:
        known = await store_accounts.accounts_of(unit, username)
    paper = next((account for account in known if account.broker_mode is BrokerMode.PAPER), None)
    if paper is None:
        try:
            paper = await _opened_paper(deps, username)
        except (UpstreamUnavailable, UpstreamAuth, Conflict) as error:
            _log.warning("paper_account_waits", username=username, detail=error.detail)
            return settings
    async with deps.db.for_user(username) as unit:
        await store_accounts.lock_settings(unit, username)
        current = await store_accounts.settings_of(unit, username) or settings
        if current.account_id is None and current.broker_mode is BrokerMode.PAPER:
            with_account = current.model_copy(update={"account_id": paper.account_id})
            await settings_changed(unit, username, current.trading(), with_account.trading(), via=None)
            return with_account
        return current


async def _opened_paper(deps: Deps, username: str) -> Account:
    """Make a token nobody knows; the simulator makes an account of it."""
    token = f"paper-{uuid.uuid4().hex}x"
    profile = await deps.factory.get_broker(Venue.PAPER, "", token).profile()
    if not profile.accounts:
        raise UpstreamUnavailable("the simulator gave no account")
    account = credentials.new_account(username, BrokerMode.PAPER, profile.accounts[0].account_id, PAPER_NAME)
    async with deps.db.for_worker() as unit:
        # Two first uses at once: whoever comes second takes the account that the first one made.
        await store_accounts.lock_settings(unit, username)
        known = await store_accounts.accounts_of(unit, username)
        paper = next((account for account in known if account.broker_mode is BrokerMode.PAPER), None)
        return paper or await credentials.keep(unit, deps, account, token, via=None)


async def chosen_if_none(unit: Unit, stored: Account, *, via: str | None) -> None:
    """Choose an account whose token was just stored, where its mode is in use and has none. The settings are locked."""
    settings = await store_accounts.settings_of(unit, stored.username)
    if settings is None or settings.broker_mode is not stored.broker_mode or settings.account_id is not None:
        return
    chosen = settings.trading().model_copy(update={"account_id": stored.account_id})
    await settings_changed(unit, stored.username, settings.trading(), chosen, via=via)


async def another_chosen(unit: Unit, gone: Account, *, via: str | None) -> None:
    """Choose another account of the mode, or none, where the chosen one's token was taken away."""
    settings = await store_accounts.settings_of(unit, gone.username)
    if settings is None or (settings.broker_mode, settings.account_id) != (gone.broker_mode, gone.account_id):
        return
    left = [one for one in await store_accounts.accounts_of(unit, gone.username) if one.broker_mode is gone.broker_mode]
    chosen = left_to_us(left, gone.broker_mode, is_new=False)
    other = settings.trading().model_copy(update={"account_id": chosen})
    await settings_changed(unit, gone.username, settings.trading(), other, via=via)


def left_to_us(own: Sequence[Account], mode: BrokerMode, *, is_new: bool) -> str | None:
    """Choose an account of the mode where nobody named one; `is_new`: the mode was switched to just now.

    One of real money is chosen only by the switch's own word, and where there is no other. Raises: InvalidInput.
    """
    if mode is not BrokerMode.TRADIER_LIVE:
        return own[0].account_id if own else None
    if is_new and len(own) > 1:
        raise InvalidInput(f"you have {len(own)} accounts of {mode}; name the one that is meant: account_id")
    return own[0].account_id if is_new and own else None


async def settings_changed(
    unit: Unit, username: str, before: TradingSettings, after: TradingSettings, *, via: str | None
) -> None:
    """Store changed settings, tell them and keep who changed what. Their row is locked by this unit."""
    version = await store_accounts.save_settings(unit, username, after)
    unit.emit(TradingSettingsChanged(username=username, settings=after.model_dump(mode="json")), key_version=version)
    for line in auditing.of_settings(before, after):
        await store_audit.audited(unit, username, line.kind, line.text, line.data, via=via)


def usable(accounts: tuple[Account, ...], settings: TradingSettings, asked: str | None) -> Account:
    """Choose the account of a new trade. Raises: InvalidInput."""
    wanted = asked or settings.account_id
    if wanted is None:
        has_some = any(one.broker_mode is settings.broker_mode for one in accounts)
        words = "is chosen; choose one" if has_some else "is there yet; store credentials first"
        raise InvalidInput(f"no {settings.broker_mode} account {words}")
    found = next((a for a in accounts if a.account_id == wanted and a.broker_mode is settings.broker_mode), None)
    if found is None:
        raise InvalidInput(f"account {wanted} is not one of your {settings.broker_mode} accounts")
    return found


async def of_request(
    deps: Deps, username: str, opening: store_requests.Opening, asked: str | None
) -> tuple[TradingSettings, Account]:
    """Choose the account of a new trade, settling in first where that is needed. Raises: InvalidInput."""
    known = opening.accounts
    if opening.settings is None or opening.settings.get("account_id") is None:
        settings: TradingSettings = await settled_in(deps, username)
        async with deps.db.for_user(username) as unit:
            known = (await store_requests.opening(unit, username, "")).accounts
    else:
        settings = TradingSettings.model_validate(opening.settings)
    return settings, usable(known, settings, asked)
