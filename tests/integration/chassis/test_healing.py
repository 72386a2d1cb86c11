"""PostgreSQL killed, frozen, restarted: calls fail at once with a clear answer, and everything goes on by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import func, insert, select

from deploy.local.postgres import EmbeddedPostgres
from libs.common.db import ACQUIRE_S, Database
from libs.common.ddl import chassis_tables, tenant_table
from libs.common.errors import AppError, OutcomeUnknown, UpstreamUnavailable
from libs.common.messages.gateway import UserRegistered
from libs.common.outbox import Relay
from libs.common.roles import OWNER
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.conftest import SERVICE, Statements, things
from tests.integration.chassis.test_outbox import FakeEvents

pytestmark = [pytest.mark.integration, pytest.mark.faults]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Run a server of this module's own, flushing to disk, to be killed."""
    own = EmbeddedPostgres(tmp_path_factory.mktemp("victim")).start()
    yield own
    own.stop()


@pytest.fixture(scope="module")
async def prepared(server: EmbeddedPostgres) -> TestDatabase:
    victim = TestDatabase(server.url)
    await victim.migrate(services=())
    op = Statements()
    chassis_tables(op, SERVICE)
    op.execute("create table orders.things (id text primary key, username text, size int, data jsonb, version bigint)")
    tenant_table(op, "things", SERVICE)
    async with victim.admin() as admin:
        await admin.execute(f"set role {OWNER}")
        for text in op.texts:
            await admin.execute(text)
    return victim


@pytest.fixture
async def victim(prepared: TestDatabase) -> TestDatabase:
    await prepared.truncate()
    return prepared


@pytest.fixture
async def db(victim: TestDatabase) -> AsyncIterator[Database]:
    async with victim.opened(SERVICE) as database:
        await database.reached()
        yield database


def kill(server: EmbeddedPostgres) -> None:
    assert server.child is not None
    server.child.kill()


async def count(db: Database) -> int:
    async with db.for_user("ann") as unit:
        return int(await unit.scalar(select(func.count()).select_from(things)))


async def works(db: Database) -> bool:
    try:
        await db.probe()
    except UpstreamUnavailable:
        return False
    return True


async def test_a_killed_server_is_said_at_once_and_found_again(server: EmbeddedPostgres, db: Database) -> None:
    assert await asyncio.gather(*(count(db) for _ in range(8))) == [0] * 8
    kill(server)
    for _ in range(3):
        began = time.monotonic()
        with pytest.raises(UpstreamUnavailable):
            await count(db)
        assert time.monotonic() - began < 1.0
    server.start()
    assert await asyncio.gather(*(count(db) for _ in range(8))) == [0] * 8


async def test_a_database_can_be_opened_while_the_server_is_away(
    server: EmbeddedPostgres, victim: TestDatabase
) -> None:
    kill(server)
    try:
        async with victim.opened(SERVICE) as db:
            with pytest.raises(UpstreamUnavailable):
                await db.probe()
            assert db.age_s is None
            waiting = asyncio.create_task(db.reached())
            server.start()
            await asyncio.wait_for(waiting, 10)
            assert db.age_s is not None
    finally:
        if server.exit_code is not None:
            server.start()


async def test_a_server_that_refuses_for_now_is_unavailable_and_not_a_bug(
    server: EmbeddedPostgres, victim: TestDatabase
) -> None:
    """`too many clients`, and a wrong password: neither is a statement's fault."""
    async with victim.admin() as admin:
        await admin.execute(f"alter role {SERVICE}_service connection limit 1")
    try:
        async with victim.opened(SERVICE) as db, db.for_user("ann"):
            with pytest.raises(UpstreamUnavailable):
                await count(db)
    finally:
        async with victim.admin() as admin:
            await admin.execute(f"alter role {SERVICE}_service connection limit -1")
    other = TestDatabase(server.url)
    async with other.opened(SERVICE) as db:
        with pytest.raises(UpstreamUnavailable):
            await count(db)


async def test_a_frozen_server_is_given_up_after_the_acquire_time(
    server: EmbeddedPostgres, victim: TestDatabase
) -> None:
    assert server.child is not None
    async with victim.opened(SERVICE) as db:
        os.kill(server.child.pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(UpstreamUnavailable):
                await count(db)
            assert ACQUIRE_S * 0.9 < time.monotonic() - began < ACQUIRE_S + 1
        finally:
            os.kill(server.child.pid, signal.SIGCONT)
        await eventually(lambda: works(db), within_s=10)


async def test_a_connection_to_a_server_that_froze_is_given_up_as_soon(
    server: EmbeddedPostgres, victim: TestDatabase
) -> None:
    assert server.child is not None
    async with victim.opened(SERVICE, acquire_s=0.3) as db, victim.admin() as admin:
        await db.probe()
        backends = await admin.fetch("select pid from pg_stat_activity where usename = 'orders_service'")
        assert backends
        for row in backends:
            os.kill(row["pid"], signal.SIGSTOP)
        try:
            began = time.monotonic()
            with pytest.raises(UpstreamUnavailable):
                await count(db)
            assert time.monotonic() - began < 1
            assert await count(db) == 0
        finally:
            for row in backends:
                os.kill(row["pid"], signal.SIGCONT)


async def test_a_port_where_nobody_speaks_postgresql_is_unavailable(victim: TestDatabase) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://orders_service:x@127.0.0.1:{silent.getsockname()[1]}/bookend"
        db = Database(url, service=SERVICE, acquire_s=0.2)
        await db.open()
        with pytest.raises(UpstreamUnavailable):
            await db.probe()
        await db.close()


async def test_under_load_every_answer_is_the_truth_or_says_it_is_unknown(
    server: EmbeddedPostgres, victim: TestDatabase
) -> None:
    """Writers go on through two kills: what was answered as stored is there, what was refused is not."""
    stored: set[str] = set()
    refused: set[str] = set()
    unknown: set[str] = set()
    other: list[BaseException] = []
    stop = asyncio.Event()

    async def write(db: Database, name: str) -> None:
        n = 0
        while not stop.is_set():
            n += 1
            key = f"{name}-{n}"
            try:
                async with db.for_user("ann") as unit:
                    await unit.run(insert(things).values(id=key, username="ann"))
                    unit.lock_taken(key)
                    unit.emit(UserRegistered(username=key), key_version=1)
            except UpstreamUnavailable:
                refused.add(key)
                await asyncio.sleep(0.005)
            except OutcomeUnknown:
                unknown.add(key)
            except (AppError, OSError) as error:
                other.append(error)
            else:
                stored.add(key)

    events = FakeEvents()
    async with victim.opened(SERVICE) as db, victim.opened(SERVICE) as relaying, asyncio.TaskGroup() as group:
        relay = Relay(relaying, events, poll_s=0.02)
        group.create_task(relay.run(stop))
        writers = [group.create_task(write(db, f"w{n}")) for n in range(12)]
        for _ in range(2):
            before = len(stored)
            await eventually(lambda before=before: len(stored) > before + 50, within_s=20)  # type: ignore[misc]
            kill(server)
            await eventually(lambda: refused, within_s=10)
            server.start()
        before = len(stored)
        await eventually(lambda: len(stored) > before + 50, within_s=20)
        stop.set()
        await asyncio.wait(writers)
        assert await relay.flush(20)
    async with victim.admin() as admin:
        there = {row[0] for row in await admin.fetch("select id from orders.things")}
    assert other == []
    assert stored <= there
    assert not refused & there
    assert there <= stored | unknown
    assert set(events.versions()) == there
