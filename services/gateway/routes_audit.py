"""The audit of the user's own account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from services.gateway import audit
from services.gateway.declared import READ, operation_name, problems
from services.gateway.models_auth import Audit, AuditAsked
from services.gateway.permissions import Admin

router = APIRouter(prefix="/api/audit", tags=["audit"], generate_unique_id_function=operation_name)


@router.get("", response_model=Audit, responses=problems(*READ))
async def list_audit(caller: Admin, asked: Annotated[AuditAsked, Query()]) -> Response:
    """List who did what to the account: sign-ins, keys, settings, limits, modes, credentials; newest first."""
    return await audit.page(caller, asked)
