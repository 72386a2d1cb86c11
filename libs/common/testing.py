"""What tests stand on: waiting without sleeping, a bus without a server, a migrated database emptied between tests."""

from __future__ import annotations

import asyncio
import inspect
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar, overload

import asyncpg

from libs.common.beats import Beats
from libs.common.clock import Clock, ManualClock
from libs.common.db import Database, login_url
from libs.common.errors import AppError, UpstreamUnavailable
from libs.common.handlers import Reply
from libs.common.messages.base import Asked, Tick
from libs.common.messages.durables import SERVICES
from libs.common.migrate import VERSION_TABLE, migrate
from libs.common.roles import password_variable
from libs.common.service import Service

if TYPE_CHECKING:
    from libs.common.process import Process

__all__ = ["FakeBus", "ManualClock", "TestDatabase", "eventually", "serve"]

T = TypeVar("T")

Answer = Reply | Mapping[str, Any] | AppError | Callable[[Any], Any]
"""What a fake owner answers: a reply, its JSON, an error to raise, or a function of the message."""


@overload
async def eventually(
    predicate: Callable[[], Coroutine[Any, Any, T]], within_s: float = ..., every_s: float = ...
) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], within_s: float = ..., every_s: float = ...) -> T: ...
async def eventually(predicate: Callable[[], Any], within_s: float = 5.0, every_s: float = 0.01) -> Any:
    """Ask until the answer is true, and return it. Raises: AssertionError with the last answer. Units: seconds."""
    loop = asyncio.get_running_loop()
    ends = loop.time() + within_s
    while True:
        found: Any = predicate()
        if inspect.isawaitable(found):
            found = await found
        if found:
            return found
        if loop.time() > ends:
            message = f"not within {within_s:g} s; the last answer was {found!r}"
            raise AssertionError(message)
        await asyncio.sleep(every_s)


@asynccontextmanager
async def serve(
    service: Service, *, clock: Clock | None = None, beats: Beats | None = None, within_s: float = 20.0
) -> AsyncIterator[Process]:
    """Run a service in this process until the block ends; it is ready when the block begins. Units: seconds."""
    # Only who asks for it pays for the web server.
    from libs.common.process import Process  # noqa: PLC0415

    process = Process(service, clock=clock, beats=beats)
    running = asyncio.create_task(process.run(signals=False))
    try:
        await eventually(lambda: process.ready.is_ready or running.done(), within_s)
        if running.done():
            message = f"{service.name} ended with code {running.result()} instead of getting ready"
            raise AssertionError(message)
        yield process
    finally:
        process.stop()
        await running


class FakeBus:
    """A bus whose other side is this test: `answers` by message class; what was asked and said is remembered."""

    def __init__(self, answers: Mapping[type[Asked], Answer] | None = None) -> None:
        self.answers: dict[type[Asked], Answer] = dict(answers or {})
        self.asked: list[tuple[Asked, str]] = []
        self.ticks: list[tuple[Tick, str]] = []
        self.connected = True

    async def ask(self, message: Asked, *, user: str, timeout_s: float | None = None, via: str | None = None) -> Reply:
        """Answer as told. Raises: what it was told to; UpstreamUnavailable when away or nobody would answer."""
        self._check()
        self.asked.append((message, user))
        answer = self.answers.get(type(message))
        if callable(answer):
            answer = answer(message)
            if inspect.isawaitable(answer):
                answer = await answer
        if answer is None:
            detail = f"nobody answers {type(message).__name__}"
            raise UpstreamUnavailable(detail)
        if isinstance(answer, AppError):
            raise answer
        return answer if isinstance(answer, Reply) else Reply.of(answer)

    async def tick(self, tick: Tick, token: str) -> None:
        """Remember a tick. Raises: UpstreamUnavailable when away."""
        self._check()
        self.ticks.append((tick, token))

    def _check(self) -> None:
        if not self.connected:
            detail = "the message bus is not connected"
            raise UpstreamUnavailable(detail)


class TestDatabase:
    """The database of a test session: migrated once, emptied between tests. `url` is the administrator's."""

    __test__ = False

    def __init__(self, url: str, passwords: Mapping[str, str] | None = None) -> None:
        """Know the administrator's address, and the passwords when another database of the server has set them."""
        self.url = url
        # With every character that an address could trip over.
        fresh = {service: f"{secrets.token_urlsafe(12)}@:/?#[]% +" for service in SERVICES}
        self.passwords = dict(passwords or fresh)
        self._empty = ""

    @property
    def environment(self) -> dict[str, str]:
        """The passwords as migrations read them."""
        return {password_variable(service): password for service, password in self.passwords.items()}

    async def migrate(self, services: Sequence[str] = SERVICES) -> list[str]:
        """Bring the chains of `services` to their end; returns what was done."""
        done = await migrate(self.url, self.environment, services)
        self._empty = ""
        return done

    def url_of(self, service: str) -> str:
        """Say where the login of a service connects."""
        return login_url(self.url, f"{service}_service", self.passwords[service])

    @asynccontextmanager
    async def opened(self, service: str, *, clock: Clock | None = None, **options: Any) -> AsyncIterator[Database]:
        """Open the doors of a service, as its process would."""
        database = Database(self.url_of(service), service=service, clock=clock, **options)
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[asyncpg.Connection]:
        """Open a connection that may do everything and sees every row."""
        connection = await asyncpg.connect(self.url)
        try:
            yield connection
        finally:
            await connection.close()

    async def truncate(self) -> None:
        """Remove every row of every service's tables, whatever triggers say."""
        async with self.admin() as admin:
            if not self._empty:
                self._empty = await _emptying(admin)
            # Deleting from a few dozen nearly empty tables is many times quicker than TRUNCATE, which makes new files.
            await admin.execute(self._empty)


async def _emptying(admin: asyncpg.Connection) -> str:
    tables = await admin.fetch(
        """
        select format('delete from %I.%I;', nspname, relname) as statement
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = any($1) and relkind in ('r', 'p') and not relispartition and relname <> $2
        order by nspname, relname
        """,
        list(SERVICES),
        VERSION_TABLE,
    )
    # As a replica no trigger and no foreign key is asked.
    return "set session_replication_role = replica; " + " ".join(row["statement"] for row in tables)
