"""The live feed: facts and ticks of one user as server-sent events."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from libs.common.errors import Throttled
from services.gateway import streaming
from services.gateway.declared import READ, operation_name, problems
from services.gateway.permissions import Viewer

router = APIRouter(prefix="/api", tags=["stream"], generate_unique_id_function=operation_name)

FEED: dict[str, Any] = {
    "description": "`event:` a fact's or tick's name, `data:` its JSON, `id:` a cursor on facts. `resync`: load again.",
    "content": {"text/event-stream": {"schema": {"type": "string"}}},
}
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID", max_length=200)]


@router.get("/stream", response_class=Response, responses={**problems(*READ, Throttled), 200: FEED})
async def stream(caller: Viewer, last_event_id: LastEventId = None) -> Response:
    """Follow what happens, from where the last connection ended."""
    return streaming.open_stream(caller, last_event_id)
