"""Run the benchmarks on a throw-away stack: all of them, or those named."""

from __future__ import annotations

import argparse
import inspect
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.bench import actions, cycle, limits, live_feed, naked, reconcile, recovery, signals, start, trade_list
from tests.bench.report import Report
from tests.journey.stack import Stack

ALL = {
    "cycle": cycle.measure,
    "list": trade_list.measure,
    "actions": actions.measure,
    "limits": limits.measure,
    "naked": naked.measure,
    "reconcile": reconcile.measure,
    "recovery": recovery.measure,
    "feed": live_feed.measure,
    "signals": signals.measure,
    "start": start.measure,
}


def main() -> int:
    """Measure and print; 1 when a ratio is past its bound."""
    parser = argparse.ArgumentParser(prog="bookend bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*ALL, []], help="which; all without a name")
    names = parser.parse_args().names or list(ALL)
    report = Report()
    with tempfile.TemporaryDirectory(prefix="bookend-bench-") as folder:
        stack = Stack(Path(folder) / "data").up()
        try:
            for name in names:
                sys.stdout.write(f"{name}\n")
                measured = ALL[name](stack, report)
                if inspect.isawaitable(measured):
                    # Its loop is the lightest there is: the load generator shares the machine with what it measures.
                    uvloop.run(_await(measured))
        finally:
            stack.down()
    return report.exit_code


async def _await(measured: object) -> None:
    await measured  # type: ignore[misc]


if __name__ == "__main__":
    sys.exit(main())
