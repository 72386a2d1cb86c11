"""One simulator process for the folder, emptied between tests, and traders of it."""

from collections.abc import Iterator
from itertools import count

import pytest

from tests.simulator.process import SimulatorProcess, Trader

_NUMBERS = count(1)


@pytest.fixture(scope="package")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    running = SimulatorProcess(tmp_path_factory.mktemp("simulator")).start()
    yield running
    assert running.stop() in (0, -15)


@pytest.fixture
def trader(simulator: SimulatorProcess) -> Iterator[Trader]:
    """Give a trader an account of its own in an emptied world."""
    one = Trader(simulator.url, f"token-{next(_NUMBERS)}")
    one.control("reset")
    yield one
    one.close()


@pytest.fixture(scope="module")
def own_simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatorProcess]:
    """Start a process that a test may kill."""
    running = SimulatorProcess(tmp_path_factory.mktemp("own")).start()
    yield running
    if running.process and running.process.poll() is None:
        running.stop()
