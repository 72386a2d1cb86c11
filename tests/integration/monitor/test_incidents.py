"""Incidents: one for a cause, with a beginning and an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from libs.common.messages.monitor import ListIncidents
from libs.common.messages.orders import ConcernEnded, ConcernRaised
from libs.common.metrics import METRICS
from libs.common.testing import TestDatabase, eventually
from services.monitor import answers, store_incidents
from services.monitor.counting import count_incidents
from services.monitor.handlers import on_concern_ended, on_concern_raised
from tests.integration.monitor.house import House, a_fact, a_house, around

pytestmark = pytest.mark.integration
AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CONCERN: dict[str, Any] = {
    "concern_key": "naked:ann-1",
    "kind": "naked",
    "severity": "critical",
    "text": "no stop rests for SPY",
    "trade_id": "ann-1",
    "since_at": AT,
}


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    async with a_house(database) as made:
        yield made


async def raised(house: House, version: int) -> None:
    fact = ConcernRaised(**CONCERN)
    await on_concern_raised(fact, around(fact, key_version=version), house.deps)


async def ended(house: House, version: int) -> None:
    fact = ConcernEnded(**CONCERN, ended_at=datetime.now(UTC))
    await on_concern_ended(fact, around(fact, key_version=version), house.deps)


async def incidents(
    house: House, *, is_open: bool | None = None, trade_id: str | None = None, user: str = "ann"
) -> list[dict[str, Any]]:
    query = ListIncidents(open=is_open, trade_id=trade_id)
    found: list[dict[str, Any]] = (await answers.list_incidents(query, around(a_fact(), user=user), house.deps))[
        "incidents"
    ]
    return found


async def test_a_concern_opens_one_incident_however_often_it_is_raised(house: House) -> None:
    await raised(house, 1)
    await raised(house, 1)
    await raised(house, 2)
    (incident,) = await incidents(house, is_open=True)
    assert (incident["kind"], incident["opened_at"], incident["ended_at"]) == ("naked", AT, None)
    assert len(await house.said("evt.ann.monitor.incident_opened")) == 1


async def test_its_end_is_said_once_and_it_may_begin_again(house: House) -> None:
    await raised(house, 1)
    await ended(house, 2)
    await ended(house, 2)
    assert await incidents(house, is_open=True) == []
    assert len(await house.said("evt.ann.monitor.incident_ended")) == 1
    await raised(house, 3)
    assert len(await incidents(house)) == 2


async def test_an_end_that_comes_first_keeps_the_beginning_out(house: House) -> None:
    await ended(house, 2)
    await raised(house, 1)
    assert await incidents(house, is_open=True) == []


async def test_nobody_sees_anothers_incidents(house: House) -> None:
    await raised(house, 1)
    assert await incidents(house, user="bob") == []


async def test_the_incidents_of_one_trade_can_be_asked_for(house: House) -> None:
    await raised(house, 1)
    assert len(await incidents(house, trade_id="ann-1")) == 1
    assert await incidents(house, trade_id="ann-2") == []


async def test_open_incidents_are_counted_by_kind_until_they_end(house: House) -> None:
    def counted() -> float | None:
        return METRICS.registry.get_sample_value("bookend_incidents_open", {"kind": "naked"})

    async def counts(wanted: float) -> None:
        counting = asyncio.ensure_future(count_incidents(house.deps))
        try:
            await eventually(lambda: counted() == wanted)
        finally:
            counting.cancel()

    await raised(house, 1)
    await counts(1)
    async with house.db.for_worker() as unit:
        assert await store_incidents.open_by_kind(unit) == {"naked": 1}
    await ended(house, 2)
    async with house.db.for_worker() as unit:
        assert await store_incidents.open_by_kind(unit) == {}
