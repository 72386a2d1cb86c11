"""Settings and broker credentials."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from libs.common.errors import Conflict, ContractInUse, LiveNotEnabled, NotFound, UpstreamAuth, UpstreamRefused
from libs.common.messages.accounts import RemoveCredentials
from libs.common.messages.orders import StoreCredentials, TestCredentials
from libs.common.messages.vocabulary import BrokerMode
from services.gateway import preferences
from services.gateway.declared import READ, WRITE, operation_name, problems
from services.gateway.models_base import AccountId
from services.gateway.models_settings import (
    Credentials,
    CredentialsBody,
    CredentialsTest,
    Settings,
    SettingsBody,
    TestBody,
)
from services.gateway.permissions import Admin, Viewer

router = APIRouter(prefix="/api/settings", tags=["settings"], generate_unique_id_function=operation_name)

Account = Annotated[AccountId, Path()]

AT_THE_BROKER = (*WRITE, LiveNotEnabled, NotFound, Conflict, ContractInUse, UpstreamAuth, UpstreamRefused)


@router.get("", response_model=Settings, responses=problems(*READ))
async def get_settings(caller: Viewer) -> Response:
    """Show all settings."""
    return await preferences.show(caller)


@router.put("", response_model=Settings, responses=problems(*AT_THE_BROKER))
async def put_settings(caller: Admin, body: SettingsBody) -> Response:
    """Change any subset: all of it or, when something is refused, nothing."""
    return await preferences.change(caller, body)


@router.put("/credentials", response_model=Credentials, responses=problems(*AT_THE_BROKER))
async def put_credentials(caller: Admin, body: CredentialsBody) -> Response:
    """Keep a broker token, once the broker has said whose it is. It is never shown again."""
    return await caller.ask(StoreCredentials(**body.model_dump()))


@router.delete(
    "/credentials/{broker_mode}/{account_id}", status_code=204, responses=problems(*WRITE, NotFound, Conflict)
)
async def remove_credentials(caller: Admin, broker_mode: BrokerMode, account_id: Account) -> None:
    """Forget a broker token. Refused while a trade of the account is open: its token can only be renewed."""
    await caller.ask(RemoveCredentials(broker_mode=broker_mode, account_id=account_id))


@router.post("/credentials/test", response_model=CredentialsTest, responses=problems(*AT_THE_BROKER))
async def test_credentials(caller: Admin, body: TestBody) -> Response:
    """Ask the broker whose token this is, or whether the stored one still works."""
    return await caller.ask(TestCredentials(**body.model_dump(exclude={"account_name", "confirm"})))
