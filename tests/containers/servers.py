"""PostgreSQL and NATS in containers, with the faces of the embedded ones.

They share the host's loopback, so addresses and configuration are the same. Each `docker run` is our child: it hands
our signals on, and the kernel ends it, and with it the container, should we be killed.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path

from deploy.local.child import Child
from deploy.local.nats import EmbeddedNats
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import ADMINISTRATOR, DATABASE, EmbeddedPostgres, program
from tests.containers.compose import compose, image_of
from tests.containers.engine import remove

INITDB = "POSTGRES_INITDB_ARGS"


class ContainerNats(EmbeddedNats):
    """The image of NATS on the configuration that the embedded server gets."""

    container = ""

    def command(self, config: Path) -> list[str | Path]:
        """Return how the image is run; the data directory keeps its path, so the configuration holds in both."""
        self.container = f"bookend-tests-nats-{secrets.token_hex(6)}"
        mount = f"type=bind,source={self.data_dir},target={self.data_dir}"
        owner = f"{os.getuid()}:{os.getgid()}"
        return [*_run(self.container), "--user", owner, "--mount", mount, image_of("nats"), "-c", config]

    def stop(self) -> None:
        """Stop the server; streams stay on the disk."""
        super().stop()
        remove(self.container)


class ContainerPostgres(EmbeddedPostgres):
    """The image of PostgreSQL as compose starts it, its cluster below `data_dir`, flushing nothing."""

    container = ""

    def initialise(self) -> None:
        """Draw the administrator's password; the image makes its cluster when it starts."""
        self.draw_password()

    def ensure_database(self) -> None:
        """Do nothing: the image made it."""

    def spawn(self) -> Child:
        """Start the container, without waiting."""
        self.port = self.port or free_port()
        self.container = f"bookend-tests-postgres-{secrets.token_hex(6)}"
        stated = compose()["services"]["postgres"]
        given = {
            "POSTGRES_USER": ADMINISTRATOR,
            "POSTGRES_PASSWORD": self.password,
            "POSTGRES_DB": DATABASE,
            INITDB: stated["environment"][INITDB],
        }
        # By name only: everybody may read a command line.
        names = [word for name in given for word in ("--env", name)]
        ours = ["-c", f"listen_addresses={LOOPBACK}", "-c", f"port={self.port}", "-c", "fsync=off"]
        kept = self.data_dir / "container"
        kept.mkdir(exist_ok=True)
        mount = ["--mount", f"type=bind,source={kept},target=/var/lib/postgresql"]
        # Started as root, the image chooses its own account; else the files shall be ours.
        owner = ["--user", f"{os.getuid()}:{os.getgid()}"] if os.getuid() else []
        self._child = Child.spawn(
            "postgres",
            [*_run(self.container), *names, *mount, *owner, image_of("postgres"), *stated["command"], *ours],
            log=self.log_path,
            env={**os.environ, **given},
            death_signal=signal.SIGQUIT,
        )
        return self._child

    def is_ready(self) -> bool:
        """Whether it takes connections over TCP: while it makes its cluster, the image listens on a socket only."""
        asked: list[str | Path] = [program("pg_isready"), "-q", "-h", LOOPBACK, "-p", str(self.port), "-t", "2"]
        return subprocess.run(asked, check=False).returncode == 0

    def stop(self) -> None:
        """Stop the server; its cluster stays on the disk."""
        super().stop()
        remove(self.container)


def _run(name: str) -> list[str | Path]:
    return ["docker", "run", "--rm", "--name", name, "--network", "host"]
