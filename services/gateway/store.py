"""Accounts in the database: users, sessions, keys and sign-in counts. Rows become values here only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import orjson
from sqlalchemy import and_, case, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from services.gateway.tables import API_KEYS, KNOWN_ADDRESSES, LOGIN_FAILURES, SESSIONS, USERS

if TYPE_CHECKING:
    from libs.common.db import Unit


@dataclass(frozen=True)
class User:
    """Somebody with an account."""

    username: str
    password_hash: str
    is_admin: bool
    created_at: datetime


@dataclass(frozen=True)
class Known:
    """Who a session or key belongs to. `scopes`, `name` and `is_unused_lately` are a key's."""

    id: str
    username: str
    is_admin: bool
    created_at: datetime
    scopes: tuple[str, ...] = ()
    name: str = ""
    is_unused_lately: bool = False


@dataclass(frozen=True)
class Ended:
    """A session that is no more."""

    id: str
    username: str


@dataclass(frozen=True)
class Failures:
    """Counts that throttle a sign-in: (failures, seconds since the last) of each kind."""

    pair: tuple[int, float]
    address: tuple[int, float]
    account: tuple[int, float]
    is_known: bool


_SESSION = """
select json_build_object('id', s.id, 'username', s.username, 'is_admin', u.is_admin, 'created_at', u.created_at)::text
from gateway.sessions s join gateway.users u on u.username = s.username
where s.token_hash = $1 and s.expires_at > now()
"""
_KEY = """
select json_build_object(
  'id', k.id, 'username', k.username, 'is_admin', u.is_admin, 'created_at', u.created_at, 'scopes', k.scopes,
  'name', k.name,
  'is_unused_lately', k.last_used_at is null or k.last_used_at < now() - interval '1 minute')::text
from gateway.api_keys k join gateway.users u on u.username = k.username
where k.key_hash = $1 and k.revoked_at is null
"""


async def insert_user(unit: Unit, username: str, password_hash: str, *, is_admin: bool) -> User | None:
    """Store a new user, whose row stays locked; None when the name is taken."""
    statement = (
        insert(USERS)
        .values(username=username, password_hash=password_hash, is_admin=is_admin)
        .on_conflict_do_nothing()
        .returning(USERS.c.created_at)
    )
    created_at = await unit.scalar(statement)
    if created_at is None:
        return None
    unit.lock_taken(username)
    return User(username, password_hash, is_admin, created_at)


async def user_of(unit: Unit, username: str) -> User | None:
    """Find a user by name."""
    row = await unit.one(
        select(USERS.c.username, USERS.c.password_hash, USERS.c.is_admin, USERS.c.created_at).where(
            USERS.c.username == username
        )
    )
    return User(row.username, row.password_hash, row.is_admin, row.created_at) if row else None


async def users_among(unit: Unit, names: Sequence[str]) -> frozenset[str]:
    """Return those of these names that are somebody's."""
    return frozenset(
        row.username for row in await unit.all(select(USERS.c.username).where(USERS.c.username.in_(names)))
    )


async def set_password(unit: Unit, username: str, password_hash: str) -> None:
    """Replace the password's hash."""
    await unit.run(
        update(USERS)
        .where(USERS.c.username == username)
        .values(password_hash=password_hash, password_changed_at=func.now())
    )


async def set_admin(unit: Unit, username: str, *, is_admin: bool) -> int:
    """Make a user an administrator, or no more."""
    return await unit.run(update(USERS).where(USERS.c.username == username).values(is_admin=is_admin))


async def insert_session(
    unit: Unit, session_id: str, username: str, *, token_hash: str, lasts: timedelta, user_agent: str
) -> None:
    """Store a session by its token's hash."""
    await unit.run(
        insert(SESSIONS).values(
            id=session_id,
            username=username,
            token_hash=token_hash,
            user_agent=user_agent,
            expires_at=func.now() + lasts,
        )
    )


async def session_of(unit: Unit, token_hash: str) -> Known | None:
    """Find a live session by its token's hash."""
    return _known(await unit.json(_SESSION, token_hash))


async def key_of(unit: Unit, key_hash: str) -> Known | None:
    """Find a live API key by its hash."""
    return _known(await unit.json(_KEY, key_hash))


def _known(found: bytes | None) -> Known | None:
    if found is None:
        return None
    row = orjson.loads(found)
    row["created_at"] = datetime.fromisoformat(row["created_at"])
    row["scopes"] = tuple(row.get("scopes", ()))
    return Known(**row)


async def delete_session(unit: Unit, token_hash: str) -> Ended | None:
    """End the session of a token."""
    row = await unit.one(
        delete(SESSIONS).where(SESSIONS.c.token_hash == token_hash).returning(SESSIONS.c.id, SESSIONS.c.username)
    )
    return Ended(row.id, row.username) if row else None


async def delete_sessions(unit: Unit, username: str, *, but: str) -> set[str]:
    """End all sessions of a user except one; return their ids."""
    rows = await unit.all(
        delete(SESSIONS).where(SESSIONS.c.username == username, SESSIONS.c.id != but).returning(SESSIONS.c.id)
    )
    return {row.id for row in rows}


async def still_live(unit: Unit, ids: Sequence[str]) -> set[str]:
    """Return which of these sessions and keys still hold."""
    sessions = select(SESSIONS.c.id).where(SESSIONS.c.id.in_(ids), SESSIONS.c.expires_at > func.now())
    live_keys = select(API_KEYS.c.id).where(API_KEYS.c.id.in_(ids), API_KEYS.c.revoked_at.is_(None))
    return {row.id for row in await unit.all(sessions.union_all(live_keys))}


async def touch_key(unit: Unit, key_id: str) -> None:
    """Note that a key is in use."""
    await unit.run(update(API_KEYS).where(API_KEYS.c.id == key_id).values(last_used_at=func.now()))


async def failures_of(unit: Unit, account: str, address: str) -> Failures:
    """Read the counts that throttle a sign-in; an empty account is a name nobody can have."""
    here = LOGIN_FAILURES.c
    age = func.extract("epoch", func.clock_timestamp() - here.last_failed_at)
    rows = await unit.all(
        select(here.username, here.address, here.failures, age.label("age_s")).where(
            or_(*(and_(here.username == u, here.address == a) for u, a in _buckets(account, address)))
        )
    )
    counts = {(row.username, row.address): (row.failures, float(row.age_s)) for row in rows}
    known = await unit.scalar(
        select(KNOWN_ADDRESSES.c.username).where(
            KNOWN_ADDRESSES.c.username == account, KNOWN_ADDRESSES.c.address == address
        )
    )
    none = (0, 0.0)
    return Failures(
        pair=counts.get((account, address), none) if account else none,
        address=counts.get(("", address), none),
        account=counts.get((account, ""), none) if account else none,
        is_known=known is not None,
    )


async def count_failure(unit: Unit, account: str, address: str, forgotten_after_s: float) -> None:
    """Count one more failure in each of the counts; one that is old enough starts again."""
    now = func.clock_timestamp()
    for username, place in _buckets(account, address):
        await unit.run(
            insert(LOGIN_FAILURES)
            .values(username=username, address=place, failures=1, last_failed_at=now)
            .on_conflict_do_update(
                index_elements=["username", "address"],
                set_={
                    "failures": case(
                        (LOGIN_FAILURES.c.last_failed_at < now - timedelta(seconds=forgotten_after_s), 1),
                        else_=LOGIN_FAILURES.c.failures + 1,
                    ),
                    "last_failed_at": now,
                },
            )
        )


def _buckets(account: str, address: str) -> list[tuple[str, str]]:
    """List the counts of a try in the order in which they are locked."""
    return sorted({("", address), (account, ""), (account, address)} - {("", "")})


async def forgive(unit: Unit, username: str, address: str) -> None:
    """Forget the failures of an account from an address."""
    await unit.run(
        delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.username == username, LOGIN_FAILURES.c.address == address)
    )


async def forget_failures(unit: Unit, older_than_s: float) -> int:
    """Drop counts that bind nobody any more."""
    limit = func.now() - timedelta(seconds=older_than_s)
    return await unit.run(delete(LOGIN_FAILURES).where(LOGIN_FAILURES.c.last_failed_at < limit))


async def drop_ended_sessions(unit: Unit) -> int:
    """Drop sessions whose time is over."""
    return await unit.run(delete(SESSIONS).where(SESSIONS.c.expires_at < func.now()))


async def remember_address(unit: Unit, username: str, address: str) -> None:
    """Remember an address as one from which the account's owner comes."""
    await unit.run(
        insert(KNOWN_ADDRESSES)
        .values(username=username, address=address)
        .on_conflict_do_update(index_elements=["username", "address"], set_={"last_seen_at": func.now()})
    )
