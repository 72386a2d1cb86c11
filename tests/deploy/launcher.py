"""A whole stack for a test: `./bookend` with a data directory and a port of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil

from deploy.local.layout import PROJECT
from deploy.local.ports import free_port


@dataclass
class Launcher:
    """`./bookend` with one data directory and one port."""

    data_dir: Path
    port: int = field(default_factory=free_port)

    def run(self, command: str, *flags: str, within_s: float = 150) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", command, "--data", str(self.data_dir), *flags],
            check=False,
            capture_output=True,
            text=True,
            cwd=PROJECT,
            timeout=within_s,
        )

    def administer(self, *words: str, typed: str = "", within_s: float = 150) -> subprocess.CompletedProcess[str]:
        """Run a command of several words, and type into it."""
        return subprocess.run(
            [
                sys.executable,
                "-m",
                "deploy.local",
                *words,
                *(["--password-stdin"] if typed else []),
                "--data",
                str(self.data_dir),
            ],
            input=typed or None,
            check=False,
            capture_output=True,
            text=True,
            cwd=PROJECT,
            timeout=within_s,
        )

    def up(self) -> subprocess.CompletedProcess[str]:
        return self.run("up", "--detach", "--port", str(self.port))

    def status(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.run("status", "--json").stdout)
        return document

    def processes(self) -> list[psutil.Process]:
        """Everything that works for this data directory, whoever started it."""
        found = []
        for process in psutil.process_iter():
            try:
                told = [*process.cmdline(), process.cwd()]
                if any(str(self.data_dir) in word for word in told) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def all_ready(self) -> bool:
        services = self.status()["services"]
        return bool(services) and all(service["ready"] for service in services.values())

    def get(self, path: str) -> int:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        connection.request("GET", path)
        code = connection.getresponse().status
        connection.close()
        return code
