"""The roles of the database: an owner nobody logs in as, and per service a login that may do nothing but open doors.

1. `bookend_owner` owns schemas and tables and cannot log in.
2. `<service>_service` logs in, inherits nothing, and may become `<service>_tenant` or `<service>_worker`.
3. `backup_service` reads everything, row level security or not, and changes nothing.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import unicodedata
from collections.abc import Mapping

import asyncpg

from libs.common.messages.durables import SERVICES

OWNER = "bookend_owner"
BACKUP = "backup_service"

STATEMENT_S = 5.0
"""How long the server works on one statement of a service. Units: seconds."""

_ITERATIONS = 4096


class MigrationProblem(Exception):
    """The database cannot be brought up to date; says what is in the way and what helps."""


def password_variable(service: str) -> str:
    """Name the environment variable that holds the password of a login."""
    return f"{service.upper()}_DATABASE_PASSWORD"


async def ensure_roles(admin: asyncpg.Connection, environment: Mapping[str, str]) -> None:
    """Make every role and schema that is missing and set the passwords given. Raises: MigrationProblem."""
    await _ensure(admin, OWNER, "nologin noinherit")
    await _become(admin, OWNER)
    await admin.execute(f"revoke all on database {await _database(admin)} from public")
    for service in SERVICES:
        await _ensure_service(admin, service, environment.get(password_variable(service)))
    await _ensure_backup(admin, environment.get(password_variable("backup")))


async def _ensure_service(admin: asyncpg.Connection, service: str, password: str | None) -> None:
    login, tenant, worker = f"{service}_service", f"{service}_tenant", f"{service}_worker"
    known = await _exists(admin, login)
    if password is None and not known:
        message = f"{password_variable(service)} is not set: the login {login} needs a password"
        raise MigrationProblem(message)
    for door in (tenant, worker):
        await _ensure(admin, door, "nologin noinherit")
        await _become(admin, door)
    await _ensure(admin, login, "login noinherit")
    if password is not None:
        await _set_password(admin, login, password)
    await admin.execute(f"grant {tenant}, {worker} to {login} with inherit false, set true")
    await admin.execute(f"grant connect on database {await _database(admin)} to {login}")
    # Said of the login, not of the session, so that it holds behind a pooler too.
    settings = {
        "search_path": f"{service}, pg_catalog",
        "timezone": "UTC",
        "jit": "off",
        "statement_timeout": f"{STATEMENT_S:g}s",
        "lock_timeout": "4s",
        "idle_in_transaction_session_timeout": "30s",
    }
    for name, value in settings.items():
        await admin.execute(f"alter role {login} set {name} = {_values(name, value)}")
    await admin.execute(f"create schema if not exists {service} authorization {OWNER}")
    await admin.execute(f"grant usage on schema {service} to {tenant}, {worker}")


async def _ensure_backup(admin: asyncpg.Connection, password: str | None) -> None:
    try:
        await _ensure(admin, BACKUP, "noinherit bypassrls")
    except asyncpg.InsufficientPrivilegeError as error:
        message = (
            f"the server does not let this administrator make {BACKUP} with BYPASSRLS ({error.args[0]}). Without it a "
            f"backup would silently miss every row. Run once as a superuser: create role {BACKUP} bypassrls"
        )
        raise MigrationProblem(message) from error
    await admin.execute(f"grant pg_read_all_data to {BACKUP} with inherit true")
    await admin.execute(f"grant connect on database {await _database(admin)} to {BACKUP}")
    await admin.execute(f"alter role {BACKUP} set default_transaction_read_only = on")
    if password is not None:
        await admin.execute(f"alter role {BACKUP} login")
        await _set_password(admin, BACKUP, password)


async def _exists(admin: asyncpg.Connection, role: str) -> bool:
    return bool(await admin.fetchval("select 1 from pg_roles where rolname = $1", role))


async def _ensure(admin: asyncpg.Connection, role: str, attributes: str) -> None:
    if not await _exists(admin, role):
        await admin.execute(f"create role {role} {attributes}")


async def _become(admin: asyncpg.Connection, role: str) -> None:
    """Let the administrator, who need not be a superuser, act as `role`."""
    await admin.execute(f"grant {role} to current_user with inherit false, set true")


async def _database(admin: asyncpg.Connection) -> str:
    name: str = await admin.fetchval("select quote_ident(current_database())")
    return name


async def _set_password(admin: asyncpg.Connection, role: str, password: str) -> None:
    # The verifier, not the password: statements end up in server logs.
    await admin.execute(f"alter role {role} password '{scram_verifier(password)}'")


def scram_verifier(password: str, salt: bytes | None = None) -> str:
    """Return what PostgreSQL stores for a password, made here. Source: RFC 5802 §3, PostgreSQL `pg_authid`."""
    salt = salt or os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", unicodedata.normalize("NFKC", password).encode(), salt, _ITERATIONS)
    client = hmac.digest(salted, b"Client Key", "sha256")
    stored, server = hashlib.sha256(client).digest(), hmac.digest(salted, b"Server Key", "sha256")
    parts = (base64.b64encode(part).decode() for part in (salt, stored, server))
    return "SCRAM-SHA-256${}:{}${}:{}".format(_ITERATIONS, *parts)


def _values(name: str, value: str) -> str:
    return value if name == "search_path" else f"'{value}'"
