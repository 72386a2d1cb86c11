"""Bring the database up to date: roles, schemas, then one chain of migrations per service.

`python -m libs.common.migrate` runs everything with the administrator's DATABASE_URL (the direct address, never a
pooler); `--check` only says whether there is anything to do, quickly. A service without migrations is left out.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg

from libs.common.address import driver_url
from libs.common.ddl import Op, chassis_tables, shared_table, tenant_table, worker_table
from libs.common.messages.durables import SERVICES
from libs.common.roles import OWNER, MigrationProblem, ensure_roles

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

__all__ = ["as_worker", "chassis_tables", "migrate", "shared_table", "tenant_table", "worker_table"]

ROOT = Path(__file__).resolve().parents[2]
VERSION_TABLE = "alembic_version"

_LOCK = 0x600C_E2D0
"""The advisory lock that makes concurrent runs wait for each other."""

_REVISION = re.compile(r"^(down_)?revision\b[^=\n]*=\s*(?:[\"']([^\"']+)[\"']|None)", re.M)


def versions_dir(service: str) -> Path:
    """Say where the chain of a service lies."""
    return ROOT / "services" / service / "migrations" / "versions"


def head_of(service: str) -> str | None:
    """Name the last migration of a service's chain, None when it has none. Raises: MigrationProblem on two ends."""
    made: set[str] = set()
    followed: set[str] = set()
    for file in sorted(versions_dir(service).glob("[0-9]*.py")):
        for down, name in _REVISION.findall(file.read_text(encoding="utf-8")):
            (followed if down else made).add(name)
    ends = made - followed
    if len(ends) > 1:
        message = f"the chain of {service} has {len(ends)} ends: {', '.join(sorted(ends))}"
        raise MigrationProblem(message)
    return ends.pop() if ends else None


async def behind(url: str, services: Sequence[str] = SERVICES) -> list[str]:
    """List the services whose schema is not at the end of its chain. Raises: OSError, asyncpg's errors."""
    admin = await asyncpg.connect(driver_url(url), timeout=5, statement_cache_size=0)
    try:
        late = []
        for service in services:
            head = head_of(service)
            if head is None:
                continue
            table = f"{service}.{VERSION_TABLE}"
            known = await admin.fetchval("select to_regclass($1) is not null", table)
            current = await admin.fetchval(f"select version_num from {table}") if known else None  # noqa: S608
            if current != head:
                late.append(service)
        return late
    finally:
        await admin.close()


async def migrate(url: str, environment: Mapping[str, str], services: Sequence[str] = SERVICES) -> list[str]:
    """Make roles and schemas and run every chain to its end; returns what was done, a line each.

    Idempotent: yes. Runs at the same time wait for each other. Raises: MigrationProblem.
    """
    admin = await asyncpg.connect(driver_url(url), timeout=10)
    try:
        await admin.execute("select pg_advisory_lock($1)", _LOCK)
        await ensure_roles(admin, environment)
        done = []
        for service in services:
            if head_of(service) is None:
                done.append(f"{service}: no migrations")
                continue
            before = await _version(admin, service)
            await _upgrade(url, service)
            after = await _version(admin, service)
            done.append(f"{service}: {before or 'empty'} -> {after}" if before != after else f"{service}: {after}")
        return done
    finally:
        await admin.close(timeout=5)


@contextmanager
def as_worker(op: Op, schema: str) -> Iterator[None]:
    """Run a data step as the worker: FORCE binds the owner too, whose update would touch no row and say nothing."""
    op.execute(f"set local role {schema}_worker")
    yield
    # Not after an error: the transaction is lost then, with everything it set.
    op.execute(f"set local role {OWNER}")


async def _version(admin: asyncpg.Connection, service: str) -> str | None:
    table = f"{service}.{VERSION_TABLE}"
    if not await admin.fetchval("select to_regclass($1) is not null", table):
        return None
    version: str | None = await admin.fetchval(f"select version_num from {table}")  # noqa: S608
    return version


async def _upgrade(url: str, service: str) -> None:
    # Slow to import, so only when there is something to run.
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    async def connect(*_: Any, **__: Any) -> asyncpg.Connection:
        return await asyncpg.connect(driver_url(url), timeout=10)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run_chain, service)
    finally:
        await engine.dispose()


def _run_chain(connection: Connection, service: str) -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", _escaped(ROOT / "libs" / "common" / "migration_env"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", _escaped(versions_dir(service)))
    config.attributes["connection"] = connection
    config.attributes["schema"] = service
    command.upgrade(config, "head")


def _escaped(path: Path) -> str:
    return str(path).replace("%", "%%")


def _arguments(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m libs.common.migrate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="only say what is behind; exit code 1 when anything is")
    return parser.parse_args(argv)


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


async def _main(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    check = _arguments(argv).check
    url = environment.get("DATABASE_URL", "")
    if not url:
        _say("DATABASE_URL is not set: where is the database, and who administers it?")
        return 2
    try:
        if check:
            late = await behind(url)
            _say(f"behind: {', '.join(late)}" if late else "up to date")
            return 1 if late else 0
        for line in await migrate(url, environment):
            _say(line)
    except MigrationProblem as problem:
        _say(f"cannot migrate: {problem}")
        return 2
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        _say(f"cannot migrate: {type(error).__name__}: {error}")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(asyncio.run(_main(sys.argv[1:], os.environ)))
