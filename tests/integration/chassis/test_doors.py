"""Who sees what: no door opens nothing, the tenant's door one user's rows, and nothing outlives its unit."""

from __future__ import annotations

import asyncio
import uuid

import asyncpg
import pytest
from sqlalchemy import insert, select, text, update

from libs.common.db import Database
from libs.common.errors import InvalidInput, InvariantBroken, UpstreamUnavailable
from libs.common.messages.durables import SERVICES
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.conftest import SERVICE, things

pytestmark = pytest.mark.integration


async def store_things(db: Database, *owners: str) -> None:
    async with db.for_worker() as unit:
        for owner in owners:
            await unit.run(insert(things).values(id=str(uuid.uuid4()), username=owner, size=1))


async def leftovers(db: Database) -> list[tuple[str, str]]:
    """Tell what two connections of the pool still have set."""
    found = []
    held = [await db.acquire() for _ in range(2)]
    try:
        for connection in held:
            row = await connection.fetchrow(
                "select current_user::text, coalesce(current_setting('app.current_user', true), '')"
            )
            assert row is not None
            found.append((row[0], row[1]))
    finally:
        for connection in held:
            db.release(connection)
    return found


CLEAN = [(f"{SERVICE}_service", "")] * 2


@pytest.mark.parametrize("service", SERVICES)
async def test_a_login_without_a_door_reads_no_table_of_any_schema(migrated: TestDatabase, service: str) -> None:
    async with migrated.admin() as admin:
        tables = await admin.fetch(
            "select format('%I.%I', nspname, relname) from pg_class join pg_namespace n on n.oid = relnamespace "
            "where nspname = any($1) and relkind in ('r', 'p', 'v', 'm')",
            list(SERVICES),
        )
    assert tables
    connection = await asyncpg.connect(migrated.url_of(service))
    try:
        for (table,) in tables:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select * from {table}")
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_login_opens_its_own_doors_and_no_others(migrated: TestDatabase, service: str) -> None:
    connection = await asyncpg.connect(migrated.url_of(service))
    foreign = [f"{other}_{door}" for other in SERVICES if other != service for door in ("tenant", "worker")]
    try:
        for door in (*foreign, "bookend_owner", "backup_service", "postgres"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"set role {door}")
        for door in ("tenant", "worker"):
            await connection.execute(f"set role {service}_{door}")
    finally:
        await connection.close()


async def test_a_user_sees_only_their_own_rows(db: Database) -> None:
    await store_things(db, "ann", "ann", "bob")
    async with db.for_user("ann") as unit:
        assert [row.username for row in await unit.all(select(things))] == ["ann", "ann"]
    async with db.for_worker() as unit:
        assert len(await unit.all(select(things))) == 3


async def test_a_user_cannot_write_a_row_of_another(db: Database) -> None:
    await store_things(db, "bob")
    with pytest.raises(InvariantBroken, match="InsufficientPrivilege"):
        async with db.for_user("ann") as unit:
            await unit.run(insert(things).values(id="x", username="bob"))
    async with db.for_user("ann") as unit:
        assert await unit.run(update(things).values(size=2)) == 0
    with pytest.raises(InvariantBroken, match="InsufficientPrivilege"):
        async with db.for_user("bob") as unit:
            await unit.run(update(things).values(username="ann"))


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        "ANN",
        "ann ",
        "'ann'",
        '"ann"',
        "ann' or '1'='1",
        "ann'; reset role; --",
        "\\'",
        "\\x616e6e",
        "orders_worker",
        "*",
        "%",
        "ann" * 3413,
        "änn",
    ],
)
async def test_a_name_that_is_nearly_a_users_sees_nothing(db: Database, name: str) -> None:
    await store_things(db, "ann")
    async with db.for_user(name) as unit:
        assert await unit.all(select(things)) == []
        assert await unit.scalar(text("select current_setting('app.current_user')")) == name
        assert await unit.scalar(text("select current_user::text")) == f"{SERVICE}_tenant"


async def test_a_row_of_the_empty_name_is_nobodys(db: Database) -> None:
    await store_things(db, "")
    async with db.for_user("") as unit:
        assert await unit.all(select(things)) == []


async def test_a_name_with_a_null_byte_is_refused(db: Database) -> None:
    with pytest.raises(InvalidInput):
        async with db.for_user("ann\x00bob"):
            pytest.fail("the door opened")
    assert await leftovers(db) == CLEAN


async def test_a_missing_user_setting_sees_nothing(house: TestDatabase, db: Database) -> None:
    await store_things(db, "ann")
    connection = await asyncpg.connect(house.url_of(SERVICE))
    try:
        await connection.execute(f"set role {SERVICE}_tenant")
        assert await connection.fetch("select * from orders.things") == []
    finally:
        await connection.close()


async def test_nothing_is_left_on_a_connection_after_a_clean_unit(db: Database) -> None:
    async with db.for_user("ann") as unit:
        await unit.now()
    assert await leftovers(db) == CLEAN


async def test_nothing_is_left_on_a_connection_after_an_error(db: Database) -> None:
    with pytest.raises(InvariantBroken):
        async with db.for_user("ann") as unit:
            await unit.scalar(text("select 1/0"))
    with pytest.raises(KeyError):
        async with db.for_user("ann"):
            raise KeyError
    assert await leftovers(db) == CLEAN


async def sleep_in_the_database(db: Database, *, limit: str = "5s") -> None:
    async with db.for_user("ann") as unit:
        await unit.fetch("select set_config('statement_timeout', $1, true)", limit)
        await unit.scalar(text("select pg_sleep(30)"))


async def test_nothing_is_left_on_a_connection_after_a_cancel(house: TestDatabase, db: Database) -> None:
    task = asyncio.create_task(sleep_in_the_database(db))
    async with house.admin() as admin:
        sleeping = "select 1 from pg_stat_activity where query like '%pg_sleep(30)%' and pid <> pg_backend_pid()"
        await eventually(lambda: admin.fetchval(sleeping))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await leftovers(db) == CLEAN


async def test_nothing_is_left_on_a_connection_after_a_time_out(db: Database) -> None:
    with pytest.raises(UpstreamUnavailable):
        await sleep_in_the_database(db, limit="50ms")
    assert await leftovers(db) == CLEAN


async def test_statements_are_limited_to_five_seconds_for_every_service(house: TestDatabase, db: Database) -> None:
    async with db.for_user("ann") as unit:
        assert await unit.scalar(text("select current_setting('statement_timeout')")) == "5s"
        assert await unit.scalar(text("select current_setting('timezone')")) == "UTC"


async def test_a_tenant_says_facts_and_never_reads_them(db: Database) -> None:
    for statement in ("select 1 from orders.outbox", "delete from orders.outbox", "update orders.outbox set data = ''"):
        with pytest.raises(InvariantBroken, match="InsufficientPrivilege"):
            async with db.for_user("ann") as unit:
                await unit.fetch(statement)


async def test_a_tenant_cannot_read_what_jobs_are_about(db: Database) -> None:
    for statement in ("select data from orders.jobs", "select username from orders.jobs", "delete from orders.jobs"):
        with pytest.raises(InvariantBroken, match="InsufficientPrivilege"):
            async with db.for_user("ann") as unit:
                await unit.fetch(statement)


async def test_a_tenant_cannot_make_or_drop_partitions(db: Database) -> None:
    for function in ("make_partitions", "drop_partitions"):
        with pytest.raises(InvariantBroken, match="InsufficientPrivilege"):
            async with db.for_user("ann") as unit:
                await unit.fetch(f"select orders.{function}()")
