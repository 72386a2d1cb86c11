"""One simulator process for the whole folder, and brokers that speak to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from libs.common.http import HttpClient
from tests.contract.recorded import close_all
from tests.contract.venue import Venue
from tests.simulator.process import SimulatorProcess


@pytest.fixture(scope="package")
def simulator_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run the simulator without rate limits, its session open."""
    data: Path = tmp_path_factory.mktemp("simulator")
    process = SimulatorProcess(data, "--no-rate-limit").start()
    yield process.url
    process.stop()


_tokens = count(7001)


@pytest.fixture
async def venue(simulator_url: str) -> AsyncIterator[Venue]:
    """Give each test an account of its own, and clear the faults it leaves."""
    async with HttpClient() as http:
        made = Venue(http, simulator_url, f"contract-{next(_tokens)}")
        yield made
        await made.clear()


@pytest.fixture(autouse=True)
async def nothing_left_open() -> AsyncIterator[None]:
    """Close what the scripts of a test opened."""
    yield
    await close_all()
