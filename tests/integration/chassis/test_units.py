"""One transaction a unit: all of it or nothing, with the outcome named when the database goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from sqlalchemy import func, insert, select, text, update

from libs.common import log
from libs.common.db import Database, Unit
from libs.common.db_errors import constraint_of
from libs.common.errors import InvalidInput, InvariantBroken, OutcomeUnknown, TooLarge, UpstreamUnavailable
from libs.common.messages.base import SYSTEM_USER
from libs.common.messages.gateway import UserRegistered
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.conftest import SERVICE, things

pytestmark = pytest.mark.integration


async def count(db: Database) -> int:
    async with db.for_worker() as unit:
        return int(await unit.scalar(select(func.count()).select_from(things)))


async def add(unit: Unit, name: str) -> int:
    return await unit.run(insert(things).values(id=name, username="ann"))


async def cut(house: TestDatabase) -> int:
    """End every session of the service, as a failing network or an operator would."""
    async with house.admin() as admin:
        rows = await admin.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1", f"{SERVICE}_service"
        )
    return len(rows)


async def test_a_clean_end_commits_and_then_calls_back(db: Database) -> None:
    called: list[int] = []
    async with db.for_user("ann") as unit:
        unit.after_commit(lambda: called.append(1))
        assert await add(unit, "a") == 1
        assert called == []
    assert called == [1]
    assert await count(db) == 1


async def test_an_error_rolls_back_and_never_calls_back(db: Database) -> None:
    called: list[int] = []

    async def fail() -> None:
        async with db.for_user("ann") as unit:
            unit.after_commit(lambda: called.append(1))
            await add(unit, "a")
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    assert called == []
    assert await count(db) == 0


async def test_a_unit_is_of_no_use_after_its_block(db: Database) -> None:
    async with db.for_user("ann") as unit:
        pass
    with pytest.raises(InvariantBroken, match="inside its block"):
        await unit.now()


async def test_a_swallowed_failure_is_not_taken_for_a_commit(db: Database) -> None:
    async def swallow() -> None:
        async with db.for_user("ann") as unit:
            await add(unit, "a")
            with pytest.raises(InvariantBroken):
                await add(unit, "a")

    with pytest.raises(InvariantBroken, match="swallowed"):
        await swallow()
    assert await count(db) == 0


async def test_a_violated_constraint_is_named(db: Database) -> None:
    async def add_twice() -> None:
        async with db.for_user("ann") as unit:
            await add(unit, "a")
            await add(unit, "a")

    with pytest.raises(InvariantBroken) as caught:
        await add_twice()
    assert constraint_of(caught.value) == "things_pkey"


@pytest.mark.parametrize("value", ["a\x00b", "\ud800"])
async def test_a_text_no_column_can_hold_is_the_callers_mistake(db: Database, value: str) -> None:
    with pytest.raises(InvalidInput):
        async with db.for_user("ann") as unit:
            await add(unit, value)


async def test_a_number_no_column_can_hold_is_the_callers_mistake(db: Database) -> None:
    with pytest.raises(InvalidInput):
        async with db.for_user("ann") as unit:
            await unit.run(insert(things).values(id="a", username="ann", size=2**40))


async def test_rows_touched_are_counted(db: Database) -> None:
    async with db.for_user("ann") as unit:
        assert await unit.run(insert(things), [{"id": str(n), "username": "ann"} for n in range(3)]) == 3
        assert await unit.run(update(things).values(size=1)) == 3
        assert await unit.run(update(things).where(things.c.id == "none").values(size=1)) == 0


async def test_hot_statements_hand_postgresqls_json_on_as_bytes(db: Database) -> None:
    async with db.for_user("ann") as unit:
        await unit.run(insert(things).values(id="ä", username="ann", data={"price": "1.10"}))
        found = await unit.json("select json_agg(t)::text from orders.things t where id = $1", "ä")
        assert found is not None
        assert orjson.loads(found)[0]["data"] == {"price": "1.10"}
        assert await unit.json("select id from orders.things where id = $1", "none") is None
        assert (await unit.all(select(things)))[0].data == {"price": "1.10"}


async def test_shared_tables_are_filled_by_copy(migrated: TestDatabase) -> None:
    now = datetime.now(UTC)
    rows = [("SPY261218C00600000", now - timedelta(seconds=n), "1.00", "1.10", "1.05", "test", now) for n in range(500)]
    columns = ("occ_symbol", "taken_at", "bid", "ask", "mark", "source", "quoted_at")
    await migrated.truncate()
    async with migrated.opened("pricing") as db, db.for_worker() as unit:
        assert await unit.copy_in("price_snapshots", columns, rows) == 500
    async with migrated.admin() as admin:
        assert await admin.fetchval("select count(*) from pricing.price_snapshots") == 500


async def test_a_connection_lost_in_a_unit_means_nothing_was_stored(house: TestDatabase, db: Database) -> None:
    async def lose() -> None:
        async with db.for_user("ann") as unit:
            await add(unit, "a")
            assert await cut(house) == 1
            await add(unit, "b")

    with pytest.raises(UpstreamUnavailable):
        await lose()
    assert await count(db) == 0


async def test_a_connection_lost_before_commit_is_known_not_to_have_stored(house: TestDatabase, db: Database) -> None:
    async def lose() -> None:
        async with db.for_user("ann") as unit:
            await add(unit, "a")
            connection = unit._connection
            await cut(house)
            await eventually(connection.is_closed)

    with pytest.raises(UpstreamUnavailable):
        await lose()
    assert await count(db) == 0


@pytest.fixture
async def cuts_at_commit(house: TestDatabase) -> AsyncIterator[None]:
    """Let the server end the session while it carries out a COMMIT that stored a thing."""
    async with house.admin() as admin:
        await admin.execute(
            """
            create function orders.cut() returns trigger language plpgsql security definer as
                $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
            create constraint trigger cut after insert on orders.things deferrable initially deferred
                for each row execute function orders.cut()
            """
        )
        yield
        await admin.execute("drop function orders.cut cascade")


@pytest.mark.usefixtures("cuts_at_commit")
async def test_a_connection_lost_during_commit_leaves_the_outcome_unknown(db: Database) -> None:
    called: list[int] = []

    async def lose() -> None:
        async with db.for_user("ann") as unit:
            unit.after_commit(lambda: called.append(1))
            await add(unit, "a")

    with pytest.raises(OutcomeUnknown):
        await lose()
    assert called == []
    assert await count(db) in {0, 1}


async def test_a_full_pool_refuses_within_its_time(house: TestDatabase) -> None:
    async with house.opened(SERVICE, size=1, acquire_s=0.5) as db, db.for_user("ann"):
        with pytest.raises(UpstreamUnavailable):
            async with db.for_user("bob"):
                pytest.fail("two units on one connection")
    async with house.opened(SERVICE, size=1) as db:
        async with db.for_user("ann"):
            waiting = asyncio.create_task(count(db))
        assert await waiting == 0


async def test_a_unit_that_ends_later_is_stored_all_the_same_and_gives_its_connection_back(house: TestDatabase) -> None:
    async with house.opened(SERVICE, size=1) as db:
        for number in range(3):
            async with db.for_user("ann", ends_later=True) as unit:
                await add(unit, str(number))
        assert await count(db) == 3
    async with house.opened(SERVICE, size=1) as db, db.for_user("ann", ends_later=True) as unit:
        await add(unit, "last")
    async with house.opened(SERVICE) as db:
        assert await count(db) == 4


async def test_a_lost_end_that_nobody_waits_for_costs_its_connection_alone(house: TestDatabase) -> None:
    async with house.opened(SERVICE, size=1) as db:
        async with db.for_user("ann", ends_later=True) as unit:
            await unit.now()
            assert await cut(house) == 1
        assert await count(db) == 0


async def test_units_in_parallel_keep_to_the_pools_size(house: TestDatabase) -> None:
    async with house.opened(SERVICE, size=3) as db:
        assert await asyncio.gather(*(count(db) for _ in range(30))) == [0] * 30
        async with house.admin() as admin:
            sessions = "select count(*) from pg_stat_activity where usename = $1"
            assert await admin.fetchval(sessions, f"{SERVICE}_service") <= 3


async def test_cancelled_units_give_their_connections_back(house: TestDatabase) -> None:
    async with house.opened(SERVICE, size=2) as db:

        async def sleep_long() -> None:
            async with db.for_user("ann") as unit:
                await unit.scalar(text("select pg_sleep(30)"))

        for _ in range(5):
            tasks = [asyncio.create_task(sleep_long()) for _ in range(6)]
            await asyncio.wait(tasks, timeout=0.02)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        assert await asyncio.gather(*(count(db) for _ in range(6))) == [0] * 6


# ── emitting ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def correlated() -> Iterator[str]:
    with log.bound_to("the-request", "the-message"):
        yield "the-request"


async def test_a_fact_is_stored_with_what_it_is_about(house: TestDatabase, db: Database, correlated: str) -> None:
    async with db.for_user("ann") as unit:
        unit.lock_taken("ann")
        unit.emit(UserRegistered(username="ann"), key_version=3)
    async with house.admin() as admin:
        row = await admin.fetchrow("select * from orders.outbox")
    assert row is not None
    assert (row["subject"], row["username"], row["key"]) == ("evt.ann.gateway.user_registered", "ann", "ann")
    assert (row["key_version"], row["correlation_id"], row["causation_id"]) == (3, correlated, "the-message")
    assert orjson.loads(row["data"]) == {"username": "ann"}
    assert row["published_at"] is None


async def test_a_fact_of_a_row_that_is_not_locked_is_refused(db: Database) -> None:
    with pytest.raises(InvariantBroken, match="did not lock"):
        async with db.for_user("ann") as unit:
            unit.emit(UserRegistered(username="ann"))


async def test_a_fact_of_somebody_else_is_refused(db: Database) -> None:
    async with db.for_user("ann") as unit:
        unit.lock_taken("bob")
        with pytest.raises(InvariantBroken, match="bob"):
            unit.emit(UserRegistered(username="bob"), user="bob")
        unit.emit(UserRegistered(username="bob"), user=SYSTEM_USER)
    async with db.for_worker() as unit:
        unit.lock_taken("bob")
        with pytest.raises(InvariantBroken, match="nobody"):
            unit.emit(UserRegistered(username="bob"))


async def test_a_fact_too_large_for_the_bus_is_refused_before_it_is_stored(db: Database) -> None:
    huge = UserRegistered(username="x" * 600_000)
    async with db.for_user("ann") as unit:
        unit.lock_taken(huge.key)
        with pytest.raises(TooLarge):
            unit.emit(huge)


async def test_what_was_prepared_once_is_not_forgotten_for_its_age(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    usual, planned = loop.call_later, []

    def noted(delay: float, *rest: Any, **named: Any) -> asyncio.TimerHandle:
        planned.append(delay)
        return usual(delay, *rest, **named)

    monkeypatch.setattr(loop, "call_later", noted)
    async with db.for_worker() as unit:
        await unit.fetch("select 'a statement of this test'")
    assert planned == [one for one in planned if one < 60]


async def test_a_unit_that_fails_says_nothing(house: TestDatabase, db: Database) -> None:
    async def fail() -> None:
        async with db.for_user("ann") as unit:
            unit.lock_taken("ann")
            unit.emit(UserRegistered(username="ann"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with house.admin() as admin:
        assert await admin.fetchval("select count(*) from orders.outbox") == 0
