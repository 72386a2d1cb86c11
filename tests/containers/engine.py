"""Whether containers can be run here, and why not."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence

ASK_S = 20.0
PULL_S = 300.0


def reason_against(images: Sequence[str]) -> str | None:
    """Say what is missing and what would change that; None when every image can be run. Fetches missing images."""
    if sys.platform != "linux":
        return "containers are tested on Linux, where they can share the host's loopback"
    if shutil.which("docker") is None:
        return "no container engine: install Docker (Debian, Ubuntu: apt install docker.io) to run the tests on images"
    asked = _docker("info", "--format", "{{.ServerVersion}}", within_s=ASK_S)
    if asked.returncode != 0 or not asked.stdout.strip():
        return f"no container engine answers ({_last_line(asked)}): start Docker to run the tests on images"
    for image in images:
        if _docker("image", "inspect", image, within_s=ASK_S).returncode == 0:
            continue
        pulled = _docker("pull", "--quiet", image, within_s=PULL_S)
        if pulled.returncode != 0:
            return f"the image {image} is not here and cannot be fetched ({_last_line(pulled)}): docker pull {image}"
    return None


def remove(container: str) -> None:
    """Remove a container if it is still there, running or not."""
    _docker("rm", "--force", "--volumes", container, within_s=ASK_S)


def _docker(*arguments: str, within_s: float) -> subprocess.CompletedProcess[str]:
    command = ["docker", *arguments]
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=within_s)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no answer within {within_s:.0f} s")


def _last_line(ran: subprocess.CompletedProcess[str]) -> str:
    lines = (ran.stderr or ran.stdout).strip().splitlines()
    return lines[-1].strip().rstrip(".") if lines else f"exit code {ran.returncode}"
