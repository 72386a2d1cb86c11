"""The live feed as an answer: raw ASGI, no generator per reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import Response
from starlette.types import Receive, Scope, Send

from services.gateway.reader import Reader

if TYPE_CHECKING:
    from services.gateway.caller import Caller
    from services.gateway.fanout import Hub


class Feed(Response):
    """An answer that lasts as long as its reader."""

    media_type = "text/event-stream"

    def __init__(self, hub: Hub, reader: Reader) -> None:
        super().__init__()
        self._hub = hub
        self._reader = reader

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the browser leaves or the feed is ended."""
        del scope
        try:
            await self._reader.write(receive, send)
        finally:
            self._hub.close(self._reader)


def open_stream(caller: Caller, last_event_id: str | None) -> Response:
    """Open the caller's feed. Raises: Throttled past his share of feeds."""
    hub = caller.deps.hub
    return Feed(hub, hub.open(caller.username, caller.credential_id, last_event_id))
