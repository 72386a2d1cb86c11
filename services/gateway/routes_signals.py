"""Signals of bots: publish over HTTP, list, approve, reject. Orders answers."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response
from pydantic import StringConstraints

from libs.common.errors import (
    ContractInUse,
    KillSwitchOn,
    LimitExceeded,
    LiveNotEnabled,
    MarketClosed,
    Throttled,
    UpstreamAuth,
    UpstreamRefused,
)
from libs.common.messages.signals import ApproveSignal, ListSignals, PublishSignal, RejectSignal
from services.gateway.declared import FLOW, READ, operation_name, problems
from services.gateway.models_base import TradeId
from services.gateway.models_signals import PublishAsked, Signal, SignalBody, SignalList, SignalsAsked
from services.gateway.permissions import Signaller, Trader, Viewer

router = APIRouter(prefix="/api/signals", tags=["signals"], generate_unique_id_function=operation_name)

Id = Annotated[TradeId, Path(alias="id")]
Key = Annotated[
    str,
    Header(alias="Idempotency-Key", description="Not needed: a signal is decided once, however often this is asked."),
    StringConstraints(pattern=r"^[A-Za-z0-9._:-]{0,128}$"),
]

PLACED = {
    **problems(
        *FLOW, Throttled, LiveNotEnabled, MarketClosed, ContractInUse, LimitExceeded, KillSwitchOn, UpstreamRefused,
        UpstreamAuth,
    ),
    202: {"model": Signal, "description": "Waits for approval, or its entry is still being placed"},
}  # fmt: skip


@router.post("", status_code=201, response_model=Signal, responses=PLACED)
async def publish_signal(caller: Signaller, asked: Annotated[PublishAsked, Query()], body: SignalBody) -> Response:
    """Publish a signal: 201 it became a trade, 202 it waits; the same signal_id again tells what became of it."""
    values = body.model_dump(mode="json", exclude_none=True)
    return await caller.ask(PublishSignal(bot=asked.bot, body=values))


@router.get("", response_model=SignalList, responses=problems(*READ))
async def list_signals(caller: Viewer, asked: Annotated[SignalsAsked, Query()]) -> Response:
    """List signals, newest first, those that wait with their contract's quote."""
    return await caller.ask(ListSignals(**asked.model_dump()))


@router.post("/{id}/approve", response_model=Signal, responses=PLACED)
async def approve_signal(caller: Trader, signal_id: Id, key: Key = "") -> Response:
    """Let a waiting signal become a trade: 200 it did, 202 it is on its way; else what refused it."""
    return await caller.ask(ApproveSignal(id=signal_id, idempotency_key=key, by_program=caller.by_key))


@router.post("/{id}/reject", response_model=Signal, responses=problems(*FLOW))
async def reject_signal(caller: Trader, signal_id: Id, key: Key = "") -> Response:
    """Refuse a waiting signal."""
    return await caller.ask(RejectSignal(id=signal_id, idempotency_key=key))
