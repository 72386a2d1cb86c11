"""The servers of a running stack, entered with a service's own login: nothing opens that is not that service's.

The rules themselves are held on fresh servers by tests/integration/chassis/test_doors.py and by
tests/deploy/test_permissions.py; here it is the running stack, with rows and facts worth reading.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats
import orjson
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from libs.common.messages.base import QUERIES, Envelope, utc
from libs.common.messages.durables import DURABLES, EVENTS, SERVICES
from tests.isolation.conftest import Ann
from tests.journey.stack import Stack
from tests.journey.trader import Json

pytestmark = pytest.mark.faults

_TABLES = """
select format('%I.%I', nspname, relname), nspname from pg_class join pg_namespace n on n.oid = relnamespace
where nspname = any($1) and relkind in ('r', 'p', 'v', 'm')
"""
_NAMES = (None, "", "'", "' or true --", '"', "{ann}'", "{ann} ", "*", "%", "_", "x" * 10_240)
"""What may stand where a user's name belongs; None: the setting is missing."""


@asynccontextmanager
async def database(stack_url: str, keyring: Json, service: str) -> AsyncIterator[asyncpg.Connection]:
    """Enter PostgreSQL as a service does."""
    address = urlsplit(stack_url)
    connection = await asyncpg.connect(
        host=address.hostname, port=address.port, database=address.path.strip("/"),
        user=f"{service}_service", password=keyring["database_passwords"][service],
    )  # fmt: skip
    try:
        yield connection
    finally:
        await connection.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_services_database_login_reads_nothing_without_a_door_and_nothing_for_nobody(
    service: str, stack: Stack, keyring: Json, ann: Ann
) -> None:
    url = stack.status()["database_url"]
    admin = await asyncpg.connect(url)
    try:
        tables = await admin.fetch(_TABLES, list(SERVICES))
        assert sum([await admin.fetchval(f"select count(*) from {name}") for name, _ in tables]) > 50
    finally:
        await admin.close()
    async with database(url, keyring, service) as connection:
        for name, _ in tables:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.fetch(f"select 1 from {name} limit 1")
        await connection.execute(f"set role {service}_tenant")
        for user in _NAMES:
            if user is not None:
                named = user.format(ann=ann.trader.name)
                await connection.execute("select set_config('app.current_user', $1, false)", named)
            for name, schema in tables:
                found = await visible(connection, name)
                assert not found or (schema == service and is_shared(name)), f"{name} for {user!r}: {found[:1]}"


async def visible(connection: asyncpg.Connection, table: str) -> list[asyncpg.Record]:
    """Read a table as far as the door lets us: not at all is nothing."""
    try:
        return list(await connection.fetch(f"select * from {table} limit 1"))
    except asyncpg.InsufficientPrivilegeError:
        return []


def is_shared(table: str) -> bool:
    """Say whether a table holds nobody's data: market data, and what the chassis says of itself."""
    from libs.common.ddl import is_exempt

    schema, name = table.replace('"', "").split(".")
    return bool(is_exempt(schema, name))


@asynccontextmanager
async def bus(stack_url: str, keyring: Json, service: str) -> AsyncIterator[tuple[Client, list[str]]]:
    """Enter NATS as a service does, noting what it refuses."""
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error))

    address = urlsplit(stack_url)
    place = f"{service}:{keyring['nats_passwords'][service]}@{address.hostname}:{address.port}"
    client = await nats.connect(
        urlunsplit(("nats", place, "", "", "")), error_cb=note, inbox_prefix=f"_INBOX_{service}".encode()
    )
    try:
        yield client, refused
    finally:
        await client.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_services_bus_login_hears_and_says_nothing_of_others_on_the_running_server(
    service: str, stack: Stack, keyring: Json, ann: Ann
) -> None:
    other = next(one for one in SERVICES if one != service)
    theirs = [durable.name for durable in DURABLES.values() if durable.service != service]
    async with bus(stack.status()["nats_url"], keyring, service) as (client, refused):
        said = [
            *(f"$JS.API.STREAM.{verb}.{EVENTS}" for verb in ("DELETE", "PURGE", "UPDATE", "SNAPSHOT", "MSG.GET")),
            f"$JS.API.DIRECT.GET.{EVENTS}",
            *(
                f"$JS.API.CONSUMER.{verb}.{EVENTS}.{name}"
                for verb in ("DELETE", "MSG.NEXT", "PAUSE")
                for name in theirs
            ),
            *(f"$JS.ACK.{EVENTS}.{name}.1.1.1.1.1" for name in theirs),
            f"_INBOX_{other}.forged",
            f"evt.{ann.trader.name}.{other}.trade_closed",
            f"wake.{other}",
            f"dead.{other}.anything",
            "$SYS.REQ.SERVER.PING",
        ]
        for subject in said:
            before = len(refused)
            await client.publish(subject, b"{}", reply=f"_INBOX_{service}.x")
            await client.flush()
            await client.flush()
            assert len(refused) > before, f"{service} may say {subject}"
        for subject in (">", "evt.>", "cmd.>", "qry.>", f"_INBOX_{other}.>", "_INBOX.>", "$JS.>", "$SYS.>", "dead.>"):
            before = len(refused)
            await client.subscribe(subject)
            await client.flush()
            await client.flush()
            assert len(refused) > before, f"{service} may hear {subject}"


@pytest.mark.parametrize(
    "reply",
    [
        f"$JS.ACK.{EVENTS}.gateway-orders.1.1.1.1.1",
        "evt.{ann}.orders.trade_closed",
        "cmd.orders.{ann}.place_trade",
        "dead.orders.orders-broker",
    ],
)
async def test_an_answer_goes_to_inboxes_only_whatever_reply_subject_was_asked_for(
    reply: str, stack: Stack, keyring: Json, ann: Ann
) -> None:
    """The server checks no reply subject: whoever may ask could have orders say something in its place."""
    url = stack.status()["nats_url"]
    target = reply.format(ann=ann.trader.name)
    admin = await nats.connect(url)
    heard: list[bytes] = []

    async def hear(message: Msg) -> None:
        heard.append(message.data)

    try:
        await admin.subscribe(target, cb=hear)
        await admin.flush()
        async with bus(url, keyring, "monitor") as (client, _):
            query = QUERIES["orders.list_tracked"]
            question = Envelope.decode(_question())
            payload = question.model_dump_json().encode()
            await client.publish(query.subject("_"), payload, reply=target)
            answer = await client.request(query.subject("_"), payload, timeout=5)
            assert orjson.loads(answer.data)["trades"]
        await admin.flush()
        assert heard == []
    finally:
        await admin.close()


def _question() -> bytes:
    from datetime import UTC, datetime, timedelta

    now = utc(datetime.now(UTC))
    return orjson.dumps(
        {
            "id": uuid.uuid4().hex,
            "user": "_",
            "occurred_at": now,
            "deadline_at": now + timedelta(seconds=10),
            "correlation_id": uuid.uuid4().hex,
            "data": {"cursor": None},
        }
    )


async def test_nobody_enters_the_database_by_guessing(stack: Stack) -> None:
    where = urlsplit(stack.status()["database_url"])
    for user in ("postgres", "orders_service", "bookend_owner", "backup_service"):
        with pytest.raises((asyncpg.InvalidPasswordError, asyncpg.InvalidAuthorizationSpecificationError)):
            await asyncpg.connect(host=where.hostname, port=where.port, database="bookend", user=user, password="guess")
