"""A stack of its own for what is killed and taken away."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journey.conftest import QUICK
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import eventually

SOON = {"ORDER_WAITS": '{"look_gap_entry_s": 6}', "RECOVERY_S": "5"}
"""What a write without an answer waits for until it is settled: ten times shorter than in earnest."""
WAITS = {} if os.environ.get("REAL_WAITS") else {**QUICK, **SOON}
"""With REAL_WAITS in the environment all of them are production's."""


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack with quick cadences."""
    data: Path = tmp_path_factory.mktemp("faults") / "data"
    running = Stack(data, environment=WAITS).up()
    try:
        yield running
    finally:
        running.down()


@pytest.fixture(autouse=True)
def settled(stack: Stack) -> None:
    """Begin when what the test before has killed is back."""
    assert eventually(stack.is_ready, 60)


@pytest.fixture
def simulator(stack: Stack) -> Iterator[Simulator]:
    """Yield the outside world's controls."""
    with stack.simulator() as world:
        yield world
