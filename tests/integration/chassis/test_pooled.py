"""Everything works through a transaction-mode pooler that never gives a client the same session twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
from sqlalchemy import insert, select, update

from libs.common.db import Database
from libs.common.jobs import JobRunner, job
from libs.common.messages.gateway import UserRegistered
from libs.common.outbox import Relay
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.conftest import SERVICE, things
from tests.integration.chassis.pooler import Pooler, pooler
from tests.integration.chassis.test_outbox import FakeEvents

pytestmark = pytest.mark.integration


@pytest.fixture
async def between(house: TestDatabase) -> AsyncIterator[tuple[Pooler, str]]:
    """Put a pooler before the database; yields it and the address through it."""
    address = urlsplit(house.url)
    assert address.hostname is not None
    assert address.port is not None
    async with pooler(address.hostname, address.port) as (made, port):
        url = house.url_of(SERVICE).replace(f":{address.port}/", f":{port}/")
        # Idle clients, whose sessions are there for the others.
        spare = [await asyncpg.connect(url, statement_cache_size=0) for _ in range(3)]
        yield made, url
        for connection in spare:
            await connection.close()


@pytest.fixture
async def db(between: tuple[Pooler, str]) -> AsyncIterator[Database]:
    database = Database(between[1], service=SERVICE, pooled=True, size=3)
    await database.open()
    yield database
    await database.close()


async def test_sessions_really_change_and_what_was_set_on_one_is_lost(between: tuple[Pooler, str]) -> None:
    made, url = between
    one, two = await asyncpg.connect(url, statement_cache_size=0), await asyncpg.connect(url, statement_cache_size=0)
    await one.execute("set application_name = 'mine'")
    names = [await one.fetchval("show application_name") for _ in range(2)]
    assert sorted(names) != ["mine", "mine"]
    assert made.switches > 0
    await one.close()
    await two.close()


async def test_units_of_many_users_at_once_keep_to_their_doors(between: tuple[Pooler, str], db: Database) -> None:
    async def live(user: str) -> None:
        for n in range(10):
            async with db.for_user(user) as unit:
                await unit.run(insert(things).values(id=f"{user}{n}", username=user, size=n, data={"n": n}))
            async with db.for_user(user) as unit:
                assert await unit.run(update(things).values(version=n)) == n + 1
                found = await unit.all(select(things).order_by(things.c.size))
                assert [(row.username, row.data) for row in found] == [(user, {"n": m}) for m in range(n + 1)]
                assert (
                    await unit.json("select count(*)::text from orders.things where size >= $1", 0)
                    == str(n + 1).encode()
                )

    await asyncio.gather(*(live(f"user{n}") for n in range(6)))
    assert between[0].switches > 100


async def test_facts_and_jobs_go_through_a_pooler(db: Database) -> None:
    events = FakeEvents()
    runs: list[str] = []

    @job("look")
    async def look(work: object, _deps: None) -> None:
        runs.append(str(work))
        async with db.for_user("ann") as unit:
            unit.lock_taken("a")
            unit.emit(UserRegistered(username="a"), key_version=len(runs))

    stopping = asyncio.Event()
    relay = Relay(db, events, poll_s=0.02)
    runner = JobRunner(db, [look], None, poll_s=0.02)
    async with asyncio.TaskGroup() as group:
        group.create_task(relay.run(stopping))
        group.create_task(runner.run(stopping))
        for n in range(20):
            async with db.for_user("ann") as unit:
                await unit.schedule("look", str(n), None)
        await eventually(lambda: len(runs) == 20)
        await eventually(lambda: len(events.versions().get("a", [])) == 20)
        stopping.set()


async def test_an_error_and_a_copy_leave_the_pooled_session_usable(between: tuple[Pooler, str], db: Database) -> None:
    for _ in range(4):
        with pytest.raises(Exception, match="DivisionByZero"):
            async with db.for_user("ann") as unit:
                await unit.fetch("select 1/0")
        async with db.for_worker() as unit:
            records = [("evt", "ann", "k", "c", "{}", "f")]
            columns = ("subject", "username", "key", "correlation_id", "data", "fact_id")
            assert await unit.copy_in("outbox", columns, records) == 1
    async with db.for_worker() as unit:
        assert (await unit.fetch("select count(*) from orders.outbox"))[0][0] == 4
