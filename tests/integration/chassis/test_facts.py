"""Facts before equal facts after: from a commit over the outbox and JetStream to a consumer, while servers die."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy.dialects.postgresql import insert

from libs.common.bus import LATEST, Context, consume
from libs.common.db import Database
from libs.common.errors import OutcomeUnknown, UpstreamUnavailable
from libs.common.messages.gateway import UserRegistered
from libs.common.outbox import Relay
from libs.common.streams import Streams
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.buses import bus_of, consuming, nats_server, restart
from tests.integration.chassis.conftest import SERVICE, things

pytestmark = [pytest.mark.integration, pytest.mark.faults]

KEYS = [f"user{n}" for n in range(12)]
RAISE = """
insert into orders.things (id, username, version) values ($1, 'ann', 1)
on conflict (id) do update set version = things.version + 1 returning version
"""


@dataclass
class Deps:
    db: Database


@consume(UserRegistered, durable="orders-users", accept=LATEST)
async def remember(fact: UserRegistered, ctx: Context, deps: Deps) -> None:
    """Keep the newest version of each key, and count each message once."""
    async with deps.db.for_user(ctx.user) as unit:
        is_newest, is_first = await unit.newest(ctx), await unit.first(ctx)
        key = f"seen-{fact.username}"
        row = insert(things).values(id=key, username=ctx.user, version=ctx.key_version, size=int(is_first))
        changed = {"size": things.c.size + int(is_first)} | ({"version": ctx.key_version} if is_newest else {})
        await unit.run(row.on_conflict_do_update(index_elements=["id"], set_=changed))


async def say_often(db: Database, stop: asyncio.Event, seed: int) -> None:
    chance = random.Random(seed)
    while not stop.is_set():
        key = chance.choice(KEYS)
        try:
            async with db.for_user("ann") as unit:
                version = (await unit.fetch(RAISE, key))[0][0]
                unit.lock_taken(key)
                unit.emit(UserRegistered(username=key), key_version=version)
        except (UpstreamUnavailable, OutcomeUnknown):
            continue
        await asyncio.sleep(0.002)


async def versions(house: TestDatabase, prefix: str) -> dict[str, int]:
    async with house.admin() as admin:
        rows = await admin.fetch("select id, version from orders.things where id like $1", f"{prefix}%")
    return {row["id"].removeprefix("seen-"): row["version"] for row in rows}


async def counts(house: TestDatabase) -> tuple[int, int, int]:
    """Count facts said, facts still unpublished, and facts seen by the consumer."""
    async with house.admin() as admin:
        row = await admin.fetchrow(
            "select (select count(*) from orders.outbox) as said, "
            "(select count(*) from orders.outbox where published_at is null) as waiting, "
            "(select coalesce(sum(size), 0) from orders.things where id like 'seen-%') as seen"
        )
    assert row is not None
    return row["said"], row["waiting"], row["seen"]


async def all_arrived(house: TestDatabase) -> bool:
    said, waiting, seen = await counts(house)
    return waiting == 0 and seen == said


async def test_no_fact_is_lost_or_counted_twice_while_nats_and_sessions_die(
    house: TestDatabase, tmp_path: Path
) -> None:
    stop, stopping = asyncio.Event(), asyncio.Event()
    with nats_server(tmp_path) as server:
        async with (
            house.opened(SERVICE) as writing,
            house.opened(SERVICE) as reading,
            bus_of(server, "gateway") as gateway,
            bus_of(server, "orders") as orders,
            consuming(orders, remember, deps=Deps(reading)),
            asyncio.TaskGroup() as tasks,
        ):
            relay = Relay(writing, Streams(gateway, service="gateway"), poll_s=0.1)
            tasks.create_task(relay.run(stopping))
            writers = [tasks.create_task(say_often(writing, stop, seed)) for seed in range(4)]

            async def said_more(than: int = 60) -> None:
                before = (await counts(house))[0]
                await eventually(lambda: _said(house, before + than), within_s=20)

            await said_more()
            restart(server)
            await said_more()
            async with house.admin() as admin:
                await admin.execute(
                    "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'orders_service'"
                )
            await said_more()
            restart(server, emptied=True)
            await said_more()
            stop.set()
            await asyncio.wait(writers)
            await eventually(lambda: all_arrived(house), within_s=60, every_s=0.1)
            stopping.set()
    assert (await versions(house, "seen-")) == (await versions(house, "user"))


async def _said(house: TestDatabase, count: int) -> bool:
    return (await counts(house))[0] >= count
