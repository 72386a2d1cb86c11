"""Monitor's rows of accounts: which are watched, and how their last read went. One purpose a function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from libs.common.messages.vocabulary import BrokerMode
from services.monitor.tables import account_status_cache, accounts, active_positions_cache, chassis_tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One watched account and how its last read went. `problem` is a banner's code, or None.

    `quiet_looks` counts the reads since anything of ours lived.
    """

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
    quiet_looks: int = 0
    doubtful_since: datetime | None = None
    doubt_reason: str | None = None
    doubt_digest: str | None = None
    listed_on: date | None = None
    """The New York day on which the list of orders last held something."""


def account_key(mode: BrokerMode, account_id: str) -> str:
    """Return the key of an account."""
    return f"{mode}:{account_id}"


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


async def account(unit: Unit, key: str, *, lock: bool = False) -> Account | None:
    """Read one account. Who changes both an account and its jobs locks the account first, so that nobody deadlocks."""
    statement = select(accounts).where(accounts.c.account_key == key)
    row = await unit.one(statement.with_for_update() if lock else statement)
    return None if row is None else _account(row)


async def accounts_of(unit: Unit) -> tuple[Account, ...]:
    """List the accounts that the door shows, in a stable order."""
    return tuple(_account(row) for row in await unit.all(select(accounts).order_by(accounts.c.account_key)))


async def drop_account(unit: Unit, key: str) -> None:
    """Stop watching an account: its cycles end by themselves. Fills stay for good."""
    for table in (accounts, account_status_cache, active_positions_cache):
        await unit.run(delete(table).where(table.c.account_key == key))


async def running_of(unit: Unit, kinds: Sequence[str]) -> frozenset[str]:
    """Name the accounts of the door whose cycles run right now."""
    jobs = chassis_tables.jobs
    mine = select(accounts.c.account_key)
    statement = select(jobs.c.key).where(
        jobs.c.kind.in_(kinds), jobs.c.key.in_(mine), jobs.c.claimed_until > func.now()
    )
    return frozenset(row.key for row in await unit.all(statement))


async def orders_synced(unit: Unit, key: str, at: datetime, *, is_quiet: bool) -> bool:
    """Note a complete read of the orders; says whether nothing is wrong (any more)."""
    looks = func.least(accounts.c.quiet_looks + 1, 1000) if is_quiet else 0
    return await _synced(unit, key, {"orders_synced_at": at, "quiet_looks": looks}, accounts.c.portfolio_synced_at)


async def portfolio_synced(unit: Unit, key: str, at: datetime) -> bool:
    """Note a complete read of money and holdings; says whether nothing is wrong (any more)."""
    return await _synced(unit, key, {"portfolio_synced_at": at}, accounts.c.orders_synced_at)


async def _synced(unit: Unit, key: str, values: dict[str, Any], other_at: Any) -> bool:
    """Store a read. What was wrong is over once both feeds were read since it began: one cannot hide the other."""
    is_over = or_(accounts.c.problem_since.is_(None), other_at >= accounts.c.problem_since)
    names = ("problem", "problem_detail", "problem_since")
    cleared = {name: case((is_over, None), else_=accounts.c[name]) for name in names}
    statement = update(accounts).where(accounts.c.account_key == key).values({**values, **cleared})
    row = await unit.one(statement.returning(accounts.c.problem))
    return row is not None and row.problem is None


async def note_problem(unit: Unit, key: str, problem: str, detail: str) -> bool:
    """Note why an account cannot be read, since when; False when that is known."""
    statement = update(accounts).where(accounts.c.account_key == key, accounts.c.problem.is_distinct_from(problem))
    values = {"problem": problem, "problem_detail": detail[:500], "problem_since": func.now()}
    return await unit.run(statement.values(values)) > 0
