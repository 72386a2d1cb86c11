"""One house a test: orders on the session's servers, a fresh user, a fresh world."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from libs.broker.base import BrokerMode as Venue
from libs.common.testing import TestDatabase
from tests.copies import copies
from tests.integration.orders.house import House, a_house
from tests.integration.orders.lanes import LANES, Lane
from tests.integration.orders.outside import Sim


@pytest.fixture
async def world(simulator: str) -> str:
    """Return the simulator, started over."""
    async with httpx.AsyncClient(base_url=simulator, trust_env=False, verify=False) as http:
        (await http.post("/_control/reset", json={})).raise_for_status()
    return simulator


@pytest.fixture
def otoco(request: pytest.FixtureRequest) -> str:
    """Return how limit entries are sent: alone, unless a test asks for both ways with `EITHER_WAY`."""
    return getattr(request, "param", "off")


@pytest.fixture
async def house(database: TestDatabase, world: str, otoco: str) -> AsyncIterator[House]:
    """Return orders with one user in PAPER."""
    async with a_house(database, world, otoco=otoco) as made:
        yield made


@pytest.fixture
async def desk(database: TestDatabase, world: str, live_simulator: str) -> AsyncIterator[House]:
    """Return orders for whom one simulator is Tradier's sandbox, and another Tradier itself."""
    live = Sim(live_simulator)
    await live.control("reset")
    await live.control("toggles", token_prefix="live-")
    async with a_house(
        database, world, venues={Venue.TRADIER_SANDBOX: world, Venue.TRADIER_LIVE: live_simulator}
    ) as made:
        await made.sim.control("toggles", token_prefix="sandbox-")
        yield made
        await made.sim.control("toggles", token_prefix="")
    await live.aclose()


@pytest.fixture(scope="session")
async def databases(migrated: TestDatabase) -> list[TestDatabase]:
    """Copy the session's database for cases that play side by side."""
    return await copies(migrated, LANES)


@pytest.fixture
async def lanes(databases: list[TestDatabase], world: str) -> tuple[Lane, ...]:
    """Return the places for cases side by side, in a world started over."""
    return tuple(Lane(number, database, world) for number, database in enumerate(databases))
