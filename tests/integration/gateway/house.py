"""A running gateway, and the other services as responders whose answers a test states."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from deploy.local.nats import EmbeddedNats
from deploy.nats import issuer
from deploy.nats.permissions import permissions_for
from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.handlers import Context, Reply, answers
from libs.common.ids import new_id
from libs.common.messages.base import COMMANDS, QUERIES, Asked, Envelope, Fact
from libs.common.messages.durables import SERVICES
from libs.common.process import Process
from libs.common.responders import Responders
from libs.common.streams import Streams
from libs.common.testing import TestDatabase, eventually
from services.gateway.service import build
from services.gateway.settings import GatewaySettings
from tests.servers import new_nats

OTHERS = ("orders", "monitor", "pricing", "forensics")
BOTS_EACH, KNOCKS = 8, 60
PASSWORD = "correct horse battery"
UNSAFE = {"X-Bookend": "1"}

Said = Reply | Mapping[str, Any] | AppError | Callable[[Any, Context], Any]


class House:
    """The gateway's address, what the others answer and what they were asked."""

    def __init__(self, process: Process, nats: EmbeddedNats, database: TestDatabase) -> None:
        self.process = process
        self.nats = nats
        self.database = database
        self.answers: dict[type[Asked], Said] = {}
        self.asked: list[tuple[Asked, Context]] = []
        self.streams: dict[str, Streams] = {}
        self.buses: dict[str, Bus] = {}
        self._clients: list[httpx.AsyncClient] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.process.port}"

    def client(self, **options: Any) -> httpx.AsyncClient:
        """Return a browser without a session; it is closed after the test."""
        made = httpx.AsyncClient(base_url=self.url, timeout=20, verify=False, **options)
        self._clients.append(made)
        return made

    async def close_clients(self) -> None:
        while self._clients:
            await self._clients.pop().aclose()

    async def signed_in(self, username: str, **options: Any) -> httpx.AsyncClient:
        """Return a browser with the session of a new user."""
        client = self.client(headers=UNSAFE, **options)
        answer = await client.post("/api/auth/register", json={"username": username, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        return client

    async def say(self, fact: Fact, user: str, *, key_version: int | None = None) -> str:
        """Publish a fact as its owner's relay would; return its id."""
        fact_id = new_id()
        envelope = Envelope(
            id=fact_id,
            user=user,
            key=fact.key,
            key_version=key_version,
            occurred_at=SystemClock().now(),
            correlation_id=new_id(),
        )
        await self.streams[fact.owner].publish(type(fact).subject(user), envelope.encode(fact), fact_id)
        return fact_id

    async def answer(self, message: Asked, ctx: Context) -> Any:
        self.asked.append((message, ctx))
        said = self.answers.get(type(message), UpstreamUnavailable(f"nobody plays {type(message).__name__}"))
        if callable(said):
            said = said(message, ctx)
        if isinstance(said, AppError):
            raise said
        return said


ISSUER_SEED = issuer.draw()


@contextmanager
def own_nats(folder: Path) -> Iterator[EmbeddedNats]:
    """Run a NATS of one's own: elsewhere other tests' services would answer in our players' place."""
    logins = {service: (secrets.token_urlsafe(12), permissions_for(service)) for service in SERVICES}
    server = new_nats(folder, logins, issuer.public_of(ISSUER_SEED)).start()
    try:
        yield server
    finally:
        server.stop()


def settings_for(database: TestDatabase, nats: EmbeddedNats, **changes: Any) -> GatewaySettings:
    parts = urlsplit(database.url)
    given: dict[str, Any] = {
        "database_url": f"postgresql://{parts.hostname}:{parts.port}{parts.path}",
        "database_password": database.passwords["gateway"],
        "nats_url": nats.address,
        "nats_password": nats.url_of("gateway").split("//gateway:")[1].rpartition("@")[0],
        "bots_issuer_seed": ISSUER_SEED,
        "web_root": str(Path(__file__).parent / "no-page"),
        "argon2_memory_kib": 64,
        "argon2_rounds": 1,
        "stream_check_s": 0.1,
        "bot_connections_per_user": BOTS_EACH,
        "bot_logins_per_10_s": KNOCKS,
        "stream_comment_s": 0.2,
        "ask_try_s": 0.5,
        "stop_grace_s": 3.0,
        **changes,
    }
    return GatewaySettings.model_validate(given)


@asynccontextmanager
async def running(database: TestDatabase, nats: EmbeddedNats, **changes: Any) -> AsyncIterator[House]:
    """Run a gateway in this process until the block ends."""
    process = Process(build(settings_for(database, nats, **changes)))
    house = House(process, nats, database)
    task = asyncio.create_task(process.run(signals=False))
    try:
        async with AsyncExitStack() as stack:
            for name in OTHERS:
                await stack.enter_async_context(_playing(name, house))
            await eventually(lambda: process.ready.is_ready or task.done(), within_s=20)
            assert not task.done(), task.result()
            yield house
    finally:
        await house.close_clients()
        process.stop()
        await asyncio.wait([task], timeout=15)
        assert task.done(), "the gateway did not stop"


async def _has_streams(streams: Streams) -> bool:
    """Make them, again where a busy disk kept JetStream from answering in time, as a service would."""
    try:
        return bool(await streams.ensure())
    except UpstreamUnavailable:
        return False


@asynccontextmanager
async def _playing(name: str, house: House) -> AsyncIterator[None]:
    bus = Bus(house.nats.url_of(name), name=name)
    await bus.connect()
    house.buses[name] = bus
    house.streams[name] = Streams(bus, service=name)
    await eventually(lambda: _has_streams(house.streams[name]), within_s=30)
    async with asyncio.TaskGroup() as tasks:
        responders = Responders(bus, service=name, deps=house, clock=SystemClock())
        played = [_plays(kind) for kind in {**COMMANDS, **QUERIES}.values() if kind.owner == name]
        played += [_plays(kind) for kind in QUERIES.values() if kind.owner == name and kind.topic in COMMANDS]
        await responders.start(tasks, played, ())
        try:
            yield
        finally:
            await responders.stop()
            await responders.finished()
    await bus.close()


def _plays(kind: type[Asked]) -> Callable[..., Any]:
    @answers(kind)
    async def play(message: Asked, ctx: Context, deps: House) -> Any:
        return await deps.answer(message, ctx)

    return play
