"""What runs now, as the launcher wrote it and as `status` and `down` read it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import psutil

from deploy.local.layout import Layout, read_json, write_json


@dataclass
class PartState:
    """One process. `created_at_s` is the kernel's start time, so that a reused pid is never mistaken for it."""

    pid: int | None = None
    created_at_s: float = 0.0
    port: int = 0
    restarts: int = 0


@dataclass
class StackState:
    """The whole stack."""

    launcher: PartState
    gateway_url: str
    simulator_url: str
    nats_url: str
    database_url: str
    demo: dict[str, str]
    parts: dict[str, PartState] = field(default_factory=dict)
    ready: bool = False

    def save(self, layout: Layout) -> None:
        """Write it down."""
        write_json(layout.state_file, asdict(self))

    def pids(self) -> dict[int, float]:
        """Return every part's pid with its start time."""
        return {part.pid: part.created_at_s for part in self.parts.values() if part.pid}


def load_state(layout: Layout) -> StackState | None:
    """Read what the launcher wrote last; None when nothing runs or a stack was stopped cleanly."""
    stored: dict[str, Any] = read_json(layout.state_file)
    if not stored:
        return None
    parts = {name: PartState(**part) for name, part in stored.pop("parts").items()}
    return StackState(launcher=PartState(**stored.pop("launcher")), parts=parts, **stored)


def alive(part: PartState) -> bool:
    """Whether that very process still runs."""
    if not part.pid:
        return False
    try:
        process = psutil.Process(part.pid)
        return abs(process.create_time() - part.created_at_s) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def observed(pid: int, *, port: int = 0, restarts: int = 0) -> PartState:
    """Describe a process that runs now."""
    try:
        created = psutil.Process(pid).create_time()
    except psutil.Error:
        return PartState(None, 0.0, port, restarts)
    return PartState(pid, created, port, restarts)
