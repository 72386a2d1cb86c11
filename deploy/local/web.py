"""Builds the page when its sources changed since the last build."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from deploy.local.child import leash
from deploy.local.layout import PROJECT, DirectoryLock, digest
from deploy.local.node import Node, find_node
from deploy.local.problem import StackProblem

WEB = PROJECT / "web"
_NOT_SOURCES = frozenset({"node_modules", "dist", "test-results", "playwright-report", ".vite"})


def ensure_page(log: Path) -> str:
    """Build the page if it is stale; returns what was done. Two stacks of one checkout build one after the other.

    Raises: StackProblem with the build's last words.
    """
    if not (WEB / "package.json").exists():
        return "absent from this checkout"
    if _is_current():
        return "built before"
    lock = DirectoryLock(WEB)
    lock.acquire(wait=True)
    try:
        if _is_current():
            return "built before"
        wanted = _sources_digest()
        node = find_node()
        install_packages(node, log)
        _require(_npm(node, ["run", "build"], log), "npm run build", log)
        _stamp().write_text(wanted)
    finally:
        lock.release()
    return "built"


def install_packages(node: Node, log: Path) -> None:
    """Install exactly what the lock file says, unless that was done before.

    A lock file made where the registry has no packages of other platforms lacks those optional entries, and `npm ci`
    calls it out of sync; `npm install` without saving takes the same locked versions and skips what it cannot find.
    """
    wanted = digest([WEB / "package-lock.json"], base=WEB)
    stamp = WEB / "node_modules" / ".bookend-installed"
    if not stamp.exists() or stamp.read_text() != wanted:
        quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
        ran = _npm(node, ["ci", *quiet], log)
        if "in sync" in ran.stdout:
            ran = _npm(node, ["install", "--no-save", *quiet], log)
        _require(ran, "npm ci", log)
        stamp.write_text(wanted)


def _npm(node: Node, arguments: Sequence[str], log: Path) -> subprocess.CompletedProcess[str]:
    ran = subprocess.run(
        [*node.npm, *arguments],
        check=False,
        cwd=WEB,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        env=node.environment,
        preexec_fn=leash(None, signal.SIGTERM),
    )
    with log.open("a") as out:
        out.write(ran.stdout)
    return ran


def _require(ran: subprocess.CompletedProcess[str], step: str, log: Path) -> None:
    if ran.returncode != 0:
        raise StackProblem("page", f"{step}: {_reason(ran.stdout)}", f"read {log}")


def _reason(output: str) -> str:
    """Return the lines that say why: npm puts them first and its help after them."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()] or lines[-3:]
    return " | ".join(line.removeprefix("npm error ") for line in telling[:3])


def _is_current() -> bool:
    return (WEB / "dist" / "index.html").exists() and _stamp().exists() and _stamp().read_text() == _sources_digest()


def _stamp() -> Path:
    return WEB / "dist" / ".built-from"


def _sources_digest() -> str:
    files = []
    for entry in WEB.iterdir():
        if entry.name in _NOT_SOURCES:
            continue
        files += [file for file in entry.rglob("*") if file.is_file()] if entry.is_dir() else [entry]
    return digest(files, base=WEB)
