"""Broker accounts: warm cache, sync, executions, incidents. Monitor answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from libs.common.errors import NotFound
from libs.common.messages.monitor import (
    GetAccount,
    GetSyncStatus,
    ListAccounts,
    ListExecutions,
    ListIncidents,
    SyncNow,
)
from services.gateway import exports
from services.gateway.declared import READ, WRITE, operation_name, problems
from services.gateway.models_account import (
    Account,
    AccountAsked,
    Accounts,
    Executions,
    ExecutionsAsked,
    Incidents,
    IncidentsAsked,
    SyncBegun,
    SyncStatus,
)
from services.gateway.models_trades import ExportAsked
from services.gateway.permissions import Trader, Viewer

router = APIRouter(prefix="/api", tags=["account"], generate_unique_id_function=operation_name)


@router.get("/accounts", response_model=Accounts, responses=problems(*READ))
async def list_accounts(caller: Viewer) -> Response:
    """List the user's accounts."""
    return await caller.ask(ListAccounts())


@router.get("/account", response_model=Account, responses=problems(*READ, NotFound))
async def get_account(caller: Viewer, asked: Annotated[AccountAsked, Query()]) -> Response:
    """Show one account from the warm cache."""
    return await caller.ask(GetAccount(account_id=asked.account_id))


@router.post("/sync", status_code=202, response_model=SyncBegun, responses=problems(*WRITE, NotFound))
async def sync_now(caller: Trader, asked: Annotated[AccountAsked, Query()]) -> Response:
    """Read all accounts at the broker now; progress comes on the stream."""
    return await caller.ask(SyncNow(account_id=asked.account_id))


@router.get("/sync/status", response_model=SyncStatus, responses=problems(*READ))
async def sync_status(caller: Viewer) -> Response:
    """Tell how old each account's data is."""
    return await caller.ask(GetSyncStatus())


@router.get("/executions", response_model=Executions, responses=problems(*READ))
async def list_executions(caller: Viewer, asked: Annotated[ExecutionsAsked, Query()]) -> Response:
    """List fills, newest first."""
    return await caller.ask(ListExecutions(**asked.model_dump()))


@router.get("/executions/export", response_class=Response, responses={**problems(*READ), 200: exports.DECLARED})
async def export_executions(caller: Viewer, asked: Annotated[ExportAsked, Query()]) -> Response:
    """Stream every fill."""
    return await exports.stream(caller, exports.EXECUTIONS, ListExecutions(), asked.format)


@router.get("/incidents", response_model=Incidents, responses=problems(*READ))
async def list_incidents(caller: Viewer, asked: Annotated[IncidentsAsked, Query()]) -> Response:
    """List incidents, newest first."""
    return await caller.ask(ListIncidents(**asked.model_dump()))
