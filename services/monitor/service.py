"""Monitor, wired."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.broker.base import BrokerMode
from libs.broker.breaker import Breakers
from libs.broker.budget_shared import opened_budget
from libs.broker.factory import BrokerFactory
from libs.broker.venue_clock import VenueClocks
from libs.common.service import Chassis, Service
from libs.common.vault import Vault
from services.monitor import answers, handlers
from services.monitor.access import Access
from services.monitor.counting import count_incidents
from services.monitor.deps import Deps
from services.monitor.looking import look_at
from services.monitor.settings import Settings
from services.monitor.stream import follow_account
from services.monitor.sync import sync_orders, sync_portfolio


@asynccontextmanager
async def opened(chassis: Chassis) -> AsyncIterator[Deps]:
    """Open what the handlers stand on."""
    settings: Settings = chassis.settings
    vault = Vault(settings.encryption_key.get_secret_value())
    elsewhere = settings.tradier_stream_url
    stream_urls = dict.fromkeys((BrokerMode.TRADIER_SANDBOX, BrokerMode.TRADIER_LIVE), elsewhere) if elsewhere else {}
    async with opened_budget(chassis.streams, settings, chassis.clock) as budget:
        factory = BrokerFactory(
            chassis.http, settings.base_urls, budget, stream_urls=stream_urls, breakers=Breakers.of(settings)
        )
        yield Deps(
            db=chassis.db,
            bus=chassis.bus,
            clock=chassis.clock,
            settings=settings,
            access=Access(chassis.bus, factory, vault, chassis.clock),
            venues=VenueClocks(chassis.clock),
        )


def build(settings: Settings) -> Service:
    """Describe the service."""
    return Service(
        name="monitor",
        settings=settings,
        open=opened,
        answers=(
            answers.sync_now,
            answers.get_sync_status,
            answers.list_accounts,
            answers.get_account,
            answers.list_executions,
            answers.list_incidents,
            answers.get_status,
        ),
        consumers=(
            handlers.on_trade,
            handlers.on_concern_raised,
            handlers.on_concern_ended,
            handlers.on_credentials_changed,
        ),
        hears=(handlers.on_marks,),
        jobs=(sync_orders, sync_portfolio, look_at, follow_account),
        background=(
            handlers.rebuild,
            count_incidents,
        ),
    )
