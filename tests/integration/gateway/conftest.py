"""One running gateway for all tests of this folder; a test that needs another asks for its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from libs.common.testing import TestDatabase
from tests.integration.gateway.house import House, own_nats, running


@pytest.fixture(scope="session")
async def gateway(migrated: TestDatabase, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    with own_nats(tmp_path_factory.mktemp("gateway-nats")) as nats:
        async with running(migrated, nats) as house:
            yield house


@pytest.fixture
async def house(gateway: House, database: TestDatabase) -> AsyncIterator[House]:
    """Return the running gateway with an empty database and nobody answering."""
    del database
    gateway.answers.clear()
    gateway.asked.clear()
    yield gateway
    await gateway.close_clients()
