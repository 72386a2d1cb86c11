"""Writes `docs/metrics.md`: every series a process of ours can expose, what it means and who has it.

`python -m tools.gen_metrics` writes it, `--check` only says whether it is current.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

from libs.common.metrics import METRICS

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / "docs" / "metrics.md"
PACKAGES = ("libs.common", "libs.broker", "services")
SKIPPED = ("__main__", "migrations", "migration_env", "testing")

INTRODUCTION = """\
# Metrics

Generated from the code by `python -m tools.gen_metrics`; do not edit. Every process serves them at `/metrics`, in
Prometheus's text format; times are in seconds. The ones to page on: the age of the oldest unpublished fact, facts that
ended `dead`, jobs that ended `failed`, open incidents of kind `naked` or `short`, unknown orders for minutes. Gauges
that count rows of the database are the same on every replica: take their maximum, not their sum.

| series | kind | labels | meaning |
|---|---|---|---|
"""


def render() -> str:
    """Import every module, so that each states its series, and return the document."""
    for package in PACKAGES:
        for module in _modules(package):
            importlib.import_module(module)
    return INTRODUCTION + "".join(f"| {' | '.join(row)} |\n" for row in METRICS.rows())


def _modules(package: str) -> list[str]:
    found = importlib.import_module(package)
    every = pkgutil.walk_packages(found.__path__, f"{package}.")
    return [one.name for one in every if not any(word in one.name.split(".") for word in SKIPPED)]


def main(arguments: Sequence[str]) -> int:
    """Write the document, or with `--check` compare it."""
    text = render()
    if "--check" in arguments:
        if TARGET.exists() and TARGET.read_text() == text:
            return 0
        sys.stderr.write(f"{TARGET.relative_to(ROOT)} is stale: run python -m tools.gen_metrics\n")
        return 1
    TARGET.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
