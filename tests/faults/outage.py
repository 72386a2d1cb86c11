"""One part of a stack taken away for a while, although its launcher starts again whatever ends."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil

from tests.journey.stack import Stack
from tests.journey.trader import Trader, eventually

AT_ONCE_S = 3.5
"""How long an answer may take while something is away: the pool gives up after two seconds, the machine is busy."""

STOPPED_BY = {"postgres": signal.SIGINT}
"""What asks a part to end; the others end by SIGTERM."""


def state_of(stack: Stack) -> dict[str, Any]:
    """Read which processes the launcher runs."""
    found: dict[str, Any] = json.loads((stack.data / "stack.json").read_text())
    return found


@contextmanager
def away(stack: Stack, *parts: str, lose_streams: bool = False) -> Iterator[None]:
    """Keep parts stopped inside the block by freezing the launcher; with `lose_streams` NATS forgets all it kept."""
    state = state_of(stack)
    launcher = psutil.Process(state["launcher"]["pid"])
    launcher.suspend()
    try:
        for part in parts:
            _stop(psutil.Process(state["parts"][part]["pid"]), STOPPED_BY.get(part, signal.SIGTERM))
        if lose_streams:
            shutil.rmtree(stack.data / "nats" / "jetstream")
        yield
    finally:
        launcher.resume()


def _stop(process: psutil.Process, by: signal.Signals) -> None:
    """Ask a process to end and see that it did; its frozen parent cannot take it off the list."""
    process.send_signal(by)

    def is_over() -> bool:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE

    if not eventually(is_over, 15):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
        assert eventually(is_over, 5), f"{process} does not end"


def turns(seconds: float) -> Iterator[None]:
    """Yield about twice a second until the time is over, once at least."""
    ends = time.monotonic() + seconds
    while True:
        began = time.monotonic()
        yield
        if time.monotonic() > ends:
            return
        eventually(lambda: time.monotonic() > began + 0.5, 0.5)  # noqa: B023 - used up before the next turn


def refused_at_once(trader: Trader, method: str, path: str, body: Any = None, *, key: str | None = None) -> None:
    """Hold that a request is refused clearly and quickly: 503, a problem a person can read, nothing internal."""
    began = time.monotonic()
    answer = trader.call(method, path, body, key=key)
    took_s = time.monotonic() - began
    assert answer.status_code == 503, f"{method} {path}: {answer.status_code} {answer.text}"
    assert took_s < AT_ONCE_S, f"{method} {path} took {took_s:.1f} s"
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "upstream_unavailable"
    assert problem["detail"]
    assert problem["correlation_id"]


def works(trader: Trader, path: str) -> dict[str, Any]:
    """Hold that a read works, and quickly."""
    began = time.monotonic()
    found = trader.ok("GET", path)
    assert time.monotonic() - began < AT_ONCE_S, path
    return found


def unreachable(trader: Trader) -> None:
    """Hold that nobody is at the gateway's address, which a browser learns at once."""
    began = time.monotonic()
    with contextlib.suppress(httpx.TransportError):
        answer = trader.call("GET", "/api/trades")
        raise AssertionError(f"somebody answered: {answer.status_code}")
    assert time.monotonic() - began < AT_ONCE_S
