"""One stack for the whole journey; each test is a trader of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Trader

QUICK = {"ORDER_SYNC_S": "5", "HOT_SYNC_S": "1", "PORTFOLIO_SYNC_S": "5", "SNAPSHOT_S": "2"}
"""Cadences short enough for a test; one test in tests/faults runs at the real ones."""


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack in a directory with a space in its name."""
    data: Path = tmp_path_factory.mktemp("a stack") / "data"
    running = Stack(data, environment=QUICK).up()
    try:
        yield running
    finally:
        running.down()
        assert running.pids() == [], "down left processes running"


@pytest.fixture
def trader(stack: Stack) -> Iterator[Trader]:
    """Yield somebody new who is signed in."""
    with Trader(stack.gateway_url) as somebody:
        yield somebody


@pytest.fixture
def simulator(stack: Stack) -> Iterator[Simulator]:
    """Yield the outside world's controls."""
    with stack.simulator() as world:
        yield world
