"""Who the database server runs as, and how it reaches its files below a directory that only root may enter."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.account import Account, become, server_account
from deploy.local.layout import PROJECT
from deploy.local.postgres import program

ASK = "import os, sys; print(os.geteuid(), *(os.access(sys.argv[1], mode) for mode in (os.R_OK, os.X_OK, os.W_OK)))"
CHOOSE = """
import sys
from pathlib import Path
from deploy.local.account import server_account
from deploy.local.postgres import program
from deploy.local.problem import StackProblem
print(server_account(Path(sys.argv[1]) / "new", program("postgres")))
try:
    server_account(Path("/"), program("postgres"))
except StackProblem as problem:
    print(problem.why)
"""
DAC_READ_SEARCH = 2

is_root = os.geteuid() == 0
for_root = pytest.mark.skipif(not is_root, reason="run the tests as root to see PostgreSQL under a user of its own")


def run(words: list[str], before: Callable[[], None] | None) -> list[str]:
    ran = subprocess.run(words, check=True, capture_output=True, text=True, preexec_fn=before, cwd=PROJECT)
    return ran.stdout.splitlines()


@for_root
def test_under_root_the_server_is_the_owner_of_its_data_or_a_user_of_its_own(tmp_path: Path) -> None:
    new = server_account(tmp_path / "new", program("postgres"))
    assert new is not None
    assert new.uid != 0
    assert new.name in {"bookend-postgres", "nobody"}
    nobody = pwd.getpwnam("nobody")
    (tmp_path / "data").mkdir()
    os.chown(tmp_path / "data", nobody.pw_uid, nobody.pw_gid)
    known = server_account(tmp_path / "data", program("postgres"))
    assert known is not None
    assert known.uid == nobody.pw_uid


@for_root
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="capabilities are Linux's")
def test_a_hidden_program_is_reached_by_the_one_capability_that_takes_and_no_more(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden" / "program"
    hidden.parent.mkdir(mode=0o700)
    hidden.write_text("#!/bin/sh\n")
    hidden.chmod(0o755)
    account = server_account(hidden.parent / "data", hidden)
    assert account is not None
    assert account.capabilities
    # access(2) is what PostgreSQL asks before it starts a program of its own.
    [said] = run([sys.executable, "-c", ASK, str(hidden)], lambda: become(account))
    assert said.split() == [str(account.uid), "True", "True", "False"]
    plain = Account(account.name, account.uid, account.gid)
    [said] = run(["/bin/sh", "-c", 'test -x "$1" || echo hidden', "sh", str(hidden)], lambda: become(plain))
    assert said == "hidden"


def test_an_ordinary_user_runs_its_own_server_and_is_refused_other_peoples_data(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    # The interpreter of these tests may lie below root's own directory.
    ordinary = Account(nobody.pw_name, nobody.pw_uid, nobody.pw_gid, (DAC_READ_SEARCH,))
    command = [sys.executable, "-c", CHOOSE, str(tmp_path)]
    assert run(command, (lambda: become(ordinary)) if is_root else None) == ["None", "/ belongs to user root"]
