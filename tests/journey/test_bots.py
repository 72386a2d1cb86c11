"""The examples for people who write bots, run as their pages say, each to a protected PAPER trade."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.journey.stack import ROOT, Stack
from tests.journey.trader import Json, Trader

pytestmark = pytest.mark.faults

EXAMPLES = ROOT / "examples"
WIDE = {"max_positions": 20, "account_balance": "100000", "daily_loss_limit": "50000", "heat_limit_pct": "90"}


@pytest.fixture
def environment(stack: Stack, trader: Trader) -> dict[str, str]:
    """Ask key.py for what the examples want to know, as a shell would."""
    trader.ok("PUT", "/api/settings", WIDE)
    nats = urlsplit(stack.status()["nats_url"])
    told = subprocess.run(
        [
            sys.executable, EXAMPLES / "key.py", "--url", stack.gateway_url, "--nats",
            f"nats://{nats.hostname}:{nats.port}", "--user", trader.name, "--password", trader.password,
        ],
        capture_output=True, check=True, text=True, timeout=60,
    )  # fmt: skip
    lines = [line.removeprefix("export ").partition("=") for line in told.stdout.splitlines()]
    return {**os.environ, **{name: value.strip("'") for name, _, value in lines}}


def started(command: list[str | Path], environment: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def ended(process: subprocess.Popen[str]) -> str:
    """Let it end well and return what it said."""
    try:
        said, _ = process.communicate(timeout=90)
    finally:
        process.kill()
    assert process.returncode == 0, said
    return said


def traded(trader: Trader, said: str) -> Json:
    """Hold that the trade it tells of is protected."""
    return trader.protected(said.rpartition("accepted: trade ")[2].split()[0], 30)


def test_the_scanners_signal_waits_for_its_user_and_becomes_a_protected_trade(
    trader: Trader, environment: dict[str, str]
) -> None:
    process = started([sys.executable, EXAMPLES / "scanner.py", "SPY"], environment)
    waiting: list[Json] = []

    def has_come() -> bool:
        waiting[:] = trader.ok("GET", "/api/signals?state=pending")["signals"]
        return bool(waiting) or process.poll() is not None

    assert trader.eventually(has_come, 40)
    assert waiting, process.communicate()[0]
    assert waiting[0]["quote"]["bid"]
    approved = trader.ok("POST", f"/api/signals/{waiting[0]['id']}/approve")
    said = ended(process)
    assert "waits for approval" in said
    trade = traded(trader, said)
    assert (trade["id"], trade["strategy"]) == (approved["trade_id"], "example")
    assert trade["idempotency_key"] == f"sig.{trader.name}.scanner.{waiting[0]['signal_id']}"


def test_the_example_over_http_trades_by_itself_in_auto_mode(trader: Trader, environment: dict[str, str]) -> None:
    trader.ok("PUT", "/api/settings", {"signal_mode": "auto"})
    said = ended(started([sys.executable, EXAMPLES / "over_http.py", "QQQ"], environment))
    assert traded(trader, said)["option_type"] == "PUT"


@pytest.mark.skipif(shutil.which("npm") is None, reason="needs node and npm, for npm's NATS client")
def test_the_scanner_in_javascript_trades_by_itself_in_auto_mode(
    trader: Trader, environment: dict[str, str], tmp_path: Path
) -> None:
    for name in ("package.json", "package-lock.json", "scanner.mjs"):
        shutil.copy(EXAMPLES / name, tmp_path)
    install = ["npm", "ci", "--no-audit", "--no-fund", "--prefer-offline"]
    subprocess.run(install, cwd=tmp_path, check=True, capture_output=True, timeout=120)
    trader.ok("PUT", "/api/settings", {"signal_mode": "auto"})
    said = ended(started(["node", tmp_path / "scanner.mjs", "IWM"], environment))
    assert traded(trader, said)["ticker"] == "IWM"
