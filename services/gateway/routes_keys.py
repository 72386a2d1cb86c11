"""API keys: list, make, revoke."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import StringConstraints

from libs.common.errors import LimitExceeded, NotFound
from services.gateway import keys
from services.gateway.declared import READ, WRITE, operation_name, problems
from services.gateway.models_auth import KeyBody, Keys, NewKey
from services.gateway.permissions import Admin

router = APIRouter(prefix="/api/keys", tags=["keys"], generate_unique_id_function=operation_name)

KeyId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$"), Path(alias="id")]


@router.get("", responses=problems(*READ))
async def list_keys(caller: Admin) -> Keys:
    """List the keys that are not revoked."""
    return await keys.all_of(caller)


@router.post("", status_code=201, responses=problems(*WRITE, LimitExceeded))
async def make_key(caller: Admin, body: KeyBody) -> NewKey:
    """Make a key; its secret is shown this once."""
    return await keys.make(caller, body)


@router.delete("/{id}", status_code=204, responses=problems(*WRITE, NotFound))
async def revoke_key(caller: Admin, key_id: KeyId) -> None:
    """Revoke a key; its streams end at once."""
    await keys.revoke(caller, key_id)
