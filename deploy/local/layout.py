"""Where everything of one stack lies below its data directory, and the lock that makes it one stack."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Layout:
    """The paths of one stack."""

    data_dir: Path

    @property
    def logs_dir(self) -> Path:
        """A log file per part."""
        return self.data_dir / "logs"

    @property
    def postgres_dir(self) -> Path:
        """The database cluster and what was done to it once."""
        return self.data_dir / "postgres"

    @property
    def nats_dir(self) -> Path:
        """The bus's configuration and streams."""
        return self.data_dir / "nats"

    @property
    def simulator_dir(self) -> Path:
        """The simulator's accounts and orders."""
        return self.data_dir / "simulator"

    @property
    def state_file(self) -> Path:
        """What runs now; absent when nothing does."""
        return self.data_dir / "stack.json"

    @property
    def secrets_file(self) -> Path:
        """Keys and passwords drawn at the first start, for its owner's eyes only."""
        return self.data_dir / "secrets.json"

    @property
    def rotation_dir(self) -> Path:
        """Locked by whoever changes the key to the tokens."""
        return self.data_dir / "rotation"

    @property
    def ports_file(self) -> Path:
        """The ports of last time."""
        return self.data_dir / "ports.json"

    def log_of(self, part: str) -> Path:
        """Return the log file of one part."""
        return self.logs_dir / f"{part}.log"

    def prepare(self) -> None:
        """Make the directories. Others may walk through (PostgreSQL's own user must), not look."""
        for directory in (self.data_dir, self.logs_dir):
            directory.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o711)
        self.logs_dir.chmod(0o700)

    def reset(self) -> None:
        """Forget everything the stack keeps; files of anybody else in the directory stay."""
        for directory in (self.postgres_dir, self.nats_dir, self.simulator_dir, self.logs_dir):
            shutil.rmtree(directory, ignore_errors=True)
        for file in (self.state_file, self.secrets_file, self.ports_file):
            file.unlink(missing_ok=True)


class DirectoryLock:
    """At most one launcher per directory. The lock is on the directory itself, so nothing is left behind."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._descriptor: int | None = None

    def acquire(self, *, wait: bool = False) -> bool:
        """Take the lock; returns whether it is ours."""
        descriptor = os.open(self._directory, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        return True

    def release(self) -> None:
        """Give it back."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def write_json(path: Path, document: dict[str, Any]) -> None:
    """Replace the file in one step, readable by its owner only."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    with os.fdopen(descriptor, "w") as out:
        json.dump(document, out, indent=2)
        out.flush()
        os.fsync(out.fileno())
    Path(name).replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """Read a file of ours; empty when it is absent."""
    try:
        document: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return document


def digest(files: Iterable[Path], *, base: Path) -> str:
    """Return a hash of names and contents, the same in any order."""
    total = hashlib.sha256()
    for file in sorted(files):
        total.update(str(file.relative_to(base)).encode() + b"\0")
        total.update(hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
