"""Pricing, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.broker.base import BrokerMode
from libs.broker.factory import BrokerFactory
from libs.common.service import Chassis, Service
from services.pricing.chain import Chains
from services.pricing.deps import Deps
from services.pricing.feed import Feed
from services.pricing.handlers import (
    get_chain,
    get_market_status,
    get_snapshots,
    get_status,
    list_expirations,
    on_trade,
    rebuild,
)
from services.pricing.settings import Settings
from services.pricing.snapshots import snapshot_cycle
from services.pricing.venue import Venue

CLOCK_TOKEN = "bookend-pricing"  # noqa: S105 - any token may read the bundled market's clock


@asynccontextmanager
async def opened(chassis: Chassis) -> AsyncIterator[Deps]:
    """Open what the handlers stand on."""
    settings: Settings = chassis.settings
    feed = Feed(chassis.http, settings)
    broker = None
    if settings.simulator_url:
        factory = BrokerFactory(chassis.http, {BrokerMode.PAPER: settings.simulator_url})
        broker = factory.get_broker(BrokerMode.PAPER, "", CLOCK_TOKEN)
    yield Deps(
        db=chassis.db,
        bus=chassis.bus,
        clock=chassis.clock,
        settings=settings,
        feed=feed,
        chains=Chains(chassis.db, feed, chassis.clock, settings),
        venue=Venue(chassis.clock, broker),
    )


def build(settings: Settings) -> Service:
    """Describe the service."""
    return Service(
        name="pricing",
        settings=settings,
        open=opened,
        answers=(get_chain, get_market_status, get_snapshots, get_status, list_expirations),
        consumers=(on_trade,),
        jobs=(snapshot_cycle,),
        background=(rebuild,),
    )
