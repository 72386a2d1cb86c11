"""Buses of the services on a NATS server of the test's own, which it may stop, empty and start again."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from deploy.local.nats import EmbeddedNats
from deploy.nats.permissions import permissions_for
from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.consumers import Consumer, consumers_of
from libs.common.messages.durables import SERVICES
from libs.common.responders import Responders
from libs.common.streams import Streams
from tests.servers import new_nats

PASSWORD = "between-tests-only"


@contextmanager
def nats_server(folder: Path) -> Iterator[EmbeddedNats]:
    """Run a NATS server with every service's login and permissions."""
    services = {service: (PASSWORD, permissions_for(service)) for service in SERVICES}
    server = new_nats(folder, services).start()
    try:
        yield server
    finally:
        server.stop()


def restart(server: EmbeddedNats, *, emptied: bool = False) -> None:
    """Stop and start the server, losing its streams if told."""
    server.stop()
    if emptied:
        shutil.rmtree(server.store_dir)
    server.start()


@asynccontextmanager
async def bus_of(server: EmbeddedNats, service: str, **options: Any) -> AsyncIterator[Bus]:
    """Connect as a service."""
    bus = Bus(server.address, name=service, password=PASSWORD, **options)
    await bus.connect()
    try:
        yield bus
    finally:
        await bus.close()


@asynccontextmanager
async def answering(
    bus: Bus,
    *handlers: Callable[..., Any],
    hears: Sequence[Callable[..., Any]] = (),
    deps: Any = None,
    clock: Clock | None = None,
    at_once: int = 64,
) -> AsyncIterator[Responders]:
    """Answer as the bus's service until the block ends."""
    responders = Responders(bus, service=bus.name, deps=deps, clock=clock or SystemClock(), at_once=at_once)
    async with asyncio.TaskGroup() as tasks:
        await responders.start(tasks, handlers, hears)
        yield responders
        await responders.stop()
        await responders.finished()


@asynccontextmanager
async def consuming(bus: Bus, *handlers: Callable[..., Any], deps: Any = None) -> AsyncIterator[list[Consumer]]:
    """Consume as the bus's service until the block ends."""
    streams = Streams(bus, service=bus.name)
    consumers = consumers_of(handlers, service=bus.name, streams=streams, deps=deps, clock=SystemClock())
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        for consumer in consumers:
            tasks.create_task(consumer.run(stopping))
        try:
            yield consumers
        finally:
            stopping.set()
            for consumer in consumers:
                consumer.interrupt()
