"""Chains run from nothing to their end, twice and at once without harm, and say plainly what is in the way."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local.postgres import EmbeddedPostgres
from libs.common import migrate, roles, schema
from libs.common.messages.durables import SERVICES
from libs.common.schema import schema_reached
from libs.common.testing import TestDatabase, eventually

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[3]


@pytest.fixture
async def fresh(postgres: EmbeddedPostgres, migrated: TestDatabase) -> AsyncIterator[TestDatabase]:
    """Make an empty database; roles and passwords are the server's."""
    async with migrated.admin() as admin:
        await admin.execute("create database fresh")
    yield TestDatabase(postgres.url_of("fresh"), migrated.passwords)
    async with migrated.admin() as admin:
        await admin.execute("drop database fresh with (force)")


def run_module(database: TestDatabase, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "libs.common.migrate", *arguments],
        cwd=ROOT,
        env={"DATABASE_URL": database.url, **database.environment, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


async def test_every_chain_runs_from_nothing_and_a_second_run_changes_nothing(fresh: TestDatabase) -> None:
    with_chain = [service for service in SERVICES if migrate.head_of(service)]
    assert with_chain
    assert set(await migrate.behind(fresh.url)) == set(with_chain)
    first = await fresh.migrate()
    assert [line for line in first if "empty ->" in line] == [
        f"{service}: empty -> {migrate.head_of(service)}" for service in with_chain
    ]
    assert await migrate.behind(fresh.url) == []
    assert not [line for line in await fresh.migrate() if "->" in line]


async def test_options_that_only_libpq_knows_hinder_neither_migrations_nor_services(fresh: TestDatabase) -> None:
    managed = TestDatabase(f"{fresh.url}?channel_binding=require&connect_timeout=10", fresh.passwords)
    assert await migrate.behind(managed.url)
    await managed.migrate()
    assert await migrate.behind(managed.url) == []
    async with managed.opened("orders") as database:
        await database.probe()


async def test_runs_at_the_same_time_wait_for_each_other(fresh: TestDatabase) -> None:
    done = await asyncio.gather(*(fresh.migrate() for _ in range(3)))
    assert sum("empty ->" in line for lines in done for line in lines) == len(
        [service for service in SERVICES if migrate.head_of(service)]
    )


async def test_the_command_says_by_its_exit_code_whether_anything_is_behind(fresh: TestDatabase) -> None:
    assert run_module(fresh, "--check").returncode == 1
    made = run_module(fresh)
    assert made.returncode == 0, made.stdout
    checked = run_module(fresh, "--check")
    assert (checked.returncode, checked.stdout) == (0, "up to date\n")


async def test_an_unreachable_database_is_said_in_one_line(fresh: TestDatabase) -> None:
    found = run_module(fresh, "--check", DATABASE_URL="postgresql://nobody:nothing@127.0.0.1:1/none")
    assert found.returncode == 2
    assert found.stdout.startswith("cannot migrate:")
    assert "nothing" not in found.stdout + found.stderr
    assert run_module(fresh, DATABASE_URL="").returncode == 2


async def test_a_missing_password_is_named(postgres: EmbeddedPostgres) -> None:
    class NoRoles:
        """A server that has no role yet."""

        async def fetchval(self, _: str, *__: object) -> None:
            return None

        async def execute(self, _: str) -> None:
            return None

    with pytest.raises(roles.MigrationProblem, match="GATEWAY_DATABASE_PASSWORD is not set"):
        await roles.ensure_roles(NoRoles(), {})  # type: ignore[arg-type]


async def test_a_server_without_bypassrls_is_told_what_to_do(fresh: TestDatabase, migrated: TestDatabase) -> None:
    """As on managed servers: an administrator who makes roles but is no superuser."""
    async with migrated.admin() as admin:
        await admin.execute("create role clerk login createrole createdb password 'clerk'")
        await admin.execute("alter role backup_service rename to backup_elsewhere")
    try:
        clerk = await asyncpg.connect(fresh.url, user="clerk", password="clerk")
        try:
            with pytest.raises(roles.MigrationProblem, match="BYPASSRLS"):
                await roles._ensure_backup(clerk, None)
        finally:
            await clerk.close()
    finally:
        async with migrated.admin() as admin:
            await admin.execute("alter role backup_elsewhere rename to backup_service; drop role clerk")


async def test_a_backup_reads_every_row_and_writes_none(fresh: TestDatabase, migrated: TestDatabase) -> None:
    await fresh.migrate()
    await migrate.migrate(fresh.url, {**fresh.environment, "BACKUP_DATABASE_PASSWORD": "b@ckup"}, services=())
    async with fresh.admin() as admin:
        await admin.execute("create table monitor.notes (username text); insert into monitor.notes values ('ann')")
        await admin.execute("alter table monitor.notes enable row level security")
        await admin.execute("alter table monitor.notes force row level security")
    backup = await asyncpg.connect(fresh.url, user="backup_service", password="b@ckup")
    try:
        assert await backup.fetchval("select count(*) from monitor.notes") == 1
        with pytest.raises(asyncpg.PostgresError):
            await backup.execute("insert into monitor.notes values ('bob')")
        await backup.execute("set default_transaction_read_only = off")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await backup.execute("insert into monitor.notes values ('bob')")
    finally:
        await backup.close()


async def test_a_data_step_touches_rows_only_as_the_worker(
    fresh: TestDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step that forgets the door changes no row and says nothing; one that opens it does."""
    versions = tmp_path / "with space" / "versions"
    versions.mkdir(parents=True)
    (versions / "0001_initial.py").write_text(
        textwrap.dedent(
            """
            from alembic import op
            from libs.common.migrate import tenant_table
            revision = "0001_initial"
            down_revision = None

            def upgrade() -> None:
                op.execute("create table forensics.notes (username text not null, size integer)")
                tenant_table(op, "notes", "forensics")
            """
        )
    )
    (versions / "0002_sizes.py").write_text(
        textwrap.dedent(
            """
            from alembic import op
            from libs.common.migrate import as_worker
            revision = "0002_sizes"
            down_revision = "0001_initial"

            def upgrade() -> None:
                with as_worker(op, "forensics"):
                    op.execute("insert into forensics.notes values ('ann', 1)")
                op.execute("update forensics.notes set size = 99")
                with as_worker(op, "forensics"):
                    op.execute("update forensics.notes set size = size + 1")
                op.execute("alter table forensics.notes add column colour text")
            """
        )
    )
    monkeypatch.setattr(migrate, "versions_dir", lambda _: versions)
    assert migrate.head_of("forensics") == "0002_sizes"
    await fresh.migrate(services=["forensics"])
    async with fresh.admin() as admin:
        assert await admin.fetchval("select size from forensics.notes") == 2
        assert await admin.fetchval("select version_num from forensics.alembic_version") == "0002_sizes"
    (versions / "0003_other_end.py").write_text('revision = "0003"\ndown_revision = "0001_initial"\n')
    with pytest.raises(roles.MigrationProblem, match="2 ends"):
        migrate.head_of("forensics")


async def test_passwords_are_stored_as_verifiers_made_here(migrated: TestDatabase) -> None:
    async with migrated.admin() as admin:
        stored = await admin.fetchval("select rolpassword from pg_authid where rolname = 'orders_service'")
        refused = await admin.fetchval("select rolcanlogin from pg_roles where rolname = 'orders_worker'")
    assert stored.startswith("SCRAM-SHA-256$4096:")
    assert not refused
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(migrated.url, user="orders_service", password="wrong")


async def test_a_service_waits_for_its_migrations_and_takes_newer_ones(
    fresh: TestDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with fresh.opened("orders") as db:
        waiting = asyncio.create_task(schema_reached(db, wait_s=0.02))
        await fresh.migrate(services=())
        await eventually(lambda: db.age_s is not None)
        assert not waiting.done()
        await fresh.migrate()
        await asyncio.wait_for(waiting, 5)
        async with fresh.admin() as admin:
            await admin.execute("update orders.alembic_version set version_num = '9999_from_the_future'")
        await asyncio.wait_for(schema_reached(db), 5)
        async with fresh.admin() as admin:
            await admin.execute("update orders.alembic_version set version_num = '0000_before'")
        monkeypatch.setattr(schema, "_known", lambda _: ["0000_before", "0001_initial"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(schema_reached(db, wait_s=0.02), 0.2)
