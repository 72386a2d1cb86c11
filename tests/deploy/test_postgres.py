"""The embedded PostgreSQL: made once, started and stopped without a trace, back after every kind of death."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from deploy.local.child import wait_until
from deploy.local.layout import PROJECT
from deploy.local.postgres import EmbeddedPostgres, program
from deploy.local.problem import StackProblem

pytestmark = pytest.mark.integration

STARTER = """
import os, signal, sys
from pathlib import Path
from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import EmbeddedPostgres
here = Path(sys.argv[1])
postgres, nats = EmbeddedPostgres(here / "postgres").start(), EmbeddedNats(here / "nats").start()
print(postgres.child.pid, nats.child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "a path with a space"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    running = EmbeddedPostgres(tmp_path_factory.mktemp("a server") / "postgres", unsafe_fast=True).start()
    yield running
    running.stop()


async def fetch(server: EmbeddedPostgres, statement: str) -> object:
    connection = await asyncpg.connect(server.url)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def test_it_is_version_18_on_loopback_only_and_asks_for_a_password(server: EmbeddedPostgres) -> None:
    assert str(await fetch(server, "show server_version")).startswith("18")
    assert await fetch(server, "show listen_addresses") == "127.0.0.1"
    assert await fetch(server, "show unix_socket_directories") == ""
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(server.url.replace(server.password, "guess"))


async def test_the_password_stands_in_no_command_line_and_only_its_owner_reads_it(server: EmbeddedPostgres) -> None:
    assert server.child is not None
    assert server.password not in " ".join(psutil.Process(server.child.pid).cmdline())
    assert (server.data_dir / "administrator.password").stat().st_mode & 0o077 == 0
    assert server.cluster_dir.stat().st_mode & 0o077 == 0


async def test_data_that_matters_is_flushed_and_data_that_does_not_is_not(
    server: EmbeddedPostgres, tmp_path: Path
) -> None:
    assert await fetch(server, "show fsync") == "off"
    durable = EmbeddedPostgres(tmp_path / "durable").start()
    try:
        assert await fetch(durable, "show fsync") == "on"
        assert await fetch(durable, "show synchronous_commit") == "on"
    finally:
        durable.stop()


async def test_a_stopped_server_leaves_no_process_and_no_lock_and_keeps_its_data(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "postgres").start()
    await fetch(server, "create table kept (n int)")
    await fetch(server, "insert into kept values (7)")
    assert server.child is not None
    family = [process.pid for process in psutil.Process(server.child.pid).children(recursive=True)]
    server.stop()
    assert not any(psutil.pid_exists(pid) for pid in family)
    assert not is_locked(server)
    again = EmbeddedPostgres(directory / "postgres").start()
    try:
        assert await fetch(again, "select n from kept") == 7
    finally:
        again.stop()


async def test_a_server_killed_for_real_starts_again_on_its_port(server: EmbeddedPostgres) -> None:
    assert server.child is not None
    port = server.port
    os.kill(server.child.pid, signal.SIGKILL)
    assert wait_until(lambda: server.exit_code is not None, within_s=5)
    server.start()
    assert server.port == port
    assert await fetch(server, "select 1") == 1


async def test_a_pid_file_naming_another_program_of_ours_does_not_keep_it_from_starting(directory: Path) -> None:
    server = EmbeddedPostgres(directory / "postgres", unsafe_fast=True).start()
    assert server.child is not None
    pid_file = server.cluster_dir / "postmaster.pid"
    stale = pid_file.read_text().splitlines()
    server.stop()
    pid_file.write_text("\n".join([str(os.getpid()), *stale[1:]]) + "\n")
    server.start()
    try:
        assert await fetch(server, "select 1") == 1
    finally:
        server.stop()


async def test_an_initdb_that_was_cut_short_is_done_again(directory: Path) -> None:
    half = directory / "postgres" / "18"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(directory / "postgres", unsafe_fast=True).start()
    try:
        assert await fetch(server, "select 1") == 1
    finally:
        server.stop()


def test_a_port_that_is_taken_is_named(directory: Path, server: EmbeddedPostgres) -> None:
    second = EmbeddedPostgres(directory / "second", server.port, unsafe_fast=True)
    with pytest.raises(StackProblem, match=f"port {server.port} .* is taken"):
        second.start()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux's parent-death signal")
def test_nothing_outlives_a_launcher_that_was_killed(directory: Path) -> None:
    directory.mkdir()
    killed = subprocess.run(
        [sys.executable, "-c", STARTER, str(directory)], check=False, capture_output=True, text=True, cwd=PROJECT
    )
    pids = [int(word) for word in killed.stdout.split()]
    assert len(pids) == 2
    assert killed.returncode == -signal.SIGKILL
    assert wait_until(lambda: not any(runs(pid) for pid in pids), within_s=10)


def is_locked(server: EmbeddedPostgres) -> bool:
    return (server.cluster_dir / "postmaster.pid").exists()


def runs(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_the_wheel_brings_the_tools_of_backups() -> None:
    for name in ("pg_dump", "psql", "pg_ctl", "initdb", "postgres"):
        assert os.access(program(name), os.X_OK)
