"""Incidents: opened once for a cause, ended once. One purpose a function."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from libs.common.ids import new_id
from libs.common.messages.monitor import IncidentEnded, IncidentOpened
from libs.common.messages.vocabulary import BrokerMode, Severity
from services.monitor.tables import incidents


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why an incident exists. One open incident per user and `cause_key`."""

    cause_key: str
    kind: str
    severity: Severity
    text: str
    trade_id: str | None = None
    occ_symbol: str | None = None
    broker_mode: BrokerMode | None = None
    account_id: str | None = None


async def open_incident(unit: Unit, username: str, cause: Cause, at: datetime) -> bool:
    """Open the cause's incident and say so; False when it is open already."""
    values: dict[str, Any] = {
        "id": new_id(),
        "username": username,
        "cause_key": cause.cause_key,
        "kind": cause.kind,
        "severity": cause.severity.value,
        "text": cause.text,
        "trade_id": cause.trade_id,
        "occ_symbol": cause.occ_symbol,
        "broker_mode": None if cause.broker_mode is None else cause.broker_mode.value,
        "account_id": cause.account_id,
        "opened_at": at,
        "key_version": 1,
    }
    if await unit.run(insert(incidents).values(values).on_conflict_do_nothing()) == 0:
        return False
    unit.lock_taken(values["id"])
    told = {name: value for name, value in values.items() if name not in ("username", "cause_key")}
    unit.emit(IncidentOpened.model_validate(told), user=username)
    return True


async def end_incident(unit: Unit, username: str, cause_key: str, at: datetime) -> bool:
    """End the cause's open incident and say so; False when none is open."""
    statement = (
        update(incidents)
        .where(incidents.c.username == username, incidents.c.cause_key == cause_key, incidents.c.ended_at.is_(None))
        .values(ended_at=at, key_version=incidents.c.key_version + 1)
        .returning(incidents)
    )
    row = await unit.one(statement)
    if row is None:
        return False
    unit.lock_taken(row.id)
    told = {name: getattr(row, name) for name in IncidentEnded.model_fields}
    unit.emit(IncidentEnded.model_validate(told), user=username)
    return True


async def open_among(unit: Unit, username: str, causes: Sequence[str]) -> list[str]:
    """Name the causes among these whose incident is open."""
    statement = select(incidents.c.cause_key).where(
        incidents.c.username == username, incidents.c.cause_key.in_(causes), incidents.c.ended_at.is_(None)
    )
    return sorted(row.cause_key for row in await unit.all(statement))


async def list_incidents(
    unit: Unit, *, is_open: bool | None, trade_id: str | None, before: tuple[datetime, str] | None, limit: int
) -> Any:
    """List the user's incidents, newest first, `limit` + 1 at most."""
    statement = select(incidents).order_by(incidents.c.opened_at.desc(), incidents.c.id.desc()).limit(limit + 1)
    if is_open is not None:
        statement = statement.where(incidents.c.ended_at.is_(None) if is_open else incidents.c.ended_at.is_not(None))
    if trade_id is not None:
        statement = statement.where(incidents.c.trade_id == trade_id)
    if before is not None:
        statement = statement.where(tuple_(incidents.c.opened_at, incidents.c.id) < tuple_(*before))
    return await unit.all(statement)


async def open_by_kind(unit: Unit) -> dict[str, int]:
    """Count the open incidents that the door shows."""
    number = func.count().label("number")
    statement = select(incidents.c.kind, number).where(incidents.c.ended_at.is_(None)).group_by(incidents.c.kind)
    return {row.kind: row.number for row in await unit.all(statement)}


def as_answer(row: Any) -> dict[str, Any]:
    """Write an incident for the outside."""
    hidden = ("username", "cause_key", "key_version")
    return {name: value for name, value in row._asdict().items() if name not in hidden}
