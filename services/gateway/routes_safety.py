"""The kill switch, and what a trade would use of each limit before it is sent. Orders answers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from libs.common.errors import UpstreamAuth, UpstreamRefused
from libs.common.messages.safety import CheckTrade, GetKillSwitch, KillSwitch
from services.gateway.declared import READ, WRITE, operation_name, problems
from services.gateway.models_actions import PlaceBody
from services.gateway.models_safety import KillBody, KillState, TradeCheck
from services.gateway.permissions import Trader, Viewer

router = APIRouter(prefix="/api", tags=["safety"], generate_unique_id_function=operation_name)


@router.post("/kill-switch", response_model=KillState, responses=problems(*WRITE))
async def turn_kill_switch(caller: Trader, body: KillBody) -> Response:
    """Engage: no entry is sent any more, each is cancelled and every holding sold. Release: entries may be sent."""
    return await caller.ask(KillSwitch(action=body.action))


@router.get("/kill-switch", response_model=KillState, responses=problems(*READ))
async def get_kill_switch(caller: Viewer) -> Response:
    """Show the switch and what it still has to end."""
    return await caller.ask(GetKillSwitch())


@router.post("/trades/check", response_model=TradeCheck, responses=problems(*READ, UpstreamAuth, UpstreamRefused))
async def check_trade(caller: Trader, body: PlaceBody) -> Response:
    """Tell how much of each limit a trade would use, and what would refuse it. Sends nothing."""
    wanted = {
        name: value for name, value in body.model_dump(exclude_unset=True).items() if name in CheckTrade.model_fields
    }
    return await caller.ask(CheckTrade(by_program=caller.by_key, **wanted))
