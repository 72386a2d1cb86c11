"""Brings one whole stack up, keeps it up until asked to stop, and takes it down.

Everything that does not wait for something else starts at once: PostgreSQL, NATS, the simulator and the build of the
page side by side, then the migrations, then all services together.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.child import end_helpers, end_strangers
from deploy.local.demo import ensure_demo_user
from deploy.local.keyring import DEMO_USER, SERVICES, Keyring, open_keyring
from deploy.local.layout import PROJECT, DirectoryLock, Layout, read_json, write_json
from deploy.local.logs import trim_logs
from deploy.local.migrations import migrate_if_needed
from deploy.local.nats import EmbeddedNats
from deploy.local.parts import NatsPart, PostgresPart, ProgramPart
from deploy.local.ports import LOOPBACK, free_or_new, free_port, is_free
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.problem import StackProblem
from deploy.local.progress import Progress
from deploy.local.services import (
    SERVER_PARTS,
    Addresses,
    common_environment,
    python,
    replica_names,
    service_environment,
)
from deploy.local.state import PartState, StackState, load_state, observed
from deploy.local.supervisor import Supervisor
from deploy.local.web import ensure_page

TRIM_EVERY_S = 60.0


@dataclass(frozen=True)
class Options:
    """What the person asked for."""

    data_dir: Path
    port: int = 8000
    speed: float = 1.0
    seed: int = 7
    replicas: dict[str, int] = field(default_factory=dict)
    reset: bool = False


class Stack:
    """One stack, from its lock to its last process."""

    def __init__(self, options: Options, progress: Progress) -> None:
        self._options = options
        self._progress = progress
        self._layout = Layout(options.data_dir)
        self._supervisor = Supervisor(self._note, self._parts_changed)
        self._state: StackState | None = None
        self._keyring: Keyring
        self._addresses: Addresses

    async def run(self, stopping: asyncio.Event, on_ready: Callable[[StackState], None]) -> None:
        """Bring it up, say so, and keep it up until `stopping`. Raises: StackProblem, with nothing left running."""
        lock = self._take_lock()
        watching = asyncio.create_task(self._supervisor.watch())
        trimming = asyncio.create_task(self._trim_logs())
        try:
            self._require_port()
            starting = asyncio.create_task(self._bring_up())
            asked = asyncio.create_task(stopping.wait())
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if starting.done():
                on_ready(starting.result())
            starting.cancel()
            await asked
        except BaseExceptionGroup as failed:
            raise _first_problem(failed) from failed
        finally:
            watching.cancel()
            trimming.cancel()
            await self._take_down()
            self._layout.state_file.unlink(missing_ok=True)
            lock.release()

    def kill(self) -> None:
        """End every process now (a second Ctrl-C)."""
        self._supervisor.kill_all()

    def _require_port(self) -> None:
        if not is_free(self._options.port):
            raise StackProblem(
                "gateway",
                f"port {self._options.port} on {LOOPBACK} is taken by another program",
                "stop that program, or choose another port with --port",
            )

    def _take_lock(self) -> DirectoryLock:
        self._layout.prepare()
        lock = DirectoryLock(self._layout.data_dir)
        if not lock.acquire():
            running = load_state(self._layout)
            where = f"at {running.gateway_url} (process {running.launcher.pid})" if running else "and is starting"
            raise StackProblem(
                "launcher",
                f"a stack with this data already runs {where}",
                "use it, stop it with `./bookend down`, or choose another directory with --data",
            )
        left = load_state(self._layout)
        if left is not None:
            # A launcher that was killed: its parts were told by the kernel to end, here we wait until they have.
            end_strangers(left.pids())
            self._layout.state_file.unlink(missing_ok=True)
        if self._options.reset:
            self._layout.reset()
            self._layout.prepare()
        return lock

    async def _bring_up(self) -> StackState:
        self._keyring = open_keyring(self._layout)
        self._addresses = self._choose_ports()
        postgres, nats = self._servers()
        self._state = self._describe(postgres, nats)
        async with asyncio.TaskGroup() as everything:
            page = everything.create_task(self._build_page())
            async with asyncio.TaskGroup() as servers:
                servers.create_task(self._start_postgres(postgres))
                servers.create_task(self._start_part(NatsPart(nats)))
                servers.create_task(self._start_part(self._simulator()))
            for name, service in replica_names(self._options.replicas):
                everything.create_task(self._start_service(name, service, page))
        if (PROJECT / "services" / "gateway" / "admin.py").exists():
            environment = service_environment("gateway", self._keyring, self._addresses, http_port=0)
            made = await asyncio.to_thread(
                ensure_demo_user, self._layout, self._keyring.demo_password, environment, self._options.port
            )
            self._progress.done("demo user", "made, in PAPER mode" if made else "there")
        self._state.ready = True
        self._save()
        return self._state

    def _choose_ports(self) -> Addresses:
        remembered = read_json(self._layout.ports_file)
        ports = {name: free_or_new(remembered.get(name)) for name in SERVER_PARTS}
        write_json(self._layout.ports_file, ports)
        return Addresses(ports["postgres"], ports["nats"], ports["simulator"], self._options.port)

    def _servers(self) -> tuple[EmbeddedPostgres, EmbeddedNats]:
        postgres = EmbeddedPostgres(
            self._layout.postgres_dir, self._addresses.postgres_port, log_path=self._layout.log_of("postgres")
        )
        # Reading all message classes takes longer than all else this process imports; `status` and `down` do without.
        from deploy.nats.issuer import public_of  # noqa: PLC0415
        from deploy.nats.permissions import permissions_for  # noqa: PLC0415

        logins = {name: (self._keyring.nats_passwords[name], permissions_for(name)) for name in SERVICES}
        nats = EmbeddedNats(
            self._layout.nats_dir,
            self._addresses.nats_port,
            services=logins,
            administrator_password=self._keyring.nats_admin_password,
            operator_password=self._keyring.nats_operator_password,
            issuer=public_of(self._keyring.bots_issuer_seed),
            log_path=self._layout.log_of("nats"),
        )
        return postgres, nats

    def _describe(self, postgres: EmbeddedPostgres, nats: EmbeddedNats) -> StackState:
        postgres.draw_password()
        return StackState(
            launcher=observed(os.getpid()),
            gateway_url=self._addresses.gateway_url,
            simulator_url=self._addresses.simulator_url,
            nats_url=nats.url,
            database_url=postgres.url,
            demo={"username": DEMO_USER, "password": self._keyring.demo_password},
        )

    async def _start_postgres(self, server: EmbeddedPostgres) -> None:
        await asyncio.to_thread(server.initialise)
        await self._supervisor.start(PostgresPart(server))
        await asyncio.to_thread(server.ensure_database)
        self._progress.done("postgres", f"ready on {LOOPBACK}:{server.port}")
        ran = await asyncio.to_thread(migrate_if_needed, self._layout, self._keyring, server.url)
        self._progress.done("migrations", "applied" if ran else "nothing to do")

    async def _start_part(self, part: NatsPart | ProgramPart, *, within_s: float = 60.0) -> None:
        await self._supervisor.start(part, within_s=within_s)
        self._progress.done(part.name, f"ready on {LOOPBACK}:{part.port}")

    def _simulator(self) -> ProgramPart:
        port = self._addresses.simulator_port
        directory = self._layout.simulator_dir
        directory.mkdir(parents=True, exist_ok=True)
        flags = ["--host", LOOPBACK, "--port", str(port), "--port-file", str(directory / "port")]
        flags += ["--data", str(directory), "--seed", str(self._options.seed), "--speed", str(self._options.speed)]
        return ProgramPart(
            name="simulator",
            port=port,
            log=self._layout.log_of("simulator"),
            argv=[python(), "-m", "simulator", *flags],
            env=common_environment(),
            cwd=PROJECT,
            ready_path="/_control/cash",
        )

    async def _start_service(self, name: str, service: str, page: asyncio.Task[None]) -> None:
        if service == "gateway":
            # It looks for the page when it starts; nobody else needs to wait for a build.
            await asyncio.wait({page})
        port = self._options.port if name == "gateway" else free_port()
        part = ProgramPart(
            name=name,
            port=port,
            log=self._layout.log_of(name),
            argv=[python(), "-m", f"services.{service}"],
            # Read again at every start: the keys to the tokens may have been rotated.
            env=lambda: service_environment(service, open_keyring(self._layout), self._addresses, http_port=port),
            cwd=PROJECT,
            ready_path="/readyz",
        )
        await self._start_part(part)

    async def _build_page(self) -> None:
        self._progress.done("page", await asyncio.to_thread(ensure_page, self._layout.log_of("page")))

    async def _trim_logs(self) -> None:
        while True:
            await asyncio.to_thread(trim_logs, self._layout)
            await asyncio.sleep(TRIM_EVERY_S)

    async def _take_down(self) -> None:
        end_helpers(but=self._supervisor.pids())
        names = self._supervisor.names()
        doors = [name for name in names if name.split("-")[0] == "gateway"]
        workers = [name for name in names if name not in SERVER_PARTS and name not in doors]
        await self._supervisor.stop([doors, workers], within_s=15.0)
        await self._supervisor.stop([["simulator", "nats"]], within_s=15.0)
        await self._supervisor.stop([["postgres"]], within_s=60.0)

    def _parts_changed(self, parts: dict[str, PartState]) -> None:
        if self._state is not None:
            self._state.parts = parts
            self._save()

    def _save(self) -> None:
        if self._state is not None:
            self._state.save(self._layout)

    def _note(self, text: str) -> None:
        sys.stderr.write(f"  {text}\n")
        sys.stderr.flush()


def _first_problem(failed: BaseExceptionGroup[BaseException]) -> BaseException:
    """Several parts may fail together; the person gets the first reason."""
    problems = failed.subgroup(StackProblem)
    inner: BaseException = problems or failed
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    return inner


async def run_until_signalled(stack: Stack, on_ready: Callable[[StackState], None]) -> None:
    """Run a stack until SIGINT, SIGTERM or SIGHUP; a second one ends every process at once."""
    stopping = asyncio.Event()

    def ask() -> None:
        if stopping.is_set():
            stack.kill()
        stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, ask)
    await stack.run(stopping, on_ready)
