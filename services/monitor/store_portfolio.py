"""The warm cache of accounts: money, holdings and every fill. One purpose a function."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import delete, func, select, tuple_
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from services.monitor.portfolio import AccountStatus, Execution, Holding
from services.monitor.store_accounts import Account
from services.monitor.tables import account_status_cache, accounts, active_positions_cache, trade_executions

REREAD = timedelta(hours=24)


async def keep_status(unit: Unit, account: Account, status: AccountStatus, at: datetime) -> None:
    """Replace what is known of an account's money."""
    values = {"account_key": account.account_key, "username": account.username, "timestamp": at, **asdict(status)}
    statement = insert(account_status_cache).values(values)
    changed = {name: statement.excluded[name] for name in values if name not in ("account_key", "username")}
    await unit.run(statement.on_conflict_do_update(index_elements=["account_key"], set_=changed))


async def keep_holdings(unit: Unit, account: Account, holdings: Iterable[Holding], at: datetime) -> bool:
    """Replace all holdings of an account at once; says whether any quantity changed."""
    table = active_positions_cache
    gone = delete(table).where(table.c.account_key == account.account_key).returning(table.c.symbol, table.c.quantity)
    before = {row.symbol: row.quantity for row in await unit.all(gone)}
    rows = [
        {"account_key": account.account_key, "username": account.username, "timestamp": at, **asdict(holding)}
        for holding in holdings
    ]
    if rows:
        await unit.run(insert(active_positions_cache).values(rows))
    return before != {row["symbol"]: row["quantity"] for row in rows}


async def filled_before(unit: Unit, key: str, order_ids: Iterable[str]) -> dict[str, tuple[Decimal, Decimal]]:
    """Sum the known fills of these orders: executed quantity and its cost."""
    order_id = func.split_part(trade_executions.c.broker_execution_id, "-", 1)
    cost = func.sum(trade_executions.c.quantity * trade_executions.c.price)
    statement = (
        select(order_id.label("order_id"), func.sum(trade_executions.c.quantity).label("quantity"), cost.label("cost"))
        .where(trade_executions.c.account_key == key, order_id.in_(list(order_ids)))
        .group_by(order_id)
    )
    return {row.order_id: (row.quantity, row.cost) for row in await unit.all(statement)}


async def keep_executions(unit: Unit, account: Account, executions: Iterable[Execution]) -> int:
    """Append fills; one that is known stays as it is."""
    rows = [
        {
            "account_key": account.account_key,
            "username": account.username,
            "broker": "tradier",
            "account_id": account.account_id,
            **asdict(execution),
        }
        for execution in executions
    ]
    return await unit.run(insert(trade_executions).values(rows).on_conflict_do_nothing()) if rows else 0


async def statuses(unit: Unit) -> dict[str, dict[str, Any]]:
    """Read the money of the user's accounts, by account key."""
    joined = select(account_status_cache, accounts.c.account_id).join(
        accounts, accounts.c.account_key == account_status_cache.c.account_key
    )
    hidden = ("account_key", "username")
    rows = await unit.all(joined)
    return {
        row.account_key: {name: value for name, value in row._asdict().items() if name not in hidden} for row in rows
    }


async def positions(unit: Unit, account: Account) -> list[dict[str, Any]]:
    """Read the holdings of an account. Greeks are absent until they are filled from a second source."""
    table = active_positions_cache
    rows = await unit.all(select(table).where(table.c.account_key == account.account_key).order_by(table.c.symbol))
    unfilled = dict.fromkeys(("delta", "gamma", "theta", "vega", "iv", "greeks_source"))
    return [{"account_id": account.account_id, **unfilled, **_shown(row)} for row in rows]


def labelled(positions: list[dict[str, Any]], held: Mapping[str, int]) -> list[dict[str, Any]]:
    """Say of each holding how much of it is not ours. Units: contracts or shares."""
    return [one | {"foreign_qty": one["quantity"] - held.get(one["symbol"], 0)} for one in positions]


async def executions(
    unit: Unit,
    *,
    limit: int,
    account_key: str | None = None,
    before: tuple[datetime, str] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, Any]]:
    """List fills, newest first."""
    table = trade_executions
    statement = select(table).order_by(table.c.execution_time.desc(), table.c.broker_execution_id.desc()).limit(limit)
    if account_key is not None:
        statement = statement.where(table.c.account_key == account_key)
    if since is not None:
        statement = statement.where(table.c.execution_time >= since)
    if until is not None:
        statement = statement.where(table.c.execution_time < until)
    if before is not None:
        statement = statement.where(tuple_(table.c.execution_time, table.c.broker_execution_id) < tuple_(*before))
    return [_shown(row) for row in await unit.all(statement)]


def _shown(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._asdict().items() if name not in ("account_key", "username")}
