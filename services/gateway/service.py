"""The gateway, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.knocks import Knocks
from libs.common.service import Chassis, Service
from services.gateway import application, bots, handlers, upkeep
from services.gateway.crowd import Crowd
from services.gateway.deps import Deps, Outages
from services.gateway.fanout import Hub
from services.gateway.following import Following
from services.gateway.passwords import Passwords
from services.gateway.settings import GatewaySettings
from services.gateway.turns import Turns


@asynccontextmanager
async def opened(chassis: Chassis) -> AsyncIterator[Deps]:
    """Open what routes and handlers stand on."""
    settings: GatewaySettings = chassis.settings
    hub = Hub(chassis.clock, per_user=settings.streams_per_user)
    yield Deps(
        settings=settings,
        db=chassis.db,
        bus=chassis.bus,
        clock=chassis.clock,
        passwords=Passwords(memory_kib=settings.argon2_memory_kib, rounds=settings.argon2_rounds),
        turns=Turns(),
        hub=hub,
        following=Following(chassis.bus, chassis.streams, hub, chassis.clock),
        outages=Outages(),
        stopping=chassis.stopping,
        crowd=Crowd(),
        knocks=Knocks(window_s=10.0),
    )


def build(settings: GatewaySettings) -> Service:
    """Describe the service."""
    return Service(
        name="gateway",
        settings=settings,
        open=opened,
        consumers=(handlers.on_order, handlers.on_incident, handlers.on_trade),
        hears=(handlers.on_prices, handlers.on_sync, handlers.on_banner),
        jobs=(upkeep.forget,),
        routes=application.make,
        background=(
            upkeep.follow,
            upkeep.keep_awake,
            upkeep.check_rights,
            upkeep.end_with_us,
            upkeep.plan,
            bots.admit,
            bots.check_rights,
        ),
    )
