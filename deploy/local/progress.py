"""What the person at the terminal sees while the stack comes up: one line per part, with its time."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable


class Progress:
    """Writes a line per part to a sink; times count from its creation."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write
        self._started_at_s = time.monotonic()

    @property
    def elapsed_s(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._started_at_s

    def done(self, part: str, what: str = "ready") -> None:
        """Say that one part is there."""
        self._write(f"  {part:<12} {what:<44} {self.elapsed_s:6.1f} s")

    def say(self, text: str = "") -> None:
        """Say anything else."""
        self._write(text)


def to_terminal(line: str) -> None:
    """Print one line at once; a closed terminal is not our problem."""
    with contextlib.suppress(BrokenPipeError, ValueError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def to_descriptor(descriptor: int) -> Callable[[str], None]:
    """Return a sink that writes to the launcher waiting at the other end of a pipe, if it still waits."""

    def write(line: str) -> None:
        with contextlib.suppress(OSError):
            os.write(descriptor, f"{line}\n".encode())

    return write
