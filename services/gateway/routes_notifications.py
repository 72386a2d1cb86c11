"""The inbox: list, read one, read all."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from pydantic import StringConstraints

from libs.common.errors import NotFound
from services.gateway import inbox
from services.gateway.declared import READ, WRITE, operation_name, problems
from services.gateway.models_system import Notification, Notifications, NotificationsAsked, Read
from services.gateway.permissions import Viewer

router = APIRouter(
    prefix="/api/notifications/trades", tags=["notifications"], generate_unique_id_function=operation_name
)

NotificationId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Path(alias="id")]


@router.get("", response_model=Notifications, responses=problems(*READ))
async def list_notifications(caller: Viewer, asked: Annotated[NotificationsAsked, Query()]) -> Response:
    """List the inbox, newest first."""
    return await inbox.page(caller, asked)


@router.post("/read-all", responses=problems(*WRITE))
async def read_all(caller: Viewer) -> Read:
    """Mark everything as read."""
    return await inbox.read_all(caller)


@router.post("/{id}/read", response_model=Notification, responses=problems(*WRITE, NotFound))
async def read_one(caller: Viewer, notification_id: NotificationId) -> Response:
    """Mark one line as read."""
    return await inbox.read_one(caller, notification_id)
