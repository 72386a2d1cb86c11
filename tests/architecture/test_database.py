"""What must hold for every table of every service: read from the catalogue of a database that migrations made."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import MetaData
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from libs.common.ddl import EXEMPT, TENANT_IS_OWNER, is_exempt
from libs.common.messages.durables import SERVICES
from libs.common.migrate import VERSION_TABLE, head_of
from libs.common.roles import OWNER
from libs.common.tables import CHASSIS
from libs.common.testing import TestDatabase

pytestmark = pytest.mark.integration

MORE_TABLES = {
    service: [f"services.{service}.{more.stem}" for more in sorted(Path(f"services/{service}").glob("tables_*.py"))]
    for service in SERVICES
}
MADE = [service for service in SERVICES if head_of(service)]

WRITTEN_ONCE = (
    "orders.timeline", "orders.corrections", "orders.entry_context", "orders.market_context", "orders.audit",
    "gateway.audit",
)  # fmt: skip
"""A trade's story, what was learned of its money after its end, its capsule, and who changed which rule."""

_TABLES = """
select nspname as schema, relname as name, relrowsecurity as enabled, relforcerowsecurity as forced,
       pg_get_userbyid(relowner) as owner, relispartition as is_partition, pg_class.oid
from pg_class join pg_namespace n on n.oid = relnamespace
where nspname = any($1) and relkind in ('r', 'p')
order by 1, 2
"""

_POLICIES = """
select schemaname as schema, tablename as name, policyname, roles::text[] as roles, cmd, permissive, qual, with_check
from pg_policies where schemaname = any($1)
"""

_GRANTS = """
select nspname as schema, relname as name, coalesce(r.rolname, 'PUBLIC') as grantee, a.privilege_type as verb
from pg_class join pg_namespace n on n.oid = relnamespace
cross join lateral aclexplode(coalesce(relacl, acldefault('r', relowner))) a
left join pg_roles r on r.oid = a.grantee
where nspname = any($1) and relkind in ('r', 'p') and a.grantee <> relowner
"""

_LED_BY_USERNAME = """
select 1 from pg_index join pg_attribute on attrelid = indrelid and attnum = indkey[0]
where indrelid = $1 and attname = 'username' and indpred is null
"""


async def rows(database: TestDatabase, sql: str) -> list[asyncpg.Record]:
    async with database.admin() as admin:
        return list(await admin.fetch(sql, list(SERVICES)))


def named(found: Iterable[Any]) -> list[str]:
    return sorted(f"{row['schema']}.{row['name']}" for row in found)


async def own_tables(database: TestDatabase) -> list[asyncpg.Record]:
    """Tables that are not exempt. A partition is reached through its parent, and nobody is granted more."""
    tables = await rows(database, _TABLES)
    return [row for row in tables if not row["is_partition"] and not is_exempt(row["schema"], row["name"])]


async def test_every_table_that_is_not_exempt_has_row_level_security_forced(migrated: TestDatabase) -> None:
    tables = await own_tables(migrated)
    assert tables
    assert named(row for row in tables if not (row["enabled"] and row["forced"])) == []


async def test_every_table_belongs_to_the_owner_nobody_logs_in_as(migrated: TestDatabase) -> None:
    assert named(row for row in await rows(migrated, _TABLES) if row["owner"] != OWNER) == []
    async with migrated.admin() as admin:
        assert not await admin.fetchval("select rolcanlogin from pg_roles where rolname = $1", OWNER)


async def test_policies_are_the_two_stated_ones_and_no_others(migrated: TestDatabase) -> None:
    found = await rows(migrated, _POLICIES)
    allowed = {
        ("tenant", "tenant"): "(username = NULLIF(current_setting('app.current_user'::text, true), ''::text))",
        ("worker", "worker"): "true",
    }
    assert TENANT_IS_OWNER.lower() in allowed["tenant", "tenant"].lower().replace("::text", "")
    for row in found:
        door = row["roles"][0].removeprefix(f"{row['schema']}_")
        assert len(row["roles"]) == 1, row
        assert row["cmd"] == "ALL", row
        assert row["permissive"] == "PERMISSIVE", row
        assert row["qual"] == row["with_check"] == allowed[row["policyname"], door], row


async def test_every_table_that_is_not_exempt_can_be_reached_by_the_worker(migrated: TestDatabase) -> None:
    with_worker = {
        (row["schema"], row["name"]) for row in await rows(migrated, _POLICIES) if row["policyname"] == "worker"
    }
    tables = await own_tables(migrated)
    assert named(row for row in tables if (row["schema"], row["name"]) not in with_worker) == []


async def test_a_tenants_rows_are_found_by_an_index_that_begins_with_the_user(migrated: TestDatabase) -> None:
    """Without it the policy reads every row of every user: 50 times slower with 100,000."""
    with_tenant = {
        (row["schema"], row["name"]) for row in await rows(migrated, _POLICIES) if row["policyname"] == "tenant"
    }
    tables = [row for row in await own_tables(migrated) if (row["schema"], row["name"]) in with_tenant]
    async with migrated.admin() as admin:
        slow = [row for row in tables if not await admin.fetchval(_LED_BY_USERNAME, row["oid"])]
    assert named(slow) == []


async def test_rights_are_granted_to_the_services_own_doors_only(migrated: TestDatabase) -> None:
    for row in await rows(migrated, _GRANTS):
        doors = {f"{row['schema']}_tenant", f"{row['schema']}_worker"}
        assert row["grantee"] in doors, dict(row)
        assert row["verb"] in {"SELECT", "INSERT", "UPDATE", "DELETE"}, dict(row)


async def test_what_is_written_down_once_can_be_added_to_and_by_no_door_changed(migrated: TestDatabase) -> None:
    found = await rows(migrated, _GRANTS)
    verbs = {name: {row["verb"] for row in found if f"{row['schema']}.{row['name']}" == name} for name in WRITTEN_ONCE}
    assert verbs == {name: {"SELECT", "INSERT"} for name in WRITTEN_ONCE}


async def test_no_login_is_granted_anything_in_a_schema(migrated: TestDatabase) -> None:
    async with migrated.admin() as admin:
        for service in SERVICES:
            for other in SERVICES:
                may = "select has_schema_privilege($1, $2, 'usage, create')"
                assert not await admin.fetchval(may, f"{service}_service", other), (service, other)
                if other != service:
                    assert not await admin.fetchval(may, f"{service}_worker", other), (service, other)
            inherits = "select rolinherit or rolsuper or rolbypassrls or rolcreaterole from pg_roles where rolname = $1"
            assert not await admin.fetchval(inherits, f"{service}_service")


async def test_functions_with_their_owners_rights_are_the_partition_keepers_only(migrated: TestDatabase) -> None:
    async with migrated.admin() as admin:
        found = await admin.fetch(
            "select nspname || '.' || proname as name, proconfig::text as config, "
            "has_function_privilege('public', pg_proc.oid, 'execute') as everybody "
            "from pg_proc join pg_namespace n on n.oid = pronamespace where nspname = any($1) and prosecdef",
            list(SERVICES),
        )
    keepers = {f"{service}.{verb}_partitions" for service in MADE for verb in ("make", "drop")}
    assert {row["name"] for row in found} == keepers
    for row in found:
        assert "search_path=pg_catalog, pg_temp" in row["config"], row["name"]
        assert not row["everybody"], row["name"]


async def test_every_exemption_names_a_table_that_exists(migrated: TestDatabase) -> None:
    there = {(row["schema"], row["name"]) for row in await rows(migrated, _TABLES)}
    for name in EXEMPT:
        schema, _, table = name.rpartition(".")
        if schema in MADE:
            assert (schema, table) in there, name
        elif not schema:
            assert all((service, table) in there for service in MADE), name
    assert {*CHASSIS, VERSION_TABLE} <= EXEMPT


async def test_money_and_times_have_exact_types(migrated: TestDatabase) -> None:
    async with migrated.admin() as admin:
        found = await admin.fetch(
            "select table_schema as schema, table_name || '.' || column_name as name "
            "from information_schema.columns where table_schema = any($1) and "
            "(data_type = 'timestamp without time zone' "
            "or (data_type in ('real', 'double precision') and column_name ~ $2))",
            list(SERVICES),
            "price|pnl|amount|cash|fee|cost|premium|risk|balance|equity",
        )
    assert named(found) == []


@pytest.mark.parametrize("service", MADE)
async def test_models_equal_migrations(migrated: TestDatabase, service: str) -> None:
    metadata: MetaData = importlib.import_module(f"services.{service}.tables").metadata
    for name in MORE_TABLES[service]:
        importlib.import_module(name)

    async def connect(*_: Any, **__: Any) -> asyncpg.Connection:
        return await asyncpg.connect(migrated.url)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            differences = await connection.run_sync(_differences, metadata, service)
    finally:
        await engine.dispose()
    assert differences == []


def _differences(connection: Connection, metadata: MetaData, schema: str) -> list[Any]:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    parts = connection.exec_driver_sql(
        "select relname from pg_class where relispartition and relnamespace = $1::text::regnamespace", (schema,)
    )
    partitions = set(parts.scalars())

    def wanted(name: str | None, kind: str, parents: Any) -> bool:
        if kind == "schema":
            return name == schema
        return not (kind == "table" and (name == VERSION_TABLE or name in partitions))

    options = {"include_schemas": True, "include_name": wanted, "compare_type": True, "compare_server_default": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_with_tables_has_a_chain(service: str) -> None:
    has_tables = importlib.util.find_spec(f"services.{service}.tables") is not None
    assert has_tables == (head_of(service) is not None)
