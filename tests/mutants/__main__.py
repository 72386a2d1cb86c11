"""Break one rule at a time in a copy of the tree and see which tests notice. Exits with 1 when a break survives.

Usage: python -m tests.mutants [part of a name ...]
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutants.breaks import BREAKS, Break

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("libs", "services", "simulator", "deploy", "tests", "tools", "pyproject.toml")
WITHIN_S = 900


def main(words: list[str]) -> int:
    """Run the breaks whose name holds one of the words, all without any."""
    chosen = [one for one in BREAKS if not words or any(word in one.name for word in words)]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        copy_to(tree)
        survived = [one.name for one in chosen if not noticed(one, tree)]
    say(f"\n{len(chosen) - len(survived)} of {len(chosen)} breaks were noticed")
    for name in survived:
        say(f"  survived: {name}")
    return 1 if survived else 0


def copy_to(tree: Path) -> None:
    """Copy what the tests need."""
    unwanted = shutil.ignore_patterns("__pycache__", ".pytest_cache", "node_modules")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, ignore=unwanted)
        else:
            shutil.copy2(source, tree / part)


def noticed(one: Break, tree: Path) -> bool:
    """Say whether each test named for a break fails in the broken tree."""
    broken = tree / one.path
    whole = broken.read_text()
    broken.write_text(mutated(one, whole))
    try:
        return not [test for test in one.tests if not _fails(one, test, tree)]
    finally:
        broken.write_text(whole)


def mutated(one: Break, whole: str) -> str:
    """Return a file with one rule broken. Raises: ValueError when its text is not there exactly once."""
    if whole.count(one.text) != 1:
        raise ValueError(f"{one.name}: its text is {whole.count(one.text)} times in {one.path}")
    return whole.replace(one.text, one.becomes)


def _fails(one: Break, test: str, tree: Path) -> bool:
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-x", "-q", "--no-header", "-p", "no:cacheprovider", test]
    done = subprocess.run(command, cwd=tree, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    # 1 is a failed test; anything else (a test that is gone, an error of the runner) proves nothing.
    fails = done.returncode == 1 and " failed" in done.stdout
    verdict = "noticed" if fails else f"NOT NOTICED (exit code {done.returncode})"
    say(f"{one.name:<50} {verdict:<12} {time.monotonic() - began:5.0f} s  {test}")
    if done.returncode > 1:
        say(done.stdout[-1500:] + done.stderr[-500:])
    return fails


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
