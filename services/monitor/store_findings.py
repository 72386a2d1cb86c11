"""What full looks found: standing findings, doubt, and orders that are not ours. One purpose a function."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from libs.broker.orders import OrderReport
from libs.common.db import Unit
from libs.common.messages.vocabulary import Finding
from services.monitor.doubting import Doubt
from services.monitor.findings import Standing
from services.monitor.store_accounts import Account
from services.monitor.tables import accounts, foreign_orders, incidents, standing

CAUSE = "finding"


def cause_key(account_key: str, kind: str, subject: str) -> str:
    """Name the incident of a finding."""
    return f"{CAUSE}:{account_key}:{kind}:{subject}"


async def standing_of(unit: Unit, key: str) -> tuple[Standing, ...]:
    """Read what the last look found."""
    rows = await unit.all(select(standing).where(standing.c.account_key == key))
    return tuple(
        Standing(
            kind=Finding(row.kind),
            subject=row.subject,
            key_version=row.key_version,
            looks=row.looks,
            asked_at=row.asked_at,
        )
        for row in rows
    )


async def keep_standing(unit: Unit, account: Account, found: Iterable[Standing]) -> None:
    """Replace what the last look found."""
    await unit.run(delete(standing).where(standing.c.account_key == account.account_key))
    rows = [
        {
            "account_key": account.account_key,
            "username": account.username,
            "kind": one.kind.value,
            "subject": one.subject,
            "key_version": one.key_version,
            "looks": one.looks,
            "asked_at": one.asked_at,
        }
        for one in found
    ]
    if rows:
        await unit.run(insert(standing).values(rows))


def doubt_of(account: Account) -> Doubt | None:
    """Return the account's doubt."""
    if account.doubtful_since is None:
        return None
    return Doubt(since_at=account.doubtful_since, reason=account.doubt_reason or "", digest=account.doubt_digest)


async def keep_look(unit: Unit, key: str, doubt: Doubt | None, listed_on: date | None) -> None:
    """Store whether the view is doubtful, and the New York day on which the list last held something."""
    values: dict[str, Any] = {
        "doubtful_since": None if doubt is None else doubt.since_at,
        "doubt_reason": None if doubt is None else doubt.reason[:500],
        "doubt_digest": None if doubt is None else doubt.digest,
    }
    if listed_on is not None:
        values["listed_on"] = listed_on
    await unit.run(update(accounts).where(accounts.c.account_key == key).values(values))


async def open_findings(unit: Unit, key: str) -> frozenset[str]:
    """Name the causes of an account's open incidents that looks opened."""
    mine = incidents.c.cause_key.startswith(f"{CAUSE}:{key}:", autoescape=True)
    rows = await unit.all(select(incidents.c.cause_key).where(mine, incidents.c.ended_at.is_(None)))
    return frozenset(row.cause_key for row in rows)


async def told_by_orders(unit: Unit) -> frozenset[tuple[str, str]]:
    """Name kind and trade of the user's open incidents that orders itself raised."""
    table = incidents.c
    statement = select(table.kind, table.trade_id).where(
        table.ended_at.is_(None), table.trade_id.is_not(None), ~table.cause_key.startswith(f"{CAUSE}:")
    )
    return frozenset((row.kind, row.trade_id) for row in await unit.all(statement))


async def keep_foreign(unit: Unit, account: Account, orders: Iterable[OrderReport]) -> None:
    """Replace the orders of the session that are not ours."""
    await unit.run(delete(foreign_orders).where(foreign_orders.c.account_key == account.account_key))
    rows: dict[str, dict[str, Any]] = {
        order.id: {
            "account_key": account.account_key,
            "username": account.username,
            "broker_order_id": order.id,
            "occ_symbol": order.occ_symbol,
            "symbol": order.symbol,
            "side": None if order.side is None else order.side.value,
            "type": None if order.type is None else order.type.value,
            "status": order.status.value,
            "qty": order.qty,
            "filled_qty": order.exec_qty,
            "price": order.price,
            "stop": order.stop,
            "created_at": order.created_at,
        }
        for order in orders
    }
    if rows:
        await unit.run(insert(foreign_orders).values(list(rows.values())))


async def foreign(unit: Unit, key: str) -> list[dict[str, Any]]:
    """List the orders of an account that are not ours, as the page shows them."""
    hidden = ("account_key", "username")
    statement = select(foreign_orders).where(foreign_orders.c.account_key == key)
    rows = await unit.all(statement.order_by(foreign_orders.c.broker_order_id))
    ours = {"is_ours": False, "trade_id": None, "role": None}
    return [ours | {name: value for name, value in row._asdict().items() if name not in hidden} for row in rows]


async def asked(unit: Unit, key: str, found: Iterable[Standing], at: datetime) -> None:
    """Note that repairs were asked for."""
    for one in found:
        statement = update(standing).where(
            standing.c.account_key == key, standing.c.kind == one.kind.value, standing.c.subject == one.subject
        )
        await unit.run(statement.values(asked_at=at))
