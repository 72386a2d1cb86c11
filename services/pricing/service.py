"""Pricing, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.broker.base import BrokerMode
from libs.broker.budget import Budget
from libs.broker.budget_shared import opened_budget
from libs.broker.factory import BrokerFactory
from libs.common.service import Chassis, Service
from services.pricing.chain import Chains
from services.pricing.deps import Deps
from services.pricing.feed import Feed
from services.pricing.feed_orats import OratsFeed
from services.pricing.feed_tradier import TradierFeed
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


def feed_of(chassis: Chassis, budget: Budget) -> Feed:
    """Choose the vendor: ORATS, unless there is a key for Tradier's market data only."""
    settings: Settings = chassis.settings
    token = settings.tradier_market_token.get_secret_value()
    if settings.orats_token.get_secret_value() or not token:
        return OratsFeed(chassis.http, settings)
    is_delayed = "sandbox" in settings.tradier_market_url
    mode = BrokerMode.TRADIER_SANDBOX if is_delayed else BrokerMode.TRADIER_LIVE
    broker = BrokerFactory(chassis.http, {mode: settings.tradier_market_url}, budget).get_broker(mode, "", token)
    most = settings.tradier_market_requests_per_min
    return TradierFeed(broker, chassis.clock, is_delayed=is_delayed, requests_per_min=most)


@asynccontextmanager
async def opened(chassis: Chassis) -> AsyncIterator[Deps]:
    """Open what the handlers stand on."""
    settings: Settings = chassis.settings
    async with opened_budget(chassis.streams, settings, chassis.clock) as budget:
        feed = feed_of(chassis, budget)
        broker = None
        if settings.simulator_url:
            factory = BrokerFactory(chassis.http, {BrokerMode.PAPER: settings.simulator_url}, budget)
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
