"""What a benchmark says: a figure, what it is held against, and whether a ratio went past its bound."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Line:
    """One figure. `bound` is the most that figure ÷ reference may be; None only informs."""

    what: str
    figure: float
    unit: str
    reference: float | None = None
    reference_is: str = ""
    target: str = ""
    bound: float | None = None

    @property
    def ratio(self) -> float | None:
        """Return figure ÷ reference."""
        return self.figure / self.reference if self.reference else None

    @property
    def is_past_bound(self) -> bool:
        """Say whether the ratio is worse than allowed."""
        return self.bound is not None and self.ratio is not None and self.ratio > self.bound

    def __str__(self) -> str:
        """Write the line for a terminal."""
        said = f"  {self.what:<58} {self.figure:>10.2f} {self.unit:<5}"
        if self.reference is not None and self.ratio is not None:
            said += f" {self.ratio:>6.2f}x of {self.reference:.2f} ({self.reference_is})"
        if self.target:
            said += f"   target {self.target}"
        return said + ("   PAST ITS BOUND" if self.is_past_bound else "")


@dataclass
class Report:
    """Collects and prints lines as they come."""

    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Keep and print one line."""
        self.lines.append(line)
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    @property
    def exit_code(self) -> int:
        """Return 1 when a ratio is past its bound."""
        return int(any(line.is_past_bound for line in self.lines))


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def timed(call: Callable[[], object], times: int) -> list[float]:
    """Call again and again; returns how long each took. Units: milliseconds."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        call()
        taken.append((time.perf_counter() - started) * 1000)
    return taken
