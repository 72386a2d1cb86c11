"""The program as such: how it is told things, where it listens, how it ends."""

import os
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from simulator.settings import read_settings
from tests.simulator.process import ROOT, SimulatorProcess, Trader


def test_settings_come_from_the_environment_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATOR_SEED", "11")
    monkeypatch.setenv("SIMULATOR_CASH", "250")
    monkeypatch.setenv("SIMULATOR_RATE_LIMIT", "false")
    settings = read_settings(["--seed", "12", "--session", "closed"])
    assert (settings.seed, settings.cash, settings.session) == (12, Decimal(250), "closed")
    assert (settings.rate_limit, settings.host, settings.port) == (False, "127.0.0.1", 0)


def test_arguments_reach_the_market_and_the_accounts(tmp_path: Path) -> None:
    running = SimulatorProcess(tmp_path, "--cash", "5000", "--session", "closed", "--speed", "60", "--no-rate-limit")
    trader = Trader(running.start().url, "token-1")
    try:
        assert trader.get("/balances").json()["balances"]["total_cash"] == 5000
        clock = trader.get("/markets/clock").json()["clock"]
        assert (clock["state"], clock["session"], clock["speed"]) == ("closed", "closed", 60.0)
        assert "x-ratelimit-allowed" not in trader.get("/balances").headers
    finally:
        trader.close()
        assert running.stop() in (0, -15)


def test_a_second_simulator_on_the_same_data_says_why_it_cannot_start(simulator: SimulatorProcess) -> None:
    command = [sys.executable, "-m", "simulator", "--data", str(simulator.data)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert "in use by another simulator" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_ends_it_at_once(simulator: SimulatorProcess, tmp_path: Path) -> None:
    port = simulator.url.rpartition(":")[2]
    command = [sys.executable, "-m", "simulator", "--data", str(tmp_path), "--port", port]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert ended.returncode != 0
    assert "address already in use" in ended.stderr


def test_it_imports_nothing_of_the_services_and_nothing_heavy() -> None:
    code = "import sys, simulator.app; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    shown = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=environment
    )
    loaded = {name.partition(".")[0] for name in shown.stdout.split()}
    assert not loaded & {"libs", "services", "pandas", "scipy", "fastapi", "sqlalchemy", "nats", "httpx"}


def test_it_is_alive_without_a_token(simulator: SimulatorProcess) -> None:
    assert httpx.get(f"{simulator.url}/livez").status_code == 200
    assert httpx.get(f"{simulator.url}/_control/cash").status_code == 200
