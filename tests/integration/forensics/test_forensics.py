"""Outcomes against real PostgreSQL: exactly once under repeats and replay."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.common.clock import SystemClock
from libs.common.errors import NotFound
from libs.common.handlers import Context
from libs.common.ids import new_id
from libs.common.messages.forensics import GetOutcome
from libs.common.messages.orders import TradeChanged, TradeClosed, TradeFact
from libs.common.testing import TestDatabase
from services.forensics import handlers
from services.forensics.deps import Deps
from tests.unit.forensics.test_outcomes import a_trade

pytestmark = pytest.mark.integration


@dataclass
class House:
    deps: Deps
    database: TestDatabase


@pytest.fixture
async def house(database: TestDatabase) -> AsyncIterator[House]:
    async with database.opened("forensics") as db:
        yield House(Deps(db=db, clock=SystemClock()), database)


def around(fact: TradeFact | None = None, *, user: str = "ann") -> Context:
    return Context(
        id=new_id(),
        user=user,
        correlation_id="c",
        occurred_at=datetime.now(UTC),
        key=fact.key if fact else None,
        key_version=fact.key_version if fact else None,
        consumer="forensics-orders",
    )


def closed(kind: type[TradeFact] = TradeClosed, trade_id: str = "t1", **changes: object) -> TradeFact:
    return kind.model_validate({**a_trade(id=trade_id, **changes).model_dump(), "trade_id": trade_id})


async def test_repeats_and_any_order_leave_one_row_of_the_newest(house: House) -> None:
    facts = [
        closed(trade_id=f"t{n}", key_version=version, realized_pnl=Decimal(version))
        for n in range(5)
        for version in (7, 8, 9)
    ] * 3
    random.Random(7).shuffle(facts)
    for fact in facts:
        await handlers.on_trade_over(fact, around(fact), house.deps)
    async with house.database.admin() as admin:
        rows = await admin.fetch("select trade_id, key_version, realized_pnl from forensics.outcomes order by 1")
    assert [tuple(row) for row in rows] == [(f"t{n}", 9, Decimal(9)) for n in range(5)]


async def test_a_correction_replaces_the_result(house: House) -> None:
    fact = closed()
    await handlers.on_trade_over(fact, around(fact), house.deps)
    later = closed(TradeChanged, key_version=8, realized_pnl=Decimal("358.70"))
    await handlers.on_trade_over(later, around(later), house.deps)
    outcome = await handlers.get_outcome(GetOutcome(trade_id="t1"), around(), house.deps)
    assert outcome["realized_pnl"] == Decimal("358.70")


async def test_nobody_reads_anothers_outcome(house: House) -> None:
    fact = closed()
    await handlers.on_trade_over(fact, around(fact), house.deps)
    with pytest.raises(NotFound):
        await handlers.get_outcome(GetOutcome(trade_id="t1"), around(user="bob"), house.deps)
