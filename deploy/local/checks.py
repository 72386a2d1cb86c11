"""`./bookend check`, `test` and `bench`: the same commands on a desk and in CI."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.layout import PROJECT
from deploy.local.node import find_node
from deploy.local.services import common_environment, python
from deploy.local.web import WEB, ensure_page, install_packages


@dataclass(frozen=True)
class Check:
    """One command that must succeed."""

    name: str
    command: tuple[str, ...]
    cwd: Path = PROJECT
    env: dict[str, str] | None = None


@dataclass(frozen=True)
class Outcome:
    """What became of it."""

    check: Check
    passed: bool
    seconds: float
    output: str


def run_checks() -> int:
    """Run every check, two at a time; print a line each and what the failing ones said. Returns the exit code."""
    checks = [*_python_checks(), *_web_checks()]
    with ThreadPoolExecutor(max_workers=2) as pool:
        running: list[Future[Outcome]] = [pool.submit(_run, check) for check in checks]
        outcomes = []
        for future in running:
            outcome = future.result()
            outcomes.append(outcome)
            _line(f"  {outcome.check.name:<28} {'ok' if outcome.passed else 'FAILED':<8} {outcome.seconds:6.1f} s")
    failed = [outcome for outcome in outcomes if not outcome.passed]
    for outcome in failed:
        _line(f"\n── {outcome.check.name}: {' '.join(outcome.check.command)}\n{outcome.output.rstrip()}")
    _line(f"\n{len(checks) - len(failed)} checks passed, {len(failed)} failed")
    return 1 if failed else 0


def run_tests(arguments: Sequence[str]) -> int:
    """Run pytest on throw-away servers, after building the page that the browser tests open."""
    if _wants_page(arguments):
        ensure_page(_build_log())
    # The whole suite waits more than it works, so three processes share it, each with servers of its own.
    return _become("pytest", arguments or ("-n", "3", "--dist", "loadgroup"))


def run_bench(arguments: Sequence[str]) -> int:
    """Run the benchmarks."""
    return _become("tests.bench", arguments)


def _become(module: str, arguments: Sequence[str]) -> int:
    """Replace this process: signals and the exit code are then the module's own."""
    os.chdir(PROJECT)
    sys.stdout.flush()
    os.execve(python(), [str(python()), "-m", module, *arguments], common_environment())


def _wants_page(arguments: Sequence[str]) -> bool:
    """Every run but one of named files outside the browser tests."""
    named = [word for word in arguments if not word.startswith("-") and (PROJECT / word.split("::")[0]).exists()]
    return (WEB / "package.json").exists() and (not named or any("e2e" in word for word in named))


def _python_checks() -> list[Check]:
    run = (str(python()), "-m")
    environment = common_environment()
    checks = [
        Check("types", (*run, "mypy", "--strict", *_python_roots()), env=environment),
        Check("lint", (*run, "ruff", "check", "."), env=environment),
        Check("format", (*run, "ruff", "format", "--check", "."), env=environment),
        Check("imports", (str(python().parent / "lint-imports"), "--no-cache"), env=environment),
    ]
    if (PROJECT / "tools" / "lint_rules.py").exists():
        checks.append(Check("house rules", (*run, "tools.lint_rules"), env=environment))
    checks += [
        Check(f"{tool.stem} is current", (*run, f"tools.{tool.stem}", "--check"), env=environment)
        for tool in sorted((PROJECT / "tools").glob("gen_*.py"))
    ]
    return checks


def _python_roots() -> list[str]:
    return [name for name in ("libs", "services", "simulator", "deploy", "tools", "tests") if (PROJECT / name).is_dir()]


def _web_checks() -> list[Check]:
    if not (WEB / "package.json").exists():
        return []
    node = find_node()
    install_packages(node, _build_log())
    commands = {
        "page: biome": ("biome", "check", "."),
        "page: types": ("tsc", "--noEmit"),
        "page: unit tests": ("vitest", "run"),
        "page: API is current": ("openapi-typescript", "openapi.json", "-o", "src/api/schema.d.ts", "--check"),
    }
    bin_dir = WEB / "node_modules" / ".bin"
    return [
        Check(name, (str(bin_dir / program), *arguments), cwd=WEB, env=node.environment)
        for name, (program, *arguments) in commands.items()
    ]


def _run(check: Check) -> Outcome:
    began = time.monotonic()
    ran = subprocess.run(
        check.command,
        check=False,
        cwd=check.cwd,
        env=check.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    return Outcome(check, ran.returncode == 0, time.monotonic() - began, ran.stdout)


def _build_log() -> Path:
    """Outside `node_modules`, which an installation removes."""
    log = PROJECT / ".bookend-tools" / "page.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    return log


def _line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()
