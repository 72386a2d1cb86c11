"""The servers tests run against: one PostgreSQL, one NATS and one simulator a session, started when first asked for."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
from xdist.scheduler import LoadScopeScheduling

from deploy.local.child import Child, wait_until
from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import EmbeddedPostgres
from deploy.nats.permissions import permissions_for
from libs.common.messages.durables import SERVICES
from libs.common.testing import TestDatabase
from tests.copies import keep_pristine
from tests.servers import new_nats, new_postgres

ROOT = Path(__file__).parents[1]
SIMULATOR_START_S = 20.0
TOGETHER = frozenset(
    {"api", "bench", "campaign", "containers", "contract", "e2e", "faults", "isolation", "journey", "simulator"}
)
"""Folders whose tests share a stack: one process runs them all when several share the suite."""
BY_FILE = ("deploy/", "integration/budget/", "integration/chassis/", "faults/test_paused_orders.py")
"""Where a file has servers of its own; any other test may run anywhere."""
MOST_SKIPPED = 3
"""More in CI, and the run fails: a suite that skips its way to green proves nothing."""


def pytest_configure() -> None:
    """Let a process that sets up no logs of its own word errors shortly: with every local value that took seconds."""
    plain = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[*structlog.get_config()["processors"][:-1], plain])


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the campaign's seed and length; without them a short one with a fixed seed is run."""
    parser.addoption("--seed", type=int, default=1, help="of the campaign's script (1)")
    parser.addoption("--minutes", type=float, default=0.7, help="how long the campaign trades, about (0.7)")


class TogetherScheduling(LoadScopeScheduling):  # type: ignore[misc] # the library says no types
    """Gives what shares a stack to one process. Marks of the library's own groups are lost with this pytest."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", maxsplit=1)[0].removeprefix("tests/")
        if path.startswith(BY_FILE):
            return path
        folder = path.split("/")[0]
        return folder if folder in TOGETHER else nodeid


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a parameter that is bytes by its argument, and let it be numbered.

    Processes that share the suite must name every test alike; what was compressed or signed while collecting differs
    from one second, and one process, to the next.
    """
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> TogetherScheduling:
    """Say how several processes share the suite."""
    return TogetherScheduling(config, log)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail a run of CI that would pass by skipping; `-ra` prints each reason."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = len(reporter.stats.get("skipped", [])) if reporter is not None else 0
    if os.environ.get("CI") and exitstatus == pytest.ExitCode.OK and skipped > MOST_SKIPPED:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """Run one PostgreSQL for the session; nothing in it survives a crash of the machine."""
    server = new_postgres(tmp_path_factory.mktemp("postgres")).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
async def migrated(postgres: EmbeddedPostgres) -> TestDatabase:
    """Return the session's database, every chain at its end. Tests that write use `database`."""
    database = TestDatabase(postgres.url)
    await database.migrate()
    await keep_pristine(database)
    return database


@pytest.fixture
async def database(migrated: TestDatabase) -> TestDatabase:
    """Return the session's database without a row in it."""
    await migrated.truncate()
    return migrated


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """Run one NATS for the session, each service with its own login and permissions."""
    logins = {service: (secrets.token_urlsafe(12), permissions_for(service)) for service in SERVICES}
    server = new_nats(tmp_path_factory.mktemp("nats"), logins).start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run one simulator for the session and return its address."""
    yield from _simulator(tmp_path_factory.mktemp("simulator"))


@pytest.fixture(scope="session")
def live_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a second one, where the money is meant to be real, and return its address."""
    yield from _simulator(tmp_path_factory.mktemp("live-simulator"))


def _simulator(data: Path) -> Iterator[str]:
    port_file = data / "port"
    command = [sys.executable, "-m", "simulator", "--port", "0", "--port-file", str(port_file), "--data", str(data)]
    child = Child.spawn("simulator", command, log=data / "simulator.log", cwd=ROOT)
    there = wait_until(lambda: port_file.exists() or child.exit_code is not None, within_s=SIMULATOR_START_S)
    if not there or child.exit_code is not None:
        child.kill()
        pytest.fail(f"the simulator did not start: {(data / 'simulator.log').read_text()[-2000:]}")
    yield f"http://127.0.0.1:{port_file.read_text().strip()}"
    child.stop()
