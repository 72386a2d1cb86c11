"""What the login of a service may do, asked of a real server that was given the generated permissions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import nats
import nats.errors
import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, StreamConfig
from nats.js.errors import NotFoundError

from deploy.local.nats import EmbeddedNats
from deploy.nats.permissions import inbox_of, permissions_for
from libs.common.messages import base, durables

pytestmark = pytest.mark.integration

SERVICES = durables.SERVICES


class Login:
    """One connected service and what the server refused it."""

    def __init__(self, client: Client, refusals: list[str]) -> None:
        self.client = client
        self.refusals = refusals

    async def may_publish(self, subject: str, payload: bytes = b"{}") -> bool:
        before = len(self.refusals)
        await self.client.publish(subject, payload)
        await self._answer_of_the_server()
        return len(self.refusals) == before

    async def may_subscribe(self, subject: str, queue: str = "") -> bool:
        before = len(self.refusals)
        subscription = await self.client.subscribe(subject, queue=queue)
        await self._answer_of_the_server()
        if len(self.refusals) > before:
            return False
        await subscription.unsubscribe()
        return True

    async def _answer_of_the_server(self) -> None:
        # The library may write its ping before what was published; the second ping certainly comes after it, and the
        # server answers in order.
        await self.client.flush()
        await self.client.flush()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    directory: Path = tmp_path_factory.mktemp("nats")
    logins = {name: (f"{name}-secret", permissions_for(name)) for name in SERVICES}
    running = EmbeddedNats(directory, services=logins, unsafe_fast=True).start()
    yield running
    running.stop()


def login(server: EmbeddedNats, name: str) -> AbstractAsyncContextManager[Login]:
    @asynccontextmanager
    async def connected() -> AsyncIterator[Login]:
        refusals: list[str] = []

        async def note(error: Exception) -> None:
            refusals.append(str(error))

        client = await nats.connect(server.url_of(name), error_cb=note, inbox_prefix=inbox_of(name).encode())
        try:
            yield Login(client, refusals)
        finally:
            await client.close()

    return connected()


@asynccontextmanager
async def administrator(server: EmbeddedNats) -> AsyncIterator[Client]:
    client = await nats.connect(server.url)
    try:
        yield client
    finally:
        await client.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_publishes_exactly_the_facts_it_owns(server: EmbeddedNats, service: str) -> None:
    async with login(server, service) as one:
        for fact in base.FACTS.values():
            assert await one.may_publish(fact.subject("alice")) == (fact.owner == service), fact


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_asks_exactly_what_names_it_as_asker(server: EmbeddedNats, service: str) -> None:
    async with login(server, service) as one:
        for asked in (*base.COMMANDS.values(), *base.QUERIES.values()):
            assert await one.may_publish(asked.subject("alice")) == (service in asked.askers), asked


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_hears_only_its_own_questions_and_only_in_its_queue_group(
    server: EmbeddedNats, service: str
) -> None:
    async with login(server, service) as one:
        for asked in (*base.COMMANDS.values(), *base.QUERIES.values()):
            subject = f"{asked.prefix}.{asked.owner}.*.*"
            assert await one.may_subscribe(subject, queue=service) == (asked.owner == service), asked
            assert not await one.may_subscribe(subject), f"without a queue group a copy could be taken: {asked}"
            assert not await one.may_subscribe(subject, queue="other"), asked


@pytest.mark.parametrize("service", SERVICES)
async def test_ticks_are_told_by_their_publishers_and_heard_by_their_listeners(
    server: EmbeddedNats, service: str
) -> None:
    async with login(server, service) as one:
        for tick in base.TICKS.values():
            assert await one.may_publish(tick.subject("alice")) == (service in tick.publishers), tick
            queue = service if tick.queued else ""
            assert await one.may_subscribe(tick.subject("*"), queue=queue) == (service in tick.listeners), tick


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_hears_no_inbox_but_its_own(server: EmbeddedNats, service: str) -> None:
    async with login(server, service) as one:
        assert await one.may_subscribe(f"{inbox_of(service)}.x.*")
        others = [inbox_of(other) for other in SERVICES if other != service]
        for inbox in ("_INBOX", *others):
            assert not await one.may_subscribe(f"{inbox}.>")
        for everything in (">", "evt.>", "cmd.>", "$JS.>", "$SYS.>"):
            assert not await one.may_subscribe(everything), everything


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_wakes_only_itself_and_buries_only_its_own_dead(server: EmbeddedNats, service: str) -> None:
    async with login(server, service) as one:
        for other in SERVICES:
            assert await one.may_publish(f"wake.{other}") == (other == service)
            assert await one.may_subscribe(f"wake.{other}") == (other == service)
            assert await one.may_publish(f"dead.{other}.durable") == (other == service)


@pytest.mark.parametrize("service", SERVICES)
async def test_no_service_may_delete_purge_or_change_a_stream(server: EmbeddedNats, service: str) -> None:
    async with login(server, service) as one:
        for stream in (durables.EVENTS, durables.DEAD, "KV_budget"):
            for verb in ("DELETE", "PURGE", "UPDATE", "MSG.DELETE"):
                assert not await one.may_publish(f"$JS.API.STREAM.{verb}.{stream}")
            assert not await one.may_publish(f"$JS.API.CONSUMER.DELETE.{stream}.anything")


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_makes_and_reads_its_own_durables_and_no_others(server: EmbeddedNats, service: str) -> None:
    async with administrator(server) as admin:
        await admin.jetstream().add_stream(StreamConfig(name=durables.EVENTS, subjects=["evt.>"]))
        await admin.jetstream().add_stream(StreamConfig(name=durables.SIGNALS, subjects=[durables.EVERY_SIGNAL]))
        await admin.jetstream().publish("evt.alice.orders.trade_closed", b"{}")
    async with login(server, service) as one:
        stream = one.client.jetstream(timeout=1)
        for durable in durables.DURABLES.values():
            if durable.service != service:
                place = f"{durable.stream}.{durable.name}"
                assert not await one.may_publish(f"$JS.API.CONSUMER.MSG.NEXT.{place}")
                assert not await one.may_publish(f"$JS.ACK.{place}.1.1.1.1.1")
                assert not await one.may_publish(f"$JS.API.CONSUMER.CREATE.{place}.{durable.filter}")
                continue
            config = ConsumerConfig(name=durable.name, durable_name=durable.name, filter_subject=durable.filter)
            made = await stream.add_consumer(durable.stream, config)
            assert made.name == durable.name
            if durable.filter == "evt.*.orders.*":
                bound = await stream.pull_subscribe_bind(durable.name, durables.EVENTS)
                for message in await bound.fetch(1, timeout=2):
                    await message.ack_sync(timeout=2)
        assert one.refusals == [] or all("permissions violation" in text for text in one.refusals)


async def test_a_durable_cannot_be_made_with_a_wider_filter(server: EmbeddedNats) -> None:
    async with login(server, "orders") as one:
        assert not await one.may_publish("$JS.API.CONSUMER.CREATE.EVENTS.orders-broker.evt.>")
        assert not await one.may_publish("$JS.API.CONSUMER.CREATE.EVENTS.orders-broker")
        assert not await one.may_publish("$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.orders-broker")
        assert not await one.may_publish("$JS.API.CONSUMER.CREATE.EVENTS")


async def test_an_answer_may_be_sent_once_to_whoever_asked(server: EmbeddedNats) -> None:
    query = base.QUERIES["orders.get_trade"]
    async with login(server, "orders") as owner, login(server, "gateway") as asker:

        async def answer_twice(message: Msg) -> None:
            await message.respond(b"first")
            await message.respond(b"second")

        await owner.client.subscribe(query.subject("*"), queue="orders", cb=answer_twice)
        await owner.client.flush()
        answer = await asker.client.request(query.subject("alice"), b"{}", timeout=2)
        assert answer.data == b"first"
        assert not await owner.may_publish(f"{inbox_of('gateway')}.forged"), "no question, no answer"


async def test_the_budget_is_kept_by_those_who_talk_to_the_broker(server: EmbeddedNats) -> None:
    for service in SERVICES:
        async with login(server, service) as one:
            talks = service in {"orders", "monitor", "pricing"}
            assert await one.may_publish("$KV.budget.trading.token") == talks
            assert await one.may_publish("$JS.API.DIRECT.GET.KV_budget.$KV.budget.trading.token") == talks


async def test_nobody_connects_without_a_password_or_with_a_wrong_one(server: EmbeddedNats) -> None:
    for login_given in (b"", b',"user":"orders","pass":"guess"', b',"user":"orders"'):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b'CONNECT {"verbose":false' + login_given + b"}\r\nPING\r\n")
        assert (await reader.readline()).startswith(b"INFO")
        assert b"Authorization Violation" in await reader.readline()
        writer.close()
        await writer.wait_closed()


async def test_the_feed_reads_every_fact_and_only_the_gateway_has_it(server: EmbeddedNats) -> None:
    async with administrator(server) as admin:
        await admin.jetstream().add_stream(StreamConfig(name=durables.EVENTS, subjects=["evt.>"]))
        await admin.jetstream().add_stream(StreamConfig(name=durables.SIGNALS, subjects=[durables.EVERY_SIGNAL]))
        await admin.jetstream().publish("evt.alice.orders.trade_closed", b"{}")
    async with login(server, "gateway") as one:
        feed = await one.client.jetstream().subscribe("evt.>", stream=durables.EVENTS, ordered_consumer=True)
        assert (await feed.next_msg(timeout=2)).subject == "evt.alice.orders.trade_closed"
        await feed.unsubscribe()
    async with login(server, "forensics") as other:
        with pytest.raises((nats.errors.TimeoutError, NotFoundError)):
            await other.client.jetstream(timeout=0.5).subscribe("evt.>", stream="EVENTS", ordered_consumer=True)
