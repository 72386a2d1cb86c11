"""What time it is: one way to ask, so that tests can answer.

Market time is not here (`libs/market`); this is the process's own clock, for deadlines, ages and waits.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol


class Clock(Protocol):
    """Tells the time."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds that only ever grow. Units: seconds."""
        ...


_SINCE_BOOT: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)
"""Counts a machine's sleep too, where there is such a clock: what was claimed before it is over after it."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only ever grow. Units: seconds."""
        return time.monotonic() if _SINCE_BOOT is None else time.clock_gettime(_SINCE_BOOT)


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, start_at: datetime | None = None) -> None:
        self._now = start_at or datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
        self._monotonic = 1000.0

    def now(self) -> datetime:
        """Return the moment last set."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds advanced so far, from an arbitrary start. Units: seconds."""
        return self._monotonic

    def advance(self, by: timedelta | float) -> None:
        """Let time pass. Units: a number is seconds. Raises: ValueError for a step back."""
        step = by if isinstance(by, timedelta) else timedelta(seconds=by)
        if step < timedelta(0):
            message = f"time does not go back by {step}"
            raise ValueError(message)
        self._now += step
        self._monotonic += step.total_seconds()

    def set(self, moment: datetime) -> None:
        """Jump to `moment`, as a wall clock may; monotonic time is untouched."""
        self._now = moment.astimezone(UTC)
