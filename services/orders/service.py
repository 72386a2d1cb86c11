"""Puts orders together: every handler and job is listed here, importing registers nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.broker.breaker import Breakers
from libs.broker.budget_shared import opened_budget
from libs.broker.factory import BrokerFactory
from libs.common.service import Chassis, Service
from libs.common.vault import Vault
from services.orders import (
    counting,
    expiry,
    fees,
    handlers_actions,
    handlers_audit,
    handlers_credentials,
    handlers_facts,
    handlers_place,
    handlers_queries,
    handlers_repairs,
    handlers_resolve,
    handlers_safety,
    handlers_settings,
    handlers_signals,
    kills,
    marks,
    recovery,
    stops,
    upkeep,
)
from services.orders.deps import Deps
from services.orders.news import News
from services.orders.settings import Settings


def build(settings: Settings) -> Service:
    """Describe the service."""
    return Service(
        name="orders",
        settings=settings,
        open=opened,
        answers=(
            handlers_place.place_trade,
            handlers_actions.close_trade,
            handlers_actions.adjust_trade,
            handlers_actions.withdraw_trade,
            handlers_resolve.resolve_trade,
            handlers_repairs.repair_trade,
            handlers_safety.kill_switch,
            handlers_safety.get_kill_switch,
            handlers_safety.check_trade,
            handlers_settings.get_trading_settings,
            handlers_settings.update_trading_settings,
            handlers_credentials.store_credentials,
            handlers_credentials.test_credentials,
            handlers_credentials.remove_credentials,
            handlers_credentials.get_broker_access,
            handlers_audit.list_audit,
            handlers_signals.publish_signal,
            handlers_signals.approve_signal,
            handlers_signals.reject_signal,
            handlers_signals.list_signals,
            handlers_queries.list_trades,
            handlers_queries.list_history,
            handlers_queries.export_trades,
            handlers_queries.list_tracked,
            handlers_queries.get_trade,
            handlers_queries.get_timeline,
            handlers_queries.get_context,
            handlers_queries.get_status,
        ),
        consumers=(handlers_facts.on_order_changed, handlers_facts.on_user_registered, handlers_signals.on_signal),
        hears=(marks.on_marks,),
        jobs=(
            recovery.advance,
            recovery.recover,
            recovery.watch,
            expiry.find,
            expiry.settle,
            stops.find,
            stops.look,
            fees.find,
            fees.read,
            kills.kill,
            handlers_signals.see_to,
            upkeep.forget,
        ),
        background=(
            _standing_jobs,
            _follow_news,
            counting.count_unknown,
            counting.count_unreadable,
        ),
    )


@asynccontextmanager
async def opened(chassis: Chassis) -> AsyncIterator[Deps]:
    """Yield what handlers stand on; flows that outlive their request end before the process does."""
    settings: Settings = chassis.settings
    async with opened_budget(chassis.streams, settings, chassis.clock) as budget, asyncio.TaskGroup() as tasks:
        factory = BrokerFactory(
            chassis.http,
            settings.base_urls,
            budget,
            settings.deadlines,
            live_enabled=True,
            breakers=Breakers.of(settings),
        )
        yield Deps(
            db=chassis.db,
            bus=chassis.bus,
            clock=chassis.clock,
            beats=chassis.beats,
            settings=settings,
            factory=factory,
            vault=Vault(settings.encryption_key.get_secret_value()),
            news=News(chassis.bus, every_s=settings.order_waits.away_read_s),
            tasks=tasks,
        )


async def _follow_news(deps: Deps) -> None:
    await deps.news.follow()


async def _standing_jobs(deps: Deps) -> None:
    """Plan the standing jobs once the database answers."""
    await deps.db.reached()
    await recovery.plan_jobs(deps)
    await expiry.plan_jobs(deps)
    await stops.plan_jobs(deps)
    await fees.plan_jobs(deps)
    await upkeep.plan_jobs(deps)
