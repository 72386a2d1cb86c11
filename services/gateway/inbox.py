"""The user's inbox: a line for what happened to his orders and trades."""

from __future__ import annotations

from fastapi import Response

from libs.common.errors import NotFound
from services.gateway import store_inbox as store
from services.gateway.caller import Caller
from services.gateway.models_system import NotificationsAsked, Read


async def page(caller: Caller, asked: NotificationsAsked) -> Response:
    """Answer one page, newest first."""
    async with caller.deps.db.for_user(caller.username) as unit:
        found = await store.notifications_json(
            unit, caller.username, asked.cursor, asked.limit, unread_only=asked.unread_only
        )
    return Response(found, media_type="application/json")


async def read_one(caller: Caller, notification_id: str) -> Response:
    """Mark one line as read. Idempotent: the first time of reading stays. Raises: NotFound."""
    async with caller.deps.db.for_user(caller.username) as unit:
        found = await store.read_notification(unit, caller.username, notification_id)
    if found is None:
        raise NotFound("no such notification")
    return Response(found, media_type="application/json")


async def read_all(caller: Caller) -> Read:
    """Mark every line as read."""
    async with caller.deps.db.for_user(caller.username) as unit:
        return Read(read=await store.read_all(unit, caller.username))
