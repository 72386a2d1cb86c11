"""Days come and go as partitions, and no day goes that still holds an unpublished fact."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import pytest

from libs.common.db import Database
from libs.common.outbox import Relay
from libs.common.roles import OWNER
from libs.common.testing import TestDatabase
from tests.integration.chassis.conftest import SERVICE
from tests.integration.chassis.test_outbox import FakeEvents, say

pytestmark = pytest.mark.integration

_DAYS = """
select relname from pg_inherits join pg_class on pg_class.oid = inhrelid
where inhparent = $1::regclass and relname ~ '[0-9]{8}$' order by relname
"""


async def days_of(house: TestDatabase, parent: str) -> list[str]:
    async with house.admin() as admin:
        return [row["relname"].removeprefix(f"{parent}_") for row in await admin.fetch(_DAYS, f"orders.{parent}")]


@pytest.fixture
async def today(house: TestDatabase) -> AsyncIterator[date]:
    async with house.admin() as admin:
        day: date = await admin.fetchval("select (now() at time zone 'UTC')::date")
    yield day
    async with house.admin() as admin:
        await admin.execute("delete from orders.outbox; delete from orders.inbox")
        await admin.execute(f"set role {SERVICE}_worker")
        await admin.execute("select orders.drop_partitions(); select orders.make_partitions()")


async def make_day(house: TestDatabase, parent: str, day: date) -> None:
    after = day + timedelta(days=1)
    async with house.admin() as admin:
        await admin.execute(f"set role {OWNER}")
        await admin.execute(
            f"create table orders.{parent}_{day:%Y%m%d} partition of orders.{parent} "
            f"for values from ('{day}') to ('{after}')"
        )


async def put_fact(house: TestDatabase, day: date, *, published: bool) -> None:
    async with house.admin() as admin:
        await admin.execute(
            "insert into orders.outbox "
            "(occurred_at, fact_id, subject, username, key, correlation_id, data, published_at) "
            "values ($1::date + interval '1 hour', 'f', 'evt.ann.gateway.user_registered', 'ann', 'a', 'c', '{}', $2)",
            day,
            await admin.fetchval("select now()") if published else None,
        )


async def run(db: Database, function: str) -> Any:
    async with db.for_worker() as unit:
        return (await unit.fetch(f"select orders.{function}()"))[0][0]


async def test_yesterday_to_three_days_ahead_are_there_and_making_them_again_is_nothing(
    house: TestDatabase, db: Database, today: date
) -> None:
    wanted = [f"{today + timedelta(days=n):%Y%m%d}" for n in range(-1, 4)]
    assert await days_of(house, "outbox") == wanted
    assert await days_of(house, "inbox") == wanted
    assert await run(db, "make_partitions") == 0


async def test_days_past_their_time_go(house: TestDatabase, db: Database, today: date) -> None:
    for parent, kept_days in (("outbox", 8), ("inbox", 9)):
        await make_day(house, parent, today - timedelta(days=kept_days))
        await make_day(house, parent, today - timedelta(days=kept_days + 1))
    await put_fact(house, today - timedelta(days=9), published=True)
    assert await run(db, "drop_partitions") == 2
    assert f"{today - timedelta(days=8):%Y%m%d}" in await days_of(house, "outbox")
    assert f"{today - timedelta(days=9):%Y%m%d}" in await days_of(house, "inbox")


async def test_a_day_with_an_unpublished_fact_stays_until_it_is_published(
    house: TestDatabase, db: Database, today: date
) -> None:
    old = today - timedelta(days=20)
    await make_day(house, "outbox", old)
    await put_fact(house, old, published=False)
    assert await run(db, "drop_partitions") == 0
    events = FakeEvents()
    relay = Relay(db, events, SERVICE)
    assert (await relay.turn()).published == 1
    assert await relay.maintain()
    assert f"{old:%Y%m%d}" not in await days_of(house, "outbox")


async def test_facts_of_a_day_nobody_made_are_kept_and_published_too(
    house: TestDatabase, db: Database, today: date
) -> None:
    async with house.admin() as admin:
        await admin.execute(f"drop table orders.outbox_{today:%Y%m%d}")
    await say(db, "a", 1)
    events = FakeEvents()
    relay = Relay(db, events, SERVICE)
    assert await relay.maintain()
    await say(db, "a", 2)
    await relay.turn()
    assert events.versions() == {"a": [1, 2]}
    assert f"{today:%Y%m%d}" not in await days_of(house, "outbox")


async def test_published_facts_of_no_day_go_by_their_age(house: TestDatabase, db: Database, today: date) -> None:
    for days, published in ((20, True), (20, False), (3, True)):
        await put_fact(house, today - timedelta(days=days), published=published)
    await run(db, "drop_partitions")
    async with house.admin() as admin:
        assert await admin.fetchval("select count(*) from orders.outbox_rest") == 2


async def test_new_days_are_protected_like_the_others(house: TestDatabase, db: Database, today: date) -> None:
    async with house.admin() as admin:
        await admin.execute(f"drop table orders.inbox_{today + timedelta(days=3):%Y%m%d}")
        assert await run(db, "make_partitions") == 1
        owners = await admin.fetch(
            "select distinct tableowner from pg_tables where schemaname = 'orders' and tablename like 'inbox%'"
        )
        granted = await admin.fetchval(
            "select count(*) from information_schema.role_table_grants "
            "where table_schema = 'orders' and table_name ~ '[0-9]{8}$' and grantee <> $1",
            OWNER,
        )
    assert [row["tableowner"] for row in owners] == [OWNER]
    assert granted == 0
