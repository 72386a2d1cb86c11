"""The parts of a stack, each the same to the supervisor: a name, a port, how to start it and whether it is ready."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from deploy.local.child import Child
from deploy.local.nats import EmbeddedNats
from deploy.local.ports import LOOPBACK, is_free
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.probe import http_status
from deploy.local.problem import StackProblem


class Part(Protocol):
    """One supervised process."""

    @property
    def name(self) -> str:
        """How people call it."""

    @property
    def port(self) -> int:
        """Where it listens."""

    @property
    def stop_signal(self) -> signal.Signals:
        """What asks it to end cleanly."""

    @property
    def log(self) -> Path:
        """Where its output goes."""

    def spawn(self) -> Child:
        """Start it. Raises: StackProblem."""

    async def ready(self) -> bool:
        """Whether it serves now."""


class PostgresPart:
    """The embedded database."""

    name = "postgres"
    stop_signal = signal.SIGINT

    def __init__(self, server: EmbeddedPostgres) -> None:
        self.server = server

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.server.log_path

    def spawn(self) -> Child:
        """Start it on its cluster."""
        return self.server.spawn()

    async def ready(self) -> bool:
        """Whether it takes connections."""
        return self.server.is_ready()


class NatsPart:
    """The embedded bus."""

    name = "nats"
    stop_signal = signal.SIGTERM

    def __init__(self, server: EmbeddedNats) -> None:
        self.server = server

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.server.log_path

    def spawn(self) -> Child:
        """Start it on its streams."""
        return self.server.spawn()

    async def ready(self) -> bool:
        """Whether it greets connections."""
        return await asyncio.to_thread(self.server.is_ready)


@dataclass(frozen=True)
class ProgramPart:
    """A Python program of ours that serves HTTP on a port of its own."""

    name: str
    port: int
    log: Path
    argv: Sequence[str | os.PathLike[str]]
    env: Mapping[str, str] | Callable[[], Mapping[str, str]]
    """Asked at every start where it may change while the stack runs."""
    cwd: Path
    ready_path: str
    stop_signal: signal.Signals = signal.SIGTERM

    def spawn(self) -> Child:
        """Start it, refusing a port somebody else holds."""
        if not is_free(self.port):
            raise StackProblem(
                self.name,
                f"port {self.port} on {LOOPBACK} is taken by another program",
                "stop that program, or choose another with --port" if self.name == "gateway" else "try again",
            )
        env = self.env() if callable(self.env) else self.env
        return Child.spawn(self.name, self.argv, log=self.log, env=env, cwd=self.cwd)

    async def ready(self) -> bool:
        """Whether its readiness route says 200."""
        return await http_status(self.port, self.ready_path) == 200


def last_words(log: Path, *, lines: int = 3) -> str:
    """Return the end of a log, for a message about a part that failed."""
    try:
        text = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        return "it left no log"
    return " | ".join(line.strip()[:300] for line in text[-lines:]) or "it left an empty log"
