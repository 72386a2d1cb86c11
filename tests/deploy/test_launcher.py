"""The whole stack through its command line: up, status, deaths, down, and up again on the same data."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import psutil
import pytest

from deploy.local.child import wait_until
from deploy.local.keyring import encryption_keys
from deploy.local.layout import PROJECT, Layout
from deploy.local.probe import request_json
from tests.deploy.launcher import Launcher

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    launcher = Launcher(tmp_path_factory.mktemp("one stack") / "da ta")
    started = launcher.up()
    assert started.returncode == 0, started.stdout + started.stderr
    yield launcher
    launcher.run("down")


def test_up_returns_when_everything_is_ready_and_says_where_to_go(stack: Launcher) -> None:
    status = stack.status()
    assert status["gateway_url"] == f"http://127.0.0.1:{stack.port}"
    assert status["ready"] is True
    assert {"postgres", "nats", "simulator", "gateway", "orders", "pricing", "monitor", "forensics"} <= set(
        status["services"]
    )
    assert all(service["ready"] for service in status["services"].values())
    assert stack.get("/readyz") == 200


def test_the_demo_user_can_sign_in_with_the_printed_password(stack: Launcher) -> None:
    connection = HTTPConnection("127.0.0.1", stack.port, timeout=10)
    headers = {"Content-Type": "application/json"}
    connection.request("POST", "/api/auth/login", json.dumps(stack.status()["demo"]), headers)
    answer = connection.getresponse()
    assert answer.status == 200
    connection.close()


def test_everything_listens_on_loopback_only(stack: Launcher) -> None:
    pids = {service["pid"] for service in stack.status()["services"].values()}
    listening = {
        connection.laddr.ip
        for pid in pids
        for connection in psutil.Process(pid).net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}


def test_a_second_up_on_the_same_data_is_told_of_the_first(stack: Launcher) -> None:
    second = stack.up()
    assert second.returncode == 1
    assert f"already runs at http://127.0.0.1:{stack.port}" in second.stdout
    assert stack.all_ready()


def test_a_taken_port_is_named_and_nothing_is_left_running(stack: Launcher, tmp_path: Path) -> None:
    other = Launcher(tmp_path / "other", stack.port)
    refused = other.up()
    if refused.returncode == 0:
        other.run("down")
    assert refused.returncode == 1
    assert f"port {stack.port}" in refused.stdout
    assert "--port" in refused.stdout
    assert other.processes() == []


def ask(stack: Launcher, method: str, path: str, body: dict[str, Any] | None = None, cookie: str = "") -> Any:
    status, document, _ = request_json(stack.port, method, path, body or {}, cookie=cookie)
    assert status == 200, (status, document)
    return document


def test_the_key_to_the_tokens_is_rotated_twice_while_it_runs_and_every_token_opens(stack: Launcher) -> None:
    _, _, cookie = request_json(stack.port, "POST", "/api/auth/login", stack.status()["demo"])
    account = ask(stack, "GET", "/api/settings", cookie=cookie)["account_id"]
    layout = Layout(stack.data_dir)
    drawn = [encryption_keys(layout)]
    for _ in range(2):
        done = stack.administer("rotate-keys")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "the old key is gone" in done.stdout
        drawn.append(encryption_keys(layout))
        asked = {"broker_mode": "PAPER", "account_id": account}
        assert ask(stack, "POST", "/api/settings/credentials/test", asked, cookie)["ok"] is True
    assert [len(keys) for keys in drawn] == [1, 1, 1]
    assert len({keys[0] for keys in drawn}) == 3
    assert stack.all_ready()


def test_dead_letters_are_listed_and_an_unknown_one_is_named(stack: Launcher) -> None:
    assert stack.administer("dead", "list").stdout == "no dead letters\n"
    refused = stack.administer("dead", "replay", "7")
    assert refused.returncode == 1
    assert "there is no dead letter 7" in refused.stderr


def test_users_are_added_and_a_second_of_the_name_is_refused(stack: Launcher) -> None:
    added = stack.administer("users", "add", "olga", "--admin", typed="correct horse battery\n")
    assert (added.returncode, added.stdout) == (0, "added olga as administrator\n"), added.stderr
    again = stack.administer("users", "add", "olga", typed="correct horse battery\n")
    assert again.returncode == 1
    assert "olga is taken" in again.stderr


@pytest.mark.faults
@pytest.mark.parametrize("part", ["orders", "gateway", "nats", "postgres", "simulator"])
def test_a_killed_part_is_ready_again_within_ten_seconds_and_counted(stack: Launcher, part: str) -> None:
    before = stack.status()["services"][part]
    os.kill(before["pid"], signal.SIGKILL)
    ended = time.monotonic()
    assert wait_until(lambda: has_restarted(stack, part, before["restarts"] + 1), within_s=10)
    assert time.monotonic() - ended < 10
    assert wait_until(stack.all_ready, within_s=20), stack.status()


def test_down_leaves_no_process_and_up_goes_on_with_the_same_ports_and_people(stack: Launcher) -> None:
    before = stack.status()
    assert stack.run("down").stdout == "stopped\n"
    assert wait_until(lambda: stack.processes() == [], within_s=5), stack.processes()
    assert not (stack.data_dir / "stack.json").exists()
    assert not (stack.data_dir / "postgres" / "18" / "postmaster.pid").exists()
    assert stack.up().returncode == 0
    after = stack.status()
    assert after["demo"] == before["demo"]
    for address in ("database_url", "nats_url", "simulator_url"):
        assert after[address] == before[address]


@pytest.mark.faults
def test_a_killed_launcher_leaves_nothing_running_and_the_next_up_takes_over(stack: Launcher) -> None:
    state = json.loads((stack.data_dir / "stack.json").read_text())
    os.kill(state["launcher"]["pid"], signal.SIGKILL)
    assert stack.status()["gateway_url"] is None
    assert wait_until(lambda: stack.processes() == [], within_s=15), stack.processes()
    assert stack.up().returncode == 0
    assert stack.all_ready()


def test_a_down_during_the_start_stops_it(tmp_path: Path) -> None:
    launcher = Launcher(tmp_path / "stopped early")
    starting = subprocess.Popen(
        [sys.executable, "-m", "deploy.local", "up", "--port", str(launcher.port), "--data", str(launcher.data_dir)],
        cwd=PROJECT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait_until((launcher.data_dir / "stack.json").exists, within_s=30)
        assert launcher.run("down").stdout == "stopped\n"
        assert starting.wait(30) == 0
    finally:
        starting.kill()
        starting.wait()
    assert wait_until(lambda: launcher.processes() == [], within_s=5)


def has_restarted(stack: Launcher, part: str, restarts: int) -> bool:
    service = stack.status()["services"][part]
    return bool(service["ready"]) and service["restarts"] == restarts
