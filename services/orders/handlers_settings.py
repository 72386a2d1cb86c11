"""Trading settings: what a user lets orders do, and in which account."""

from __future__ import annotations

from libs.common.errors import InvalidInput, NotFound
from libs.common.handlers import Context, answers
from libs.common.messages.orders import (
    GetTradingSettings,
    UpdateTradingSettings,
)
from services.orders import accounts, credentials, store_accounts
from services.orders.deps import Deps
from services.orders.preferences import changed
from services.orders.store_accounts import StoredSettings


@answers(GetTradingSettings)
async def get_trading_settings(query: GetTradingSettings, ctx: Context, deps: Deps) -> StoredSettings:
    """Answer the trading settings, made with the defaults at first use."""
    return await accounts.settled_in(deps, ctx.user)


@answers(UpdateTradingSettings)
async def update_trading_settings(command: UpdateTradingSettings, ctx: Context, deps: Deps) -> StoredSettings:
    """Change a subset of the settings; a refusal changes nothing."""
    await accounts.settled_in(deps, ctx.user)
    async with deps.db.for_user(ctx.user) as unit:
        await store_accounts.lock_settings(unit, ctx.user)
        current = await store_accounts.settings_of(unit, ctx.user)
        if current is None:
            raise NotFound("there are no settings")
        wanted = changed(current.trading(), command.changes, confirm=command.confirm)
        if wanted.broker_mode is not current.broker_mode:
            credentials.offered(deps, wanted.broker_mode)
        known = await store_accounts.accounts_of(unit, ctx.user)
        own = [account for account in known if account.broker_mode is wanted.broker_mode]
        if wanted.account_id is None:
            is_new = wanted.broker_mode is not current.broker_mode
            chosen = accounts.left_to_us(own, wanted.broker_mode, is_new=is_new)
            wanted = wanted.model_copy(update={"account_id": chosen})
        if wanted.account_id is not None and wanted.account_id not in [account.account_id for account in own]:
            raise InvalidInput(f"account {wanted.account_id} is not one of your {wanted.broker_mode} accounts")
        await accounts.settings_changed(unit, ctx.user, current.trading(), wanted, via=ctx.via)
    if wanted.account_id is None:
        return await accounts.settled_in(deps, ctx.user)
    async with deps.db.for_user(ctx.user) as unit:
        return await store_accounts.settings_of(unit, ctx.user) or current
