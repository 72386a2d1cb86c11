"""Forensics, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.service import Chassis, Service
from services.forensics.deps import Deps
from services.forensics.handlers import get_outcome, get_status, on_trade_over
from services.forensics.settings import Settings


@asynccontextmanager
async def opened(chassis: Chassis) -> AsyncIterator[Deps]:
    """Open what the handlers stand on."""
    yield Deps(db=chassis.db, clock=chassis.clock)


def build(settings: Settings) -> Service:
    """Describe the service."""
    return Service(
        name="forensics",
        settings=settings,
        open=opened,
        answers=(get_outcome, get_status),
        consumers=(on_trade_over,),
    )
