"""Processes that share one token's budget: their buses, budgets and brokers, and what the broker said of its count."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import Any

import pytest

from deploy.local.nats import EmbeddedNats
from libs.broker.base import BrokerMode, BrokerProvider, Priority
from libs.broker.budget import RateClass
from libs.broker.budget_entries import SharedEntries
from libs.broker.budget_shared import SharedBudget, budget_over
from libs.broker.factory import BrokerFactory
from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.errors import UpstreamUnavailable
from libs.common.http import HttpClient
from libs.common.http_limits import RateReading
from libs.common.streams import Streams
from libs.common.testing import eventually
from tests.contract.venue import Venue
from tests.integration.chassis.buses import bus_of

SERVICES = ("orders", "orders", "monitor", "monitor")
_tokens = count(8001)


class Heard:
    """A budget whose readings are remembered."""

    def __init__(self, budget: SharedBudget, readings: list[tuple[RateClass, RateReading]]) -> None:
        self._budget, self._readings = budget, readings

    async def take(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Take a request. Raises: UpstreamUnavailable."""
        await self._budget.take(token_hash, rate_class, priority)

    def foresee(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Hand on."""
        self._budget.foresee(token_hash, rate_class, priority)

    def observed(self, token_hash: str, rate_class: RateClass, reading: RateReading) -> None:
        """Remember and hand on."""
        self._readings.append((rate_class, reading))
        self._budget.observed(token_hash, rate_class, reading)

    async def left(self, token_hash: str, rate_class: RateClass, priority: Priority, within_s: float) -> int:
        """Say what is left."""
        return await self._budget.left(token_hash, rate_class, priority, within_s)


class Contenders:
    """Four processes' brokers for one account."""

    def __init__(self, http: HttpClient, url: str) -> None:
        self.http = http
        self.venue = Venue(http, url, f"budget-{next(_tokens)}")
        self.readings: list[tuple[RateClass, RateReading]] = []
        self.buses: list[Bus] = []
        self.budgets: list[SharedBudget] = []
        self.factories: list[BrokerFactory] = []

    def broker(self, process: int, priority: Priority) -> BrokerProvider:
        """Return the account as one of the processes sees it."""
        made = self.factories[process].get_broker(BrokerMode.PAPER, self.venue.account_id, self.venue.token)
        return made.with_priority(priority)

    def most_used(self, rate_class: RateClass) -> int:
        """Return the greatest count that the broker named."""
        return max((reading.used for kind, reading in self.readings if kind is rate_class), default=0)

    async def rates(self, **figures: int) -> None:
        """Set what the broker allows, and let one process hear it."""
        await self.venue.control("toggles", {f"rate_{name}": figure for name, figure in figures.items()})
        await self.broker(0, Priority.POLL).balances()

    async def poll(self, process: int, times: int) -> int:
        """Ask for balances many times at once; returns how often it was answered."""
        broker = self.broker(process, Priority.POLL)
        return sum(await asyncio.gather(*(answered(broker.balances()) for _ in range(times))))

    async def starve(self) -> None:
        """Poll from all sides until the last is refused."""
        await asyncio.gather(*(self.poll(process, 40) for process in range(len(self.factories))))

    async def connected(self) -> None:
        """Wait until every process has its bus back."""
        await eventually(lambda: all(bus.connected for bus in self.buses), within_s=15.0)


async def answered(call: Awaitable[Any]) -> bool:
    """Say whether a read was answered; being throttled by the broker fails the test."""
    try:
        await call
    except UpstreamUnavailable as error:
        if "too many requests" in error.detail:
            pytest.fail("the broker answered 429")
        return False
    return True


@asynccontextmanager
async def contenders(
    nats: EmbeddedNats, simulator: str, *, services: Sequence[str] = SERVICES, clock: Clock | None = None
) -> AsyncIterator[Contenders]:
    """Start the world over and open a budget per process."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(HttpClient())
        made = Contenders(http, simulator)
        await made.venue.control("reset", {})
        for service in services:
            bus = await stack.enter_async_context(bus_of(nats, service))
            entries = SharedEntries(Streams(bus, service=service))
            budget = await stack.enter_async_context(budget_over(entries, clock=clock or SystemClock()))
            bus.on_reconnected(budget.forget_revisions)
            made.buses.append(bus)
            made.budgets.append(budget)
            heard = Heard(budget, made.readings)
            made.factories.append(BrokerFactory(http, {BrokerMode.PAPER: simulator}, heard))
        try:
            yield made
        finally:
            await made.venue.control("reset", {})
