"""`./bookend logs [service]`: the end of the logs, then every new line."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from deploy.local.layout import Layout
from deploy.local.problem import StackProblem

_LOOK_EVERY_S = 0.2
_READ_BYTES = 256 * 1024


class Tail:
    """One log file read from near its end; starts over when the file was replaced or cut."""

    def __init__(self, file: Path, lines: int) -> None:
        self._file = file
        self._offset = 0
        self._rest = b""
        if file.exists():
            size = file.stat().st_size
            with file.open("rb") as log:
                log.seek(max(0, size - _READ_BYTES))
                last = log.read().splitlines(keepends=True)[-lines:] if lines else []
            self._offset = size - sum(map(len, last))

    @property
    def name(self) -> str:
        """The part it belongs to."""
        return self._file.stem

    def new_lines(self) -> list[str]:
        """Return the whole lines written since the last call."""
        if not self._file.exists():
            return []
        if self._file.stat().st_size < self._offset:
            self._offset, self._rest = 0, b""
        with self._file.open("rb") as log:
            log.seek(self._offset)
            read = log.read()
        self._offset += len(read)
        *whole, self._rest = (self._rest + read).split(b"\n")
        return [line.decode(errors="replace") for line in whole]


def trim_logs(layout: Layout, *, over_bytes: int = 50 * 1024 * 1024) -> None:
    """Keep logs from filling the disk: a large one becomes `.1` and starts again, under the feet of its writer."""
    for log in layout.logs_dir.glob("*.log"):
        if log.stat().st_size > over_bytes:
            shutil.copyfile(log, log.with_suffix(".log.1"))
            # Its writer appends, so it goes on at the new end.
            os.truncate(log, 0)


def show_logs(layout: Layout, part: str | None, *, lines: int, follow: bool) -> int:
    """Print the last lines of one part's log, or of all, and go on until interrupted."""
    known = sorted(file.stem for file in layout.logs_dir.glob("*.log")) if layout.logs_dir.exists() else []
    if part is not None and part not in known:
        raise StackProblem("logs", f"there is no log of {part!r}", f"choose one of: {', '.join(known) or 'none yet'}")
    tails = {name: Tail(layout.log_of(name), lines) for name in ([part] if part else known)}
    while True:
        for name, tail in tails.items():
            prefix = "" if part else f"{name:<10} | "
            for line in tail.new_lines():
                sys.stdout.write(f"{prefix}{line}\n")
        sys.stdout.flush()
        if not follow:
            return 0
        time.sleep(_LOOK_EVERY_S)
