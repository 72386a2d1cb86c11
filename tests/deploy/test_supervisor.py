"""The supervisor: what dies comes back and is counted, what cannot start says why, what is stopped is gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
import pytest

from deploy.local.parts import ProgramPart
from deploy.local.ports import free_port
from deploy.local.problem import StackProblem
from deploy.local.state import PartState
from deploy.local.supervisor import BACK_OFF_S, Supervisor
from libs.common.testing import eventually

pytestmark = pytest.mark.integration

POLITE = """
import http.server, signal, sys
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
if "deaf" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ready).serve_forever()
"""


class Running:
    """A supervisor being watched, and what it told."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.parts: dict[str, PartState] = {}
        self.supervisor = Supervisor(self.said.append, self._told)

    def _told(self, parts: dict[str, PartState]) -> None:
        self.parts = parts


@asynccontextmanager
async def supervising() -> AsyncIterator[Running]:
    running = Running()
    watching = asyncio.create_task(running.supervisor.watch())
    try:
        yield running
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        running.supervisor.kill_all()


def program(tmp_path: Path, script: str, *arguments: str, name: str = "orders", port: int = 0) -> ProgramPart:
    file = tmp_path / f"{name}.py"
    file.write_text(script)
    port = port or free_port()
    return ProgramPart(
        name=name,
        port=port,
        log=tmp_path / f"{name}.log",
        argv=[sys.executable, file, str(port), *arguments],
        env=dict(os.environ),
        cwd=tmp_path,
        ready_path="/readyz",
    )


async def test_a_killed_part_is_back_within_two_seconds_on_its_port_and_counted(tmp_path: Path) -> None:
    part = program(tmp_path, POLITE)
    async with supervising() as running:
        await running.supervisor.start(part)
        for times in (1, 2, 3, 4):
            killed = running.parts["orders"].pid
            assert killed is not None
            os.kill(killed, signal.SIGKILL)
            await eventually(lambda: running.parts["orders"].restarts == times, within_s=2.5)  # noqa: B023
            assert running.parts["orders"].pid != killed
            await eventually(part.ready, within_s=5)


def test_back_off_grows_and_stays_below_two_seconds() -> None:
    assert list(BACK_OFF_S) == sorted(BACK_OFF_S)
    assert len(set(BACK_OFF_S)) == len(BACK_OFF_S)
    assert max(BACK_OFF_S) < 2


async def test_a_part_that_ends_at_once_fails_the_start_with_its_own_words(tmp_path: Path) -> None:
    part = program(tmp_path, "raise SystemExit('ENCRYPTION_KEY: is not set')")
    async with supervising() as running:
        with pytest.raises(StackProblem, match="ENCRYPTION_KEY: is not set") as raised:
            await running.supervisor.start(part)
    assert raised.value.part == "orders"
    assert str(part.log) in raised.value.advice


async def test_a_part_that_is_never_ready_fails_the_start(tmp_path: Path) -> None:
    part = program(tmp_path, "import time; print('waiting for Godot', flush=True); time.sleep(60)")
    async with supervising() as running:
        with pytest.raises(StackProblem, match="not ready after 1 s"):
            await running.supervisor.start(part, within_s=1)


async def test_a_port_that_is_taken_is_named_before_anything_starts(tmp_path: Path) -> None:
    first = program(tmp_path, POLITE, name="first")
    async with supervising() as running:
        await running.supervisor.start(first)
        with pytest.raises(StackProblem, match=f"port {first.port} .* is taken"):
            await running.supervisor.start(program(tmp_path, POLITE, name="second", port=first.port))
        assert running.supervisor.names() == ["first"]


async def test_stopping_leaves_no_process_and_insists_with_the_deaf(tmp_path: Path) -> None:
    async with supervising() as running:
        await running.supervisor.start(program(tmp_path, POLITE, name="polite"))
        await running.supervisor.start(program(tmp_path, POLITE, "deaf", name="deaf"))
        pids = [part.pid for part in running.parts.values() if part.pid]
        began = time.monotonic()
        await running.supervisor.stop([["polite"], ["deaf"]], within_s=0.5)
        assert time.monotonic() - began < 5
        assert not any(psutil.pid_exists(pid) for pid in pids)
        assert running.said == ["deaf did not stop within 0 s and was killed"]


async def test_a_frozen_part_is_stopped_too(tmp_path: Path) -> None:
    async with supervising() as running:
        await running.supervisor.start(program(tmp_path, POLITE))
        pid = running.parts["orders"].pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        await running.supervisor.stop([["orders"]], within_s=5)
        assert not psutil.pid_exists(pid)
        assert running.said == []
