"""The gateway in a thread of its own, so that synchronous tests can call it, with somebody signed in."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from libs.common.errors import NotFound
from libs.common.handlers import Context, Reply
from libs.common.ids import new_tag
from libs.common.messages.base import COMMANDS, QUERIES, Asked
from libs.common.messages.monitor import GetMonitorStatus, SyncNow
from libs.common.messages.orders import GetTrade, GetTradingSettings, PlaceTrade, UpdateTradingSettings
from libs.common.messages.signals import PublishSignal
from libs.common.testing import TestDatabase
from tests.integration.gateway.house import PASSWORD, UNSAFE, House, own_nats, running


@dataclass(frozen=True)
class Api:
    """Where the gateway is, and what a signed-in browser sends."""

    url: str
    headers: dict[str, str]


def _answer_everything(house: House) -> None:
    """Let the other services answer something plausible; what they answer in earnest their own tests hold."""
    for kind in {**COMMANDS, **QUERIES}.values():
        house.answers[kind] = {"trades": [], "executions": [], "entries": [], "next_cursor": None}
    settings = {"created_at": "2026-11-01T10:00:00Z", "updated_at": "2026-11-01T10:00:00Z"}
    house.answers[GetTradingSettings] = house.answers[UpdateTradingSettings] = settings
    house.answers[PlaceTrade] = house.answers[PublishSignal] = Reply(201)
    house.answers[SyncNow] = Reply(202)
    house.answers[GetMonitorStatus] = {"banners": [], "feeds": []}
    house.answers[GetTrade] = _trade


def _trade(question: Asked, _ctx: Context) -> Any:
    return NotFound(f"no trade {getattr(question, 'trade_id', '')}")


@pytest.fixture(scope="module")
def api(migrated: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """Run a gateway for one file of tests."""
    folder = tmp_path_factory.mktemp("api-nats")
    started: dict[str, Any] = {}
    is_up = threading.Event()

    async def live() -> None:
        started["loop"], started["stop"] = asyncio.get_running_loop(), asyncio.Event()
        with own_nats(folder) as nats:
            async with running(migrated, nats) as house:
                _answer_everything(house)
                started["url"] = house.url
                is_up.set()
                await started["stop"].wait()

    thread = threading.Thread(target=lambda: asyncio.run(live()))
    thread.start()
    try:
        assert is_up.wait(30)
        answer = httpx.post(
            f"{started['url']}/api/auth/register", json={"username": f"tester-{new_tag()[-8:]}", "password": PASSWORD}
        )
        assert answer.status_code == 201, answer.text
        yield Api(started["url"], {**UNSAFE, "Cookie": f"bookend_session={answer.cookies['bookend_session']}"})
    finally:
        started["loop"].call_soon_threadsafe(started["stop"].set)
        thread.join(20)
