"""One process of a service, from its first listening socket to its last message.

Up: HTTP (not ready) → database → dependencies, routes, jobs → bus and streams → answers → relay → consumers → ready.
Down, at the first signal: not ready → take nothing new → finish what is in flight → flush the relay → close.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from libs.common import log
from libs.common.beats import Beats, NoBeats
from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.consumers import FETCH_S, Consumer, consumers_of
from libs.common.db import Database, login_url
from libs.common.errors import AppError
from libs.common.http import HttpClient
from libs.common.jobs import JobRunner
from libs.common.link import Message
from libs.common.listening import make_server, open_socket
from libs.common.messages.durables import wake_subject
from libs.common.metrics import METRICS
from libs.common.outbox import Relay
from libs.common.readiness import Dependency, Readiness, Stage
from libs.common.responders import Responders
from libs.common.schema import schema_reached
from libs.common.service import Chassis, Service
from libs.common.streams import Streams
from libs.common.web import Web

_log = log.get(__name__)

PROBE_S = 5.0
PROBE_AGAIN_S = 0.5
AGE_LIMIT_S = 15.0
FLUSH_S = 2.0
FETCH_LIMIT_S = 3 * FETCH_S + 5.0


class Process:
    """A running service."""

    def __init__(self, service: Service, *, clock: Clock | None = None, beats: Beats | None = None) -> None:
        """Prepare; nothing is connected before `run`."""
        settings = service.settings
        self._service = service
        self._clock = clock or SystemClock()
        self._exit_code = 0
        self._signals = 0
        self.stopping = asyncio.Event()
        self.ready = Readiness(self._clock)
        self.web = Web(self.ready)
        self.db = Database(
            login_url(settings.database_url, f"{service.name}_service", settings.database_password.get_secret_value()),
            service=service.name,
            pooled=settings.database_pooled,
        )
        self.bus = Bus(
            settings.nats_url,
            name=service.name,
            password=settings.nats_password.get_secret_value(),
            clock=self._clock,
            try_s=settings.ask_try_s,
            on_closed=self._fail,
        )
        self.streams = Streams(self.bus, service=service.name, replicas=settings.nats_replicas, clock=self._clock)
        self.http = HttpClient()
        self.chassis = Chassis(
            db=self.db,
            bus=self.bus,
            streams=self.streams,
            clock=self._clock,
            settings=settings,
            http=self.http,
            metrics=METRICS,
            stopping=self.stopping,
            beats=beats or NoBeats(),
        )
        self._socket: socket.socket | None = None

    @property
    def port(self) -> int:
        """The port it listens on, once it does."""
        if self._socket is None:
            message = "not listening yet"
            raise RuntimeError(message)
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def is_listening(self) -> bool:
        """Whether the socket is open."""
        return self._socket is not None

    async def run(self, *, signals: bool = True) -> int:
        """Run until `stopping`; return the exit code."""
        if signals:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self._on_signal, loop, asyncio.current_task())
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._serve(stack)
        except asyncio.CancelledError:
            if self._signals < 2:
                raise
            _log.warning("stopped_at_once")
            return 1
        except BaseExceptionGroup as group:
            _log.error("service_failed", exc_info=group)
            return 1
        _log.info("stopped")
        return self._exit_code

    def stop(self) -> None:
        """Begin to stop."""
        self.ready.stage = Stage.STOPPING
        self.stopping.set()

    async def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        stack.push_async_callback(self.http.close)
        stack.push_async_callback(self.db.close)
        stack.push_async_callback(self.bus.close)
        async with asyncio.TaskGroup() as tasks:
            settings = self._service.settings
            self._socket = open_socket(settings.http_host, settings.http_port)
            server = make_server(self.web.edge, grace_s=settings.stop_grace_s)
            stack.callback(server.leave, self._socket)
            serving = tasks.create_task(server.serve(sockets=[self._socket]))
            _log.info("listening", host=settings.http_host, port=self.port)
            work = tasks.create_task(self._work(stack))
            await self.stopping.wait()
            _log.info("stopping")
            server.should_exit = True
            await asyncio.wait([work], timeout=settings.stop_grace_s)
            if not work.done():
                _log.warning("stop_takes_too_long", grace_s=settings.stop_grace_s)
                work.cancel()
            await asyncio.wait([serving], timeout=settings.stop_grace_s)
            serving.cancel()

    # ── up ───────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _work(self, stack: contextlib.AsyncExitStack) -> None:
        """Come up, work until `stopping`, and finish what is in flight."""
        service = self._service
        relay_ends = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            endless = [tasks.create_task(self._bus_up())]
            deps = await self._deps(stack)
            if deps is None:
                endless[0].cancel()
                return
            if service.routes is not None:
                self.web.mount(service.routes(deps))
            runner = JobRunner(self.db, service.jobs, deps, grace_s=service.settings.stop_grace_s)
            running = [tasks.create_task(runner.run(self.stopping))]
            endless += [tasks.create_task(self._background(one, deps)) for one in service.background]
            endless.append(tasks.create_task(self._probe_database()))
            self.ready.waits_for = "bus"
            responders = Responders(self.bus, service=service.name, deps=deps, clock=self._clock)
            relay = Relay(self.db, self.streams)
            if await self._until(self._connected(responders, relay, tasks)):
                relaying = tasks.create_task(relay.run(relay_ends))
                consumers = self._consumers(deps)
                running += [tasks.create_task(consumer.run(self.stopping)) for consumer in consumers]
                self.ready.stage = Stage.READY
                _log.info("ready")
                await self.stopping.wait()
                for consumer in consumers:
                    consumer.interrupt()
                await responders.stop()
                await asyncio.wait(running)
                await responders.finished()
                relay_ends.set()
                await asyncio.wait([relaying])
                await relay.flush(FLUSH_S)
            else:
                await asyncio.wait(running)
            for task in endless:
                task.cancel()

    async def _deps(self, stack: contextlib.AsyncExitStack) -> Any:
        """Wait for the database and open the service's dependencies; None when stopped before."""
        self.ready.waits_for = "database"
        self.ready.watch("database", AGE_LIMIT_S, lambda: self.db.age_s)
        await self.db.open()
        if not await self._until(schema_reached(self.db)):
            return None
        self.ready.waits_for = "dependencies"
        return await stack.enter_async_context(self._service.open(self.chassis))

    async def _bus_up(self) -> None:
        """Connect, then prove the connection from time to time; end the process if the library gave up."""
        bus = self.ready.watch("bus", AGE_LIMIT_S, self._bus_age_s)
        await self.bus.connect()
        while not self.bus.is_lost_for_good():
            wait_s = await self._tried(bus, self.bus.beat)
            await asyncio.sleep(wait_s)
        self._fail()

    async def _connected(self, responders: Responders, relay: Relay, tasks: asyncio.TaskGroup) -> None:
        """Wait for the bus, make the streams and begin to answer."""

        async def wake(_message: Message) -> None:
            relay.wake()

        await self.bus.wait_connected()
        await self.bus.subscribe(wake_subject(self._service.name), wake)
        while True:
            try:
                await self.streams.ensure()
                await responders.start(tasks, self._service.answers, self._service.hears)
            except AppError as error:
                _log.warning("streams_wait", reason=error.detail)
                await responders.stop()
                await asyncio.sleep(0.5)
            else:
                return

    def _consumers(self, deps: Any) -> list[Consumer]:
        made = consumers_of(
            self._service.consumers, service=self._service.name, streams=self.streams, deps=deps, clock=self._clock
        )
        for consumer in made:
            self.ready.watch(f"consumer {consumer.name}", FETCH_LIMIT_S, consumer.age_s)
        return made

    # ── while it runs ────────────────────────────────────────────────────────────────────────────────────────────────

    async def _background(self, work: Callable[[Any], Awaitable[None]], deps: Any) -> None:
        wait_s = 0.2
        while True:
            try:
                await work(deps)
            except AppError as error:
                _log.warning("background_waits", work=work.__qualname__, reason=error.detail)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 5.0)
            else:
                return

    async def _probe_database(self) -> None:
        database = self.ready.watch("database", AGE_LIMIT_S, lambda: self.db.age_s)
        while True:
            wait_s = await self._tried(database, self.db.probe)
            await asyncio.sleep(wait_s)

    async def _tried(self, dependency: Dependency, probe: Callable[[], Awaitable[None]]) -> float:
        """Try a dependency and return when to try again. Units: seconds."""
        try:
            await probe()
        except AppError as error:
            dependency.reason = error.detail
            return PROBE_AGAIN_S
        dependency.reason = None
        return PROBE_S

    def _bus_age_s(self) -> float | None:
        last = self.bus.last_ok_at
        return None if last is None or not self.bus.connected else (self._clock.now() - last).total_seconds()

    # ── down ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _until(self, work: Awaitable[None]) -> bool:
        """Wait for `work` unless stopping comes first; say whether it was done."""
        done = asyncio.ensure_future(work)
        stopped = asyncio.ensure_future(self.stopping.wait())
        try:
            await asyncio.wait([done, stopped], return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                done.result()
                return True
            return False
        finally:
            done.cancel()
            stopped.cancel()

    def _on_signal(self, loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any] | None) -> None:
        self._signals += 1
        if self._signals > 1 and task is not None:
            loop.call_soon(task.cancel)
        self.stop()

    def _fail(self) -> None:
        """Stop with an error: the bus is closed for good, and only a new process has a new connection."""
        self._exit_code = 1
        self.stop()
