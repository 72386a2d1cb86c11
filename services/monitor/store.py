"""Monitor's rows: our trades' projection, accounts and what was seen of orders. One purpose a function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.trade import TradeRow
from libs.common.messages.vocabulary import TERMINAL_ORDERS, BrokerMode, OrderRole, OrderStatus, TradeStatus
from services.monitor.reconcile import OurOrder, OurTrade, Seen, is_over
from services.monitor.tables import accounts, chassis_tables, seen_orders, tracked


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One watched account and how its last read went. `problem` is a banner's code, or None."""

    account_key: str
    username: str
    broker_mode: BrokerMode
    account_id: str
    account_name: str | None
    hints: int
    hot_until: datetime | None
    orders_synced_at: datetime | None
    portfolio_synced_at: datetime | None
    problem: str | None
    problem_detail: str | None
    problem_since: datetime | None


def account_key(mode: BrokerMode, account_id: str) -> str:
    """Return the key of an account."""
    return f"{mode}:{account_id}"


# ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def ours(row: TradeRow) -> OurTrade:
    """Keep of a trade what watching needs."""
    return OurTrade(
        trade_id=row.id,
        username=row.username,
        broker_mode=row.broker_mode,
        account_id=row.account_id,
        ticker=row.ticker,
        occ_symbol=row.occ_symbol,
        status=row.status,
        sl_price=row.sl_price,
        tp_price=row.tp_price,
        orders=tuple(
            OurOrder(
                trade_id=row.id,
                role=order.role,
                status=order.status,
                tag=order.tag,
                broker_order_id=order.broker_order_id,
                qty=order.qty,
                filled_qty=order.filled_qty,
            )
            for order in row.orders
        ),
        key_version=row.key_version,
    )


async def keep_trade(unit: Unit, trade: OurTrade) -> bool:
    """Store the newest view of a trade; False when what is stored is as new."""
    values = {
        "trade_id": trade.trade_id,
        "username": trade.username,
        "account_key": account_key(trade.broker_mode, trade.account_id),
        "broker_mode": trade.broker_mode.value,
        "account_id": trade.account_id,
        "ticker": trade.ticker,
        "occ_symbol": trade.occ_symbol,
        "status": trade.status.value,
        "sl_price": trade.sl_price,
        "tp_price": trade.tp_price,
        "orders": [{**asdict(order), "role": order.role.value, "status": order.status.value} for order in trade.orders],
        "key_version": trade.key_version,
        "changed_at": func.now(),
        "is_over": is_over(trade),
    }
    statement = insert(tracked).values(values)
    newer = {name: statement.excluded[name] for name in values if name not in ("trade_id", "username")}
    statement = statement.on_conflict_do_update(
        index_elements=[tracked.c.trade_id], set_=newer, where=tracked.c.key_version < statement.excluded.key_version
    )
    return await unit.run(statement) > 0


def _trade(row: Any) -> OurTrade:
    return OurTrade(
        trade_id=row.trade_id,
        username=row.username,
        broker_mode=BrokerMode(row.broker_mode),
        account_id=row.account_id,
        ticker=row.ticker,
        occ_symbol=row.occ_symbol,
        status=TradeStatus(row.status),
        sl_price=row.sl_price,
        tp_price=row.tp_price,
        orders=tuple(
            OurOrder(**{**order, "role": OrderRole(order["role"]), "status": OrderStatus(order["status"])})
            for order in row.orders
        ),
        key_version=row.key_version,
    )


async def trades_of(unit: Unit, key: str, *, over_within: timedelta) -> tuple[OurTrade, ...]:
    """List an account's live trades, and those that ended a moment ago: a late fill must find its owner."""
    recent = tracked.c.changed_at > func.now() - over_within
    rows = await unit.all(select(tracked).where(tracked.c.account_key == key, ~tracked.c.is_over | recent))
    return tuple(_trade(row) for row in rows)


async def trades_on(unit: Unit, ticker: str) -> tuple[OurTrade, ...]:
    """List every user's live trades on one ticker."""
    rows = await unit.all(select(tracked).where(tracked.c.ticker == ticker, ~tracked.c.is_over))
    return tuple(_trade(row) for row in rows)


async def working_orders(unit: Unit, key: str) -> list[dict[str, Any]]:
    """List the orders of ours that still live in an account, as the page shows them."""
    statement = select(tracked).where(tracked.c.account_key == key, ~tracked.c.is_over)
    rows = [_trade(row) for row in await unit.all(statement)]
    return [
        {
            "trade_id": trade.trade_id,
            "occ_symbol": trade.occ_symbol,
            "role": order.role,
            "status": order.status,
            "broker_order_id": order.broker_order_id,
            "qty": order.qty,
            "filled_qty": order.filled_qty,
        }
        for trade in rows
        for order in trade.orders
        if order.status not in TERMINAL_ORDERS
    ]


# ── accounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _account(row: Any) -> Account:
    return Account(
        **{
            **{name: getattr(row, name) for name in Account.__dataclass_fields__},
            "broker_mode": BrokerMode(row.broker_mode),
        }
    )


async def keep_account(
    unit: Unit, username: str, mode: BrokerMode, account_id: str, account_name: str | None = None
) -> bool:
    """Begin to watch an account; False when it is watched already (its name is brought up to date)."""
    values = {
        "account_key": account_key(mode, account_id),
        "username": username,
        "broker_mode": mode.value,
        "account_id": account_id,
        "account_name": account_name,
    }
    if await unit.run(insert(accounts).values(values).on_conflict_do_nothing()) > 0:
        return True
    if account_name is not None:
        named = update(accounts).where(accounts.c.account_key == values["account_key"])
        await unit.run(named.values(account_name=account_name))
    return False


async def account(unit: Unit, key: str) -> Account | None:
    """Read one account."""
    row = await unit.one(select(accounts).where(accounts.c.account_key == key))
    return None if row is None else _account(row)


async def accounts_of(unit: Unit) -> tuple[Account, ...]:
    """List the accounts that the door shows, in a stable order."""
    return tuple(_account(row) for row in await unit.all(select(accounts).order_by(accounts.c.account_key)))


async def running_of(unit: Unit, kinds: Sequence[str]) -> frozenset[str]:
    """Name the accounts of the door whose cycles run right now."""
    jobs = chassis_tables.jobs
    mine = select(accounts.c.account_key)
    statement = select(jobs.c.key).where(
        jobs.c.kind.in_(kinds), jobs.c.key.in_(mine), jobs.c.claimed_until > func.now()
    )
    return frozenset(row.key for row in await unit.all(statement))


async def hint(unit: Unit, key: str, *, hot_for: timedelta | None = None) -> None:
    """Note that something happened in an account, and keep it hot for a while."""
    values: dict[str, Any] = {"hints": accounts.c.hints + 1}
    if hot_for is not None:
        values["hot_until"] = func.greatest(accounts.c.hot_until, func.now() + hot_for)
    await unit.run(update(accounts).where(accounts.c.account_key == key).values(values))


async def orders_synced(unit: Unit, key: str, at: datetime) -> None:
    """Note a complete read of the orders; whatever was wrong is over."""
    await _synced(unit, key, {"orders_synced_at": at})


async def portfolio_synced(unit: Unit, key: str, at: datetime) -> None:
    """Note a complete read of money and holdings."""
    await _synced(unit, key, {"portfolio_synced_at": at})


async def _synced(unit: Unit, key: str, values: dict[str, Any]) -> None:
    cleared = {"problem": None, "problem_detail": None, "problem_since": None}
    await unit.run(update(accounts).where(accounts.c.account_key == key).values({**values, **cleared}))


async def note_problem(unit: Unit, key: str, problem: str, detail: str) -> bool:
    """Note why an account cannot be read, since when; False when that is known."""
    statement = update(accounts).where(accounts.c.account_key == key, accounts.c.problem.is_distinct_from(problem))
    values = {"problem": problem, "problem_detail": detail[:500], "problem_since": func.now()}
    return await unit.run(statement.values(values)) > 0


# ── orders seen ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def seen_of(unit: Unit, key: str, trade_ids: Sequence[str]) -> dict[str, Seen]:
    """Lock and read what was last told of the orders of these trades."""
    statement = select(seen_orders).where(seen_orders.c.account_key == key, seen_orders.c.trade_id.in_(trade_ids))
    rows = await unit.all(statement.with_for_update())
    for row in rows:
        unit.lock_taken(row.order_key)
    return {
        row.order_key: Seen(
            order_key=row.order_key,
            status=OrderStatus(row.status),
            filled_qty=row.filled_qty,
            avg_fill_price=row.avg_fill_price,
            key_version=row.key_version,
        )
        for row in rows
    }


async def tell(unit: Unit, username: str, key: str, changed: Iterable[tuple[OrderChanged, int]]) -> int:
    """Store what is told of each order and say it, unless another runner just told it; returns how many were told."""
    told = 0
    for fact, version in changed:
        values = {
            "order_key": fact.order_key,
            "username": username,
            "account_key": key,
            "trade_id": fact.trade_id,
            "role": fact.role.value if fact.role is not None else "",
            "status": fact.status.value,
            "filled_qty": fact.filled_qty,
            "avg_fill_price": fact.avg_fill_price,
            "key_version": version,
            "seen_at": fact.seen_at,
        }
        statement = insert(seen_orders).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=[seen_orders.c.order_key],
            set_={name: statement.excluded[name] for name in values if name not in ("order_key", "username")},
            where=seen_orders.c.key_version < statement.excluded.key_version,
        )
        if await unit.run(statement) > 0:
            unit.lock_taken(fact.order_key)
            unit.emit(fact, key_version=version, user=username)
            told += 1
    return told
