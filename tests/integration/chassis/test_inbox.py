"""Facts come twice and in any order; what was accepted is the newest, or each once, also when replicas race."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from libs.common.db import Database
from libs.common.errors import InvariantBroken
from libs.common.handlers import LATEST, ONCE, Context
from libs.common.testing import TestDatabase
from tests.integration.chassis.conftest import SERVICE, things

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)


def message(key: str, version: int, *, user: str = "ann", consumer: str = "orders-broker") -> Context:
    return Context(
        id=str(uuid.uuid4()),
        user=user,
        correlation_id="c",
        occurred_at=NOW,
        key=key,
        key_version=version,
        consumer=consumer,
    )


async def newest(db: Database, ctx: Context) -> bool:
    async with db.for_user(ctx.user) as unit:
        return await unit.newest(ctx)


async def first(db: Database, ctx: Context) -> bool:
    async with db.for_user(ctx.user) as unit:
        return await unit.first(ctx)


async def test_older_and_equal_versions_are_dropped(db: Database) -> None:
    assert await newest(db, message("a", 2))
    assert not await newest(db, message("a", 2))
    assert not await newest(db, message("a", 1))
    assert await newest(db, message("a", 5))


async def test_keys_users_and_consumers_do_not_mix(db: Database) -> None:
    assert await newest(db, message("a", 5))
    assert await newest(db, message("b", 1))
    assert await newest(db, message("a", 1, user="bob"))
    assert await newest(db, message("a", 1, consumer="monitor-orders"))


async def test_a_fact_without_a_version_cannot_be_the_latest(db: Database) -> None:
    with pytest.raises(InvariantBroken, match="no version"):
        await newest(db, replace(message("a", 1), key_version=None))


async def test_a_message_counts_once_per_consumer(db: Database) -> None:
    one = message("a", 1)
    assert await first(db, one)
    assert not await first(db, one)
    assert await first(db, replace(one, consumer="monitor-orders"))
    assert await first(db, message("a", 1))


async def test_a_message_older_than_every_partition_counts_once_too(db: Database) -> None:
    old = replace(message("a", 1), occurred_at=NOW - timedelta(days=25))
    assert await first(db, old)
    assert not await first(db, old)


async def test_the_day_of_a_message_is_utcs_wherever_it_was_written(db: Database) -> None:
    one = message("a", 1)
    assert await first(db, one)
    shifted = replace(one, occurred_at=one.occurred_at.astimezone(tz=datetime.now().astimezone().tzinfo))
    assert not await first(db, shifted)


async def test_what_a_failed_unit_accepted_comes_again(db: Database) -> None:
    one = message("a", 1)

    async def fail() -> None:
        async with db.for_user("ann") as unit:
            assert await unit.newest(one)
            assert await unit.first(one)
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert await newest(db, one)
    assert await first(db, one)


async def test_the_question_asked_is_noted_for_the_consume_loop(db: Database) -> None:
    one = message("a", 1)
    await newest(db, one)
    await first(db, one)
    assert one.accepted == [LATEST, ONCE]


async def test_racing_replicas_apply_the_highest_version_last(house: TestDatabase) -> None:
    """Every key ends at its highest version, whatever the order and however often each fact is delivered."""
    keys = [f"k{n}" for n in range(8)]
    deliveries = [message(key, version) for key in keys for version in range(1, 21)] * 2
    random.Random(7).shuffle(deliveries)
    async with house.admin() as admin:
        await admin.executemany(
            "insert into orders.things (id, username, version) values ($1, 'ann', 0)", [(key,) for key in keys]
        )

    async def consume(db: Database, ctx: Context) -> None:
        async with db.for_user("ann") as unit:
            if await unit.newest(ctx):
                await unit.run(update(things).where(things.c.id == ctx.key).values(version=ctx.key_version))

    async with house.opened(SERVICE) as one, house.opened(SERVICE) as two:
        await asyncio.gather(*(consume((one, two)[n % 2], ctx) for n, ctx in enumerate(deliveries)))
        async with one.for_worker() as unit:
            assert {row.version for row in await unit.all(select(things))} == {20}


async def test_racing_replicas_count_a_message_once(house: TestDatabase) -> None:
    messages = [message("a", n) for n in range(20)]
    async with house.opened(SERVICE) as one, house.opened(SERVICE) as two:
        said = await asyncio.gather(*(first(db, ctx) for ctx in messages for db in (one, two, one)))
    assert said.count(True) == 20
