"""Recorded payloads as answers, and a broker that gets them instead of a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.factory import BrokerFactory
from libs.broker.tradier_session import Deadlines
from libs.common.http import Answer, HttpClient

PAYLOADS = Path(__file__).parent / "payloads"
ACCOUNT = "VA00000001"
TOKEN = "sandbox-token-1"


def answer(name: str, status: int = 200) -> Answer:
    """Return a payload as an answer."""
    return Answer(status, {}, (PAYLOADS / name).read_bytes())


def response(name: str, status: int = 200, headers: dict[str, str] | None = None) -> httpx.Response:
    """Return a payload as the library's response."""
    return httpx.Response(status, content=(PAYLOADS / name).read_bytes(), headers=headers)


Handler = Callable[[httpx.Request], httpx.Response]


class Script:
    """Answers requests from a list, the last one for ever, and remembers what was asked."""

    def __init__(self, *steps: httpx.Response | Exception) -> None:
        """Take the answers in order."""
        self.steps = list(steps)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        self.requests.append(request)
        step = self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]
        if isinstance(step, Exception):
            raise step
        return httpx.Response(step.status_code, content=step.content, headers=step.headers)


def broker(
    handler: Handler,
    *,
    mode: BrokerMode = BrokerMode.TRADIER_SANDBOX,
    live_enabled: bool = False,
    read_s: float = 2.0,
) -> BrokerProvider:
    """Return a broker whose every request the handler answers."""
    http = HttpClient(transport=httpx.MockTransport(handler), first_pause_s=0.0)
    factory = BrokerFactory(
        http,
        dict.fromkeys(BrokerMode, "https://broker.test/v1"),
        deadlines=Deadlines(read_s=read_s, write_s=2.0),
        live_enabled=live_enabled,
    )
    return factory.get_broker(mode, ACCOUNT, TOKEN)
