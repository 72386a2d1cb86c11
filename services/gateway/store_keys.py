"""API keys in the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from services.gateway.tables import API_KEYS

if TYPE_CHECKING:
    from libs.common.db import Unit


@dataclass(frozen=True)
class ApiKey:
    """A key as it may be shown."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    last_used_at: datetime | None


_SHOWN = (API_KEYS.c.id, API_KEYS.c.name, API_KEYS.c.scopes, API_KEYS.c.created_at, API_KEYS.c.last_used_at)


async def keys_of(unit: Unit, username: str) -> list[ApiKey]:
    """List a user's keys that are not revoked, newest first."""
    statement = (
        select(*_SHOWN)
        .where(API_KEYS.c.username == username, API_KEYS.c.revoked_at.is_(None))
        .order_by(API_KEYS.c.created_at.desc(), API_KEYS.c.id.desc())
    )
    return [_key(row) for row in await unit.all(statement)]


async def count_keys(unit: Unit, username: str) -> int:
    """Count a user's keys that are not revoked."""
    statement = select(func.count()).where(API_KEYS.c.username == username, API_KEYS.c.revoked_at.is_(None))
    return int(await unit.scalar(statement))


async def insert_key(
    unit: Unit, key_id: str, username: str, *, name: str, key_hash: str, scopes: Sequence[str]
) -> ApiKey:
    """Store a key by its hash."""
    row = await unit.one(
        insert(API_KEYS)
        .values(id=key_id, username=username, name=name, key_hash=key_hash, scopes=list(scopes))
        .returning(*_SHOWN)
    )
    return _key(row)


async def revoke_key(unit: Unit, username: str, key_id: str) -> str | None:
    """Revoke a user's key and return its name; None when there is none."""
    statement = (
        update(API_KEYS)
        .where(API_KEYS.c.username == username, API_KEYS.c.id == key_id, API_KEYS.c.revoked_at.is_(None))
        .values(revoked_at=func.now())
        .returning(API_KEYS.c.name)
    )
    name: str | None = await unit.scalar(statement)
    return name


async def last_revocations(unit: Unit, usernames: Sequence[str]) -> dict[str, datetime]:
    """Say when each of these users last revoked a key; who never did is left out."""
    statement = (
        select(API_KEYS.c.username, func.max(API_KEYS.c.revoked_at).label("revoked_at"))
        .where(API_KEYS.c.username.in_(usernames), API_KEYS.c.revoked_at.is_not(None))
        .group_by(API_KEYS.c.username)
    )
    return {row.username: row.revoked_at for row in await unit.all(statement)}


def _key(row: Any) -> ApiKey:
    id_, name, scopes, created_at, last_used_at = row
    return ApiKey(id_, name, tuple(scopes), created_at, last_used_at)
