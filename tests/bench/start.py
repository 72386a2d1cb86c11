"""How soon a warm checkout is ready, and what everything weighs when idle."""

from __future__ import annotations

import time
from collections import defaultdict
from pathlib import Path

from tests.bench.report import Line, Report
from tests.journey.stack import Stack

IDLE_S = 5.0
MEGABYTE = 1024.0


def measure(stack: Stack, report: Report) -> None:
    """Stop and start the stack on its data, then weigh it."""
    stack.down()
    started = time.perf_counter()
    stack.up()
    report.add(Line("start: ready on a warm checkout", time.perf_counter() - started, "s", target="<= 15 s"))
    time.sleep(IDLE_S)
    weights: dict[str, float] = defaultdict(float)
    for process in stack.pids():
        words = process.cmdline()
        name = next((word for word in words if word.startswith(("services.", "simulator", "deploy."))), process.name())
        weights[name] += pss_mb(process.pid)
    for name, weight in sorted(weights.items()):
        report.add(Line(f"memory: {name}", weight, "MB"))
    report.add(Line("memory: all together", sum(weights.values()), "MB", target="<= 900 MB PSS"))


def pss_mb(pid: int) -> float:
    """Return a process's proportional share of memory. Units: MB. 0 when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / MEGABYTE
