"""A running stack as the browser tests see it: its addresses, its simulator's controls, and starting one of our own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

PROJECT = Path(__file__).resolve().parents[2]
UP_TIMEOUT_S = 300


@dataclass(frozen=True)
class Stack:
    """Where the page and the simulator listen, and who may log in."""

    gateway_url: str
    simulator_url: str
    username: str
    password: str

    def control(self, name: str, **body: Any) -> Any:
        """Turn one of the simulator's knobs; returns its answer."""
        answer = httpx.post(f"{self.simulator_url}/_control/{name}", json=body, timeout=10)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def clear_faults(self) -> None:
        """End every fault that still waits."""
        httpx.delete(f"{self.simulator_url}/_control/faults", timeout=10).raise_for_status()

    def orders(self, account: str) -> list[dict[str, Any]]:
        """Return the orders that the broker really has for an account."""
        answer = httpx.get(f"{self.simulator_url}/_control/orders", params={"account": account}, timeout=10)
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()
        return found


def _bookend(*arguments: str, environment: Mapping[str, str] | None = None) -> str:
    ran = subprocess.run(
        [str(PROJECT / "bookend"), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=UP_TIMEOUT_S,
        cwd=PROJECT,
        env={**os.environ, **(environment or {})},
    )
    if ran.returncode != 0:
        message = f"./bookend {' '.join(arguments)} failed:\n{ran.stdout}\n{ran.stderr}"
        raise RuntimeError(message)
    return ran.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def running_stack(data: str) -> Stack:
    """Return the stack that runs with this data. Raises: RuntimeError when none does."""
    told = json.loads(_bookend("status", "--json", "--data", data))
    demo = told["demo"]
    return Stack(told["gateway_url"], told["simulator_url"], demo["username"], demo["password"])


def start_stack(data: Path, environment: Mapping[str, str]) -> Stack:
    """Start a stack of our own in a throw-away directory."""
    _bookend("up", "--detach", "--data", str(data), "--port", str(_free_port()), environment=environment)
    return running_stack(str(data))


def stop_stack(data: Path) -> None:
    """Stop it again."""
    _bookend("down", "--data", str(data))


def given_data() -> str | None:
    """Return the data directory of a stack to use instead of starting one, for work on the tests themselves."""
    return os.environ.get("BOOKEND_E2E_DATA")
