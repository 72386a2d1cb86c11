"""A stack, Ann with everything a person can have, and Bob who wants it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.journey.conftest import QUICK
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader

NOBODY_LISTENS = "http://127.0.0.1:9"


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Run a stack; no vendor outside this machine can be reached by mistake."""
    data: Path = tmp_path_factory.mktemp("isolation") / "data"
    running = Stack(data, environment={**QUICK, "TRADIER_SANDBOX_URL": NOBODY_LISTENS}).up()
    try:
        yield running
    finally:
        running.down()


@pytest.fixture(scope="package")
def simulator(stack: Stack) -> Iterator[Simulator]:
    """Yield the outside world's controls."""
    with stack.simulator() as world:
        yield world


@dataclass
class Ann:
    """Somebody with a held trade, a closed one, lines in the inbox, an API key and a signal that waits."""

    trader: Trader
    held: Json
    closed: Json
    placed_with: tuple[str, Json]
    line_id: str
    key_id: str
    key_secret: str
    account_id: str
    signal_id: str

    @property
    def marks(self) -> list[str]:
        """List what names her or hers and nothing else, so that it betrays whoever is shown it."""
        kept = [self.held["id"], self.closed["id"], self.line_id, self.key_id, self.signal_id]
        return [self.trader.name, self.account_id, *kept]


@pytest.fixture(scope="package")
def ann(stack: Stack, simulator: Simulator) -> Iterator[Ann]:
    """Let Ann join and trade."""
    with Trader(stack.gateway_url, f"ann{uuid.uuid4().hex[:8]}") as trader:
        key, body = uuid.uuid4().hex, trader.body(trader.contract("SPY", 0))
        held = trader.protected(trader.place(body, key)["id"], 30)
        other = trader.protected(trader.place(trader.body(trader.contract("QQQ", 0)))["id"], 30)
        simulator.price(other["occ_symbol"], other["tp_price"])
        closed = trader.closed(other["id"], 30)
        inbox: list[Any] = []

        def has_lines() -> bool:
            inbox[:] = trader.ok("GET", "/api/notifications/trades")["notifications"]
            return bool(inbox)

        assert trader.eventually(has_lines, 20)
        made = trader.ok("POST", "/api/keys", {"name": "ann's script", "scopes": ["read"]})
        soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        waiting = trader.ok("POST", "/api/signals", {**body, "v": 1, "signal_id": "ann-1", "expires_at": soon})
        yield Ann(
            trader=trader,
            held=held,
            closed=closed,
            placed_with=(key, body),
            line_id=inbox[0]["id"],
            key_id=made["id"],
            key_secret=made["secret"],
            account_id=held["account_id"],
            signal_id=waiting["id"],
        )


@pytest.fixture(scope="package")
def bob(stack: Stack) -> Iterator[Trader]:
    """Let Bob join."""
    with Trader(stack.gateway_url, f"bob{uuid.uuid4().hex[:8]}") as trader:
        yield trader


@pytest.fixture(scope="package")
def keyring(stack: Stack) -> Json:
    """Read the secrets the launcher drew for this stack."""
    found: Json = json.loads((stack.data / "secrets.json").read_text())
    return found
