"""The state of the house, merged from every service."""

from __future__ import annotations

from fastapi import APIRouter

from services.gateway import health
from services.gateway.declared import READ, operation_name, problems
from services.gateway.models_system import SystemStatus
from services.gateway.permissions import Viewer

router = APIRouter(prefix="/api/system", tags=["system"], generate_unique_id_function=operation_name)


@router.get("/status", responses=problems(*READ))
async def system_status(caller: Viewer) -> SystemStatus:
    """Tell banners, the age of each feed and which services answer, as far as it is known."""
    return await health.status(caller)
