"""Which user a server runs as. PostgreSQL refuses root, so under root it gets a system user of its own.

That user must reach the program and its data even below a directory only root may enter (`/root/bookend`). Moving files
elsewhere would break "everything lives in the data directory", so the child keeps the one capability that lets it walk
through, and only where the path needs it.
"""

from __future__ import annotations

import ctypes
import os
import pwd
import shutil
import stat
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from deploy.local.problem import StackProblem

SYSTEM_USER = "bookend-postgres"
FALLBACK_USER = "nobody"

_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_PR_SET_SECUREBITS = 28
_NO_SETUID_FIXUP = 1 << 2
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
# Loaded before any fork: between fork and exec nothing may take the loader's lock.
LIBC = ctypes.CDLL(None, use_errno=True) if sys.platform.startswith("linux") else None


@dataclass(frozen=True)
class Account:
    """A user to become, with the capabilities it keeps (Linux numbers)."""

    name: str
    uid: int
    gid: int
    capabilities: tuple[int, ...] = ()

    def own(self, path: Path) -> None:
        """Give one existing file or directory to this user."""
        os.chown(path, self.uid, self.gid)


def server_account(data_dir: Path, program: Path) -> Account | None:
    """Say who runs the server that keeps `data_dir`; None is "whoever we are", the case without root.

    Raises: StackProblem when the data belongs to somebody else.
    """
    owner = data_dir.stat().st_uid if data_dir.exists() else None
    if os.geteuid() != 0:
        if owner is not None and owner != os.geteuid():
            raise StackProblem(
                "postgres",
                f"{data_dir} belongs to user {_name_of(owner)}",
                "run as that user, or choose another directory with --data",
            )
        _require_a_name_for_ourselves()
        return None
    entry = pwd.getpwuid(owner) if owner else _system_user()
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, _capabilities_needed(entry, data_dir, program))


def become(account: Account) -> None:
    """Turn this (just forked) process into the account for good, keeping only its named capabilities."""
    libc = LIBC if account.capabilities else None
    # Without this bit a change of user drops capabilities, and access(2), which PostgreSQL asks before it runs its
    # own programs, ignores them.
    if libc is not None and libc.prctl(_PR_SET_SECUREBITS, _NO_SETUID_FIXUP, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_SECUREBITS)")
    os.setgroups([])
    os.setgid(account.gid)
    os.setuid(account.uid)
    if libc is None:
        return
    bits = sum(1 << capability for capability in account.capabilities)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    if libc.capset(header, sets) != 0:
        raise OSError(ctypes.get_errno(), "capset")
    for capability in account.capabilities:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, capability, 0, 0)


def _system_user() -> pwd.struct_passwd:
    """Find the servers' own system user, making it where the machine has `useradd`; `nobody` where it has not."""
    for _ in range(3):
        try:
            return pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin")
            if useradd is None:
                break
            # Another stack may be adding the same user: whoever comes second finds it on the next turn.
            command = [useradd, "--system", "--no-create-home", "--home-dir", "/nonexistent"]
            subprocess.run([*command, "--shell", "/usr/sbin/nologin", SYSTEM_USER], check=False, capture_output=True)
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        pass
    try:
        return pwd.getpwnam(FALLBACK_USER)
    except KeyError:
        raise StackProblem(
            "postgres",
            "PostgreSQL does not run as root, and this machine has neither `useradd` nor a user `nobody`",
            f"add a system user named {SYSTEM_USER}, or run ./bookend as an ordinary user",
        ) from None


def _require_a_name_for_ourselves() -> None:
    try:
        pwd.getpwuid(os.geteuid())
    except KeyError:
        raise StackProblem(
            "postgres",
            f"user id {os.geteuid()} has no entry in /etc/passwd, which PostgreSQL's initdb needs",
            "run as a user that has one",
        ) from None


def _capabilities_needed(entry: pwd.struct_passwd, data_dir: Path, program: Path) -> tuple[int, ...]:
    if not sys.platform.startswith("linux"):
        return ()
    program, data_dir = program.resolve(), data_dir.resolve()
    runs = _allows(program, entry, stat.S_IXOTH) and _allows(program, entry, stat.S_IROTH)
    walks = all(
        _allows(directory, entry, stat.S_IXOTH)
        for directory in {*program.parents, *data_dir.parents}
        if directory.exists()
    )
    if runs and walks:
        return ()
    held = _effective_capabilities()
    wanted = (_CAP_DAC_READ_SEARCH,) if runs else (_CAP_DAC_OVERRIDE, _CAP_DAC_READ_SEARCH)
    granted = tuple(one for one in wanted if held >> one & 1) or tuple(
        one for one in (_CAP_DAC_OVERRIDE,) if held >> one & 1
    )
    if not granted:
        raise StackProblem(
            "postgres",
            f"user {entry.pw_name} cannot reach {data_dir if runs else program}",
            "choose a --data directory (and a checkout) that other users may enter",
        )
    return granted


def _allows(path: Path, entry: pwd.struct_passwd, other_bit: int) -> bool:
    """Whether the mode bits let this user through (the bit given for others, shifted to owner and group)."""
    found = path.stat()
    if found.st_uid == entry.pw_uid:
        return bool(found.st_mode & (other_bit << 6))
    if found.st_gid == entry.pw_gid:
        return bool(found.st_mode & (other_bit << 3))
    return bool(found.st_mode & other_bit)


def _effective_capabilities() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("CapEff:"):
            return int(line.split()[1], 16)
    return 0


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
