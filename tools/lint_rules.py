"""Checks the rules of the house that no ready-made linter knows: `python -m tools.lint_rules [files]`.

A line that must break a rule says so and why, on it or right above it: `# house: <rule> - <reason>`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tools.rules.messaging import libraries_at_home, no_bare_task, no_raw_subject
from tools.rules.money import no_float_money, state_only_in_the_lifecycle
from tools.rules.shape import budgets, no_sleep_in_tests, no_vague_names, todo_names_its_issue
from tools.rules.source import Finding, Rule, Source
from tools.rules.storage import no_commit_outside_db, no_io_in_a_unit, no_sql_outside_store, worker_door_by_list

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("libs", "services", "simulator", "deploy", "tools", "tests")

RULES: tuple[Rule, ...] = (
    no_commit_outside_db,
    no_sql_outside_store,
    worker_door_by_list,
    no_io_in_a_unit,
    no_raw_subject,
    libraries_at_home,
    no_bare_task,
    no_float_money,
    state_only_in_the_lifecycle,
    budgets,
    no_vague_names,
    no_sleep_in_tests,
    todo_names_its_issue,
)

_EXCUSE = re.compile(r"# house: ([a-z-]+) - \S")


def findings(source: Source) -> Iterator[Finding]:
    """Yield what the rules say of one file, save what a line excuses with a reason."""
    lines = source.text.splitlines()
    for rule in RULES:
        for found in rule(source):
            excuses = [_EXCUSE.search(line) for line in lines[max(found.line - 2, 0) : found.line]]
            if not any(excuse is not None and excuse[1] == found.rule for excuse in excuses):
                yield found


def sources(paths: Sequence[str]) -> Iterator[Source]:
    """Read the files to check: those named, else all of ours."""
    files = [Path(path).resolve() for path in paths] or [
        file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))
    ]
    for file in files:
        yield Source(file.relative_to(ROOT).as_posix(), file.read_text(encoding="utf-8"))


def main(paths: Sequence[str]) -> int:
    """Print every finding; the exit code says whether there was one."""
    found = [one for source in sources(paths) for one in findings(source)]
    for one in found:
        sys.stdout.write(f"{one}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
