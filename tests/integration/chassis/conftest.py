"""A database of the chassis' own: the tables of every schema in one of them, and one table of a user's rows."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from deploy.local.postgres import EmbeddedPostgres
from libs.common.db import Database
from libs.common.ddl import chassis_tables, tenant_table
from libs.common.roles import OWNER
from libs.common.testing import TestDatabase

SERVICE = "orders"

things = Table(
    "things",
    MetaData(schema=SERVICE),
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("size", Integer),
    Column("data", JSONB),
    Column("version", BigInteger),
)


class Statements:
    """Collects what a migration would execute."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def execute(self, sqltext: str) -> None:
        self.texts.append(sqltext)


@pytest.fixture(scope="session")
async def house_made(postgres: EmbeddedPostgres, migrated: TestDatabase) -> TestDatabase:
    """Make the database once. Roles are the server's, so the passwords are the other database's."""
    async with migrated.admin() as admin:
        await admin.execute("create database chassis")
    house = TestDatabase(postgres.url_of("chassis"), migrated.passwords)
    await house.migrate(services=())
    op = Statements()
    chassis_tables(op, SERVICE)
    op.execute(
        f"create table {SERVICE}.things "
        "(id text primary key, username text not null, size integer, data jsonb, version bigint)"
    )
    tenant_table(op, "things", SERVICE)
    async with house.admin() as admin:
        await admin.execute(f"set role {OWNER}")
        for text in op.texts:
            await admin.execute(text)
    return house


@pytest.fixture
async def house(house_made: TestDatabase) -> TestDatabase:
    """Return the chassis' database without a row in it."""
    await house_made.truncate()
    return house_made


@pytest.fixture
async def db(house: TestDatabase) -> AsyncIterator[Database]:
    """Open the doors of the service the tests play."""
    async with house.opened(SERVICE) as database:
        yield database
