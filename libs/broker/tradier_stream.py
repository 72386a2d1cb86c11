"""Tradier's account events: a session over HTTP, then hints over a web socket. Never evidence, never repeated here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import orjson
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from libs.broker import tradier_wire as wire
from libs.broker.budget import RateClass
from libs.broker.orders import AccountHint
from libs.broker.tradier_orders import hint
from libs.broker.tradier_session import TradierSession
from libs.common.errors import UpstreamUnavailable
from libs.common.http import Answer, Unreadable

OPEN_TIMEOUT_S: Final = 5.0
PING_S: Final = 10.0
"""A dead connection is noticed within two of these."""


@dataclass(frozen=True, slots=True)
class StreamSession:
    """Where to connect, and the secret that opens it."""

    url: str
    session_id: str


def stream_session(answer: Answer) -> StreamSession:
    """Read the session. Raises: UpstreamAuth, UpstreamRefused, Unreadable."""
    raw = wire.read_body(answer, "account events").get("stream")
    if not isinstance(raw, Mapping):
        raise Unreadable("no stream in the answer")
    return StreamSession(url=str(raw["url"]), session_id=str(raw["sessionid"]))


async def follow(
    session: TradierSession, account_id: str, on_connected: Callable[[], None] | None
) -> AsyncIterator[AccountHint]:
    """Yield a hint per order message of the account. Raises: UpstreamUnavailable when the connection ends."""
    opened = await session.ask_by_post(
        "/accounts/events/session", "account events", stream_session, rate_class=RateClass.STANDARD, form={}
    )
    url = session.stream_url or opened.url
    _check_url(url, session.base_url)
    subscription = {"events": ["order"], "sessionid": opened.session_id, "excludeAccounts": []}
    try:
        async with connect(
            url,
            proxy=None,
            compression=None,
            open_timeout=OPEN_TIMEOUT_S,
            close_timeout=1.0,
            ping_interval=PING_S,
            ping_timeout=PING_S,
        ) as socket:
            await socket.send(orjson.dumps(subscription).decode())
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await (await socket.ping())  # nothing confirms a subscription; the pong shows it was received
            if on_connected is not None:
                on_connected()
            async for message in socket:
                for found in hints_of(message):
                    if found.account_id is None or found.account_id == account_id:
                        yield found
    except (WebSocketException, OSError, TimeoutError) as error:
        raise UpstreamUnavailable(f"account events: the stream broke ({type(error).__name__})") from error
    raise UpstreamUnavailable("account events: the stream ended")


def _check_url(url: str, base_url: str) -> None:
    """Refuse to carry the session's secret in the clear where the API itself is encrypted."""
    wanted = {"wss"} if urlsplit(base_url).scheme == "https" else {"ws", "wss"}
    if urlsplit(url).scheme not in wanted:
        raise UpstreamUnavailable("account events: the broker named an address that is not encrypted")


def hints_of(message: str | bytes) -> list[AccountHint]:
    """Read a frame, which may hold several lines. What cannot be read is no hint."""
    found: list[AccountHint] = []
    for line in message.splitlines():
        try:
            parsed = hint(orjson.loads(line))
        except ValueError:
            continue
        if parsed is not None:
            found.append(parsed)
    return found
