"""What monitor answers: accounts from the warm cache, fills, incidents, how old each feed is."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from libs.common import cursor
from libs.common.db import Unit
from libs.common.errors import NotFound
from libs.common.handlers import Context, Reply, answers
from libs.common.messages.monitor import (
    GetAccount,
    GetMonitorStatus,
    GetSyncStatus,
    ListAccounts,
    ListExecutions,
    ListIncidents,
    SyncNow,
)
from services.monitor import store, store_accounts, store_findings, store_incidents, store_portfolio, store_watch
from services.monitor.banners import banners_of, feeds_of
from services.monitor.deps import Deps
from services.monitor.store_accounts import Account
from services.monitor.sync import LOOK, ORDERS, PORTFOLIO

REFRESH_AFTER = timedelta(seconds=60)


@answers(SyncNow)
async def sync_now(command: SyncNow, ctx: Context, deps: Deps) -> Reply:
    """Make every account of the user due at once."""
    async with deps.db.for_user(ctx.user) as unit:
        accounts = [a for a in await store_accounts.accounts_of(unit) if command.account_id in (None, a.account_id)]
        for account in accounts:
            await _read_now(unit, account, deps)
    if command.account_id is not None and not accounts:
        raise NotFound("no such account")
    return Reply.of({"accounts": [account.account_id for account in accounts]}, 202)


async def _read_now(unit: Unit, account: Account, deps: Deps) -> None:
    await store_watch.hint(unit, account.account_key, hot_for=timedelta(seconds=deps.settings.hot_sync_s))
    for kind in (ORDERS, PORTFOLIO, LOOK):
        await unit.schedule(kind, account.account_key, None, user=account.username, replace=False)


@answers(GetSyncStatus)
async def get_sync_status(_: GetSyncStatus, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Tell when each account was last read, and why not since."""
    async with deps.db.for_user(ctx.user) as unit:
        accounts = await store_accounts.accounts_of(unit)
        running = await store_accounts.running_of(unit, (ORDERS, PORTFOLIO))
    lines = [
        {
            "account_id": account.account_id,
            "broker_mode": account.broker_mode,
            "synced_at": account.orders_synced_at,
            "running": account.account_key in running,
            "error": account.problem_detail,
        }
        for account in accounts
    ]
    return {"accounts": lines}


@answers(ListAccounts)
async def list_accounts(_: ListAccounts, ctx: Context, deps: Deps) -> dict[str, Any]:
    """List the user's accounts with the cached status of each."""
    async with deps.db.for_user(ctx.user) as unit:
        accounts = await store_accounts.accounts_of(unit)
        statuses = await store_portfolio.statuses(unit)
    lines = [
        {
            "account_id": account.account_id,
            "account_name": account.account_name,
            "broker_mode": account.broker_mode,
            "status": statuses.get(account.account_key),
            "synced_at": account.portfolio_synced_at,
        }
        for account in accounts
    ]
    return {"accounts": lines}


@answers(GetAccount)
async def get_account(query: GetAccount, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Tell one account (the first, unless named) from the warm cache."""
    async with deps.db.for_user(ctx.user) as unit:
        accounts = await store_accounts.accounts_of(unit)
        account = next((a for a in accounts if query.account_id in (None, a.account_id)), None)
        if account is None:
            raise NotFound("no such account")
        if is_old(account.portfolio_synced_at, deps.clock.now()):
            await _read_now(unit, account, deps)
        held = await store.held(unit, account.account_key)
        return {
            "status": (await store_portfolio.statuses(unit)).get(account.account_key),
            "positions": store_portfolio.labelled(await store_portfolio.positions(unit, account), held),
            "orders": [
                *await store.working_orders(unit, account.account_key),
                *await store_findings.foreign(unit, account.account_key),
            ],
            "executions": await store_portfolio.executions(unit, limit=50, account_key=account.account_key),
            "synced_at": account.portfolio_synced_at,
        }


def is_old(synced_at: datetime | None, now: datetime) -> bool:
    """Say whether what is cached asks for a refresh behind the answer."""
    return synced_at is None or now - synced_at > REFRESH_AFTER


@answers(ListExecutions)
async def list_executions(query: ListExecutions, ctx: Context, deps: Deps) -> dict[str, Any]:
    """List the user's fills, newest first."""
    async with deps.db.for_user(ctx.user) as unit:
        rows = await store_portfolio.executions(
            unit,
            limit=query.limit + 1,
            before=cursor.decode(query.cursor),
            since=query.executed_from,
            until=query.executed_to,
        )
    return {"executions": rows[: query.limit], "next_cursor": _next(rows, query.limit, "broker_execution_id")}


def _next(rows: list[dict[str, Any]], limit: int, row_id: str) -> str | None:
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    return cursor.encode(last["execution_time"], last[row_id])


@answers(ListIncidents)
async def list_incidents(query: ListIncidents, ctx: Context, deps: Deps) -> dict[str, Any]:
    """List the user's incidents, newest first."""
    async with deps.db.for_user(ctx.user) as unit:
        rows = await store_incidents.list_incidents(
            unit,
            is_open=query.open,
            trade_id=query.trade_id,
            before=cursor.decode(query.cursor),
            limit=query.limit,
        )
    page = rows[: query.limit]
    more = len(rows) > query.limit
    return {
        "incidents": [store_incidents.as_answer(row) for row in page],
        "next_cursor": cursor.encode(page[-1].opened_at, page[-1].id) if more else None,
    }


@answers(GetMonitorStatus)
async def get_status(_: GetMonitorStatus, ctx: Context, deps: Deps) -> dict[str, Any]:
    """Tell what is wrong with the user's accounts, and the age of each feed."""
    async with deps.db.for_user(ctx.user) as unit:
        accounts = await store_accounts.accounts_of(unit)
    banners = [banner.model_dump(mode="json") for banner in banners_of(accounts, deps)]
    return {"banners": banners, "feeds": feeds_of(accounts, deps)}
