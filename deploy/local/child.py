"""A child process that never outlives us: on a leash, with a log file of its own, stopped for sure."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import psutil

from deploy.local.account import LIBC, Account, become

_PR_SET_PDEATHSIG = 1


class Child:
    """One running process, its own process group, which the kernel signals when we die.

    The leash is Linux's parent-death signal and follows the *thread* that started the child, so start children from
    the main thread. Elsewhere the next `up` or `down` on the same data ends what was left.
    """

    def __init__(self, name: str, process: subprocess.Popen[bytes]) -> None:
        self.name = name
        self._process = process

    @classmethod
    def spawn(
        cls,
        name: str,
        argv: Sequence[str | os.PathLike[str]],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        account: Account | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
    ) -> Child:
        """Start a program with both its outputs appended to `log`."""
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as out:
            process = subprocess.Popen(
                [os.fspath(word) for word in argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env=None if env is None else dict(env),
                start_new_session=True,
                preexec_fn=leash(account, death_signal),  # noqa: PLW1509 - system calls only, no lock is taken
            )
        return cls(name, process)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (negative: by which signal), None while it runs. Reaps it."""
        return self._process.poll()

    def stop(self, with_signal: signal.Signals = signal.SIGTERM, *, within_s: float = 10.0) -> bool:
        """Ask it to end, insist after `within_s`; returns whether asking was enough."""
        self.ask_to_stop(with_signal)
        try:
            self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            return False
        self._kill_group()
        return True

    def ask_to_stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Send the signal and return; a child that has ended is left alone."""
        if self.exit_code is None:
            self._process.send_signal(with_signal)
            # A stopped (frozen) process acts on the request only once it runs again.
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it and everything it started, now."""
        self._kill_group()
        if self.exit_code is None:
            self._process.kill()
        self._process.wait()

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


def leash(account: Account | None, death_signal: signal.Signals) -> Callable[[], None]:
    """Build what runs between fork and exec: become the account, then ask to be signalled when the parent dies."""
    parent = os.getpid()

    def prepare() -> None:
        if account is not None:
            become(account)
        if LIBC is not None:
            # After the change of user: changing it clears the request.
            LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
            if os.getppid() != parent:
                os._exit(1)

    return prepare


def end_strangers(pids: Mapping[int, float], *, within_s: float = 10.0) -> list[int]:
    """End processes another launcher left behind, each named by pid and start time so that a reused pid is safe.

    Returns the pids that were still there.
    """
    found = []
    for pid, created in pids.items():
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - created) < 1.0:
                process.terminate()
                process.resume()
                found.append(process)
        except psutil.Error:
            continue
    insist(found, within_s=within_s)
    return [process.pid for process in found]


def insist(processes: Sequence[psutil.Process], *, within_s: float) -> None:
    """Wait for processes that were asked to end, then kill the rest. One that only waits to be reaped has ended."""
    if wait_until(lambda: not any(map(_runs, processes)), within_s=within_s):
        return
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_until(lambda: not any(map(_runs, processes)), within_s=within_s)


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def end_helpers(*, but: Collection[int]) -> None:
    """End our direct children that are not in `but`, with all they started: builds and migrations cut short."""
    ours = [child for child in psutil.Process().children() if child.pid not in but]
    doomed = []
    for child in ours:
        with contextlib.suppress(psutil.Error):
            doomed += [child, *child.children(recursive=True)]
    for process in doomed:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(doomed, timeout=5.0)


def wait_until(ready: Callable[[], bool], *, within_s: float, every_s: float = 0.02) -> bool:
    """Look again and again until `ready()` or the time is over; returns which."""
    deadline = time.monotonic() + within_s
    while not ready():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True
