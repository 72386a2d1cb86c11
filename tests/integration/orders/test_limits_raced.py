"""Limits under a race: placements from two replicas at once never take on more than is allowed, at no moment.

What is open is looked at from outside, by its own sums, all the while. Source: order path §5.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from itertools import cycle
from typing import Any

import pytest

from libs.common.errors import AppError, Expired, LimitExceeded, UpstreamUnavailable
from libs.common.handlers import Reply
from libs.common.messages.inputs import PlaceBody
from libs.common.messages.orders import Entry, PlaceTrade
from libs.common.messages.signals import DECIDED
from libs.common.messages.vocabulary import EntryType, OptionType
from libs.common.testing import TestDatabase, eventually
from tests.integration.orders.bots import publish, rows_of, signal
from tests.integration.orders.checker import check
from tests.integration.orders.house import House, a_house

pytestmark = pytest.mark.integration

MANY = 50
LOW = Entry(type=EntryType.LIMIT, limit_price=Decimal("3.50"))
RISK_USD = Decimal(100)
"""Of two contracts at 3.50 with a stop at 3.00."""
PREMIUM_USD = Decimal(700)

_OPEN = """
select t.created_at, t.qty, t.multiplier, coalesce(t.entry_price, t.reference_price) as price, t.sl_price, t.protection,
    exists (select from orders.broker_orders o
            where o.trade_id = t.id and o.role = 'ENTRY' and o.status in ('INTENT', 'SENT', 'UNKNOWN')) as unknown
from orders.trades t where t.username = $1 and t.status <> 'CLOSED' """


@pytest.fixture
async def replicas(database: TestDatabase, world: str) -> AsyncIterator[tuple[House, House]]:
    """Return two processes of orders, with one user."""
    async with a_house(database, world) as one, a_house(database, world, user=one.user, quote=None) as other:
        yield one, other


async def fifty(house: House) -> list[PlaceTrade]:
    """Write placements in contracts that differ, each with a pinned market."""
    commands = []
    for number in range(MANY):
        right = OptionType.CALL if number % 2 else OptionType.PUT
        house.contract = await house.sim.contract(right=right, nth=number // 2 - 12)
        await house.pin("4.00", "4.20")
        commands.append(house.placing(entry=LOW))
    return commands


@asynccontextmanager
async def never_more(house: House, *, positions: int, heat_usd: Decimal) -> AsyncIterator[list[int]]:
    """Look at what is open as often as possible, and hold it to the limits; yields how many were seen."""
    seen: list[int] = []
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            async with house.admin() as admin:
                found = [dict(row) for row in await admin.fetch(_OPEN, house.user)]
            assert len(found) <= positions, f"{len(found)} open trades"
            assert heat(found) <= heat_usd, found
            seen.append(len(found))
            await asyncio.sleep(0.005)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(look())
        try:
            yield seen
        finally:
            over.set()


def heat(found: list[dict[str, Any]]) -> Decimal:
    """Sum what may be lost. What was let in last was let in by its own stop, whatever becomes of it."""
    last = max((row["created_at"] for row in found if row["unknown"]), default=None)
    return sum((at_risk(row | {"unknown": row["unknown"] and row["created_at"] != last}) for row in found), Decimal(0))


def at_risk(row: dict[str, Any]) -> Decimal:
    """Work out what one open trade may lose, from its row alone."""
    stop = Decimal(0) if row["unknown"] or row["protection"] == "NAKED" else row["sl_price"]
    return Decimal((row["price"] - stop) * row["qty"] * row["multiplier"])


async def race(replicas: tuple[House, House], commands: list[PlaceTrade]) -> tuple[int, list[AppError]]:
    """Ask both replicas by turns, all at once; returns how many were placed, and the refusals."""
    asked = (house.ask(command) for house, command in zip(cycle(replicas), commands, strict=False))
    ends = await asyncio.gather(*asked, return_exceptions=True)
    refused = [end for end in ends if isinstance(end, AppError)]
    placed = sum(isinstance(end, Reply) for end in ends)
    assert placed + len(refused) == len(commands), ends
    return placed, refused


def limits_named(refused: list[AppError]) -> set[str]:
    """Name the limits that refused; a busy machine may also let a few come too late, of which nothing was done."""
    others = [error for error in refused if not isinstance(error, LimitExceeded)]
    assert {type(error) for error in others} <= {Expired, UpstreamUnavailable}, others
    return {error.extra["limit"] for error in refused if isinstance(error, LimitExceeded)}


async def as_signal(house: House, command: PlaceTrade) -> None:
    """Deliver a placement as a bot's signal that trades by itself, and wait until it is decided."""
    wish = command.model_dump(mode="json", include=set(PlaceBody.model_fields), exclude_none=True)
    taken = await publish(house, signal(house) | wish)
    assert taken is not None

    async def is_decided() -> bool:
        async with house.admin() as admin:
            state = await admin.fetchval("select state from orders.signals where id = $1", taken.id)
        return state in DECIDED

    await eventually(is_decided, within_s=60, every_s=0.1)


async def test_fifty_placements_and_signals_from_two_replicas_never_open_more_positions_than_allowed(
    replicas: tuple[House, House],
) -> None:
    house = replicas[0]
    commands = await fifty(house)
    await house.prefer(max_positions=7, signal_mode="auto")
    async with never_more(house, positions=7, heat_usd=7 * PREMIUM_USD) as seen:
        signals = asyncio.gather(
            *(as_signal(one, command) for one, command in zip(cycle(replicas), commands[::2], strict=False))
        )
        placed, refused = await race(replicas, commands[1::2])
        await signals
    rows = await rows_of(house)
    accepted = [row for row in rows if row["state"] == "accepted"]
    assert len(rows) == MANY // 2
    assert placed + len(accepted) == 7 == max(seen)
    assert limits_named(refused) == {"max_positions"}
    reasons = {row["reason"] for row in rows if row["code"] == "limit_exceeded"}
    assert reasons <= {"max_positions is 7; this would be 8 open trades"}
    assert {row["code"] for row in rows} <= {None, "limit_exceeded", "expired", "upstream_unavailable"}
    await check(house)


async def test_fifty_placements_from_two_replicas_never_risk_more_than_allowed(replicas: tuple[House, House]) -> None:
    house = replicas[0]
    commands = await fifty(house)
    await house.prefer(account_balance="10000", heat_limit_pct="20")
    async with never_more(house, positions=MANY, heat_usd=Decimal(2000)):
        placed, refused = await race(replicas, commands)
    assert limits_named(refused) == {"heat_limit_pct"}
    # An entry that is on its way counts with its whole premium, so not all that would fit in the end gets in at once.
    assert 2 <= placed <= 20
    await check(house)


async def test_fifty_placements_from_two_replicas_never_put_more_at_stake_than_a_day_may_lose(
    replicas: tuple[House, House],
) -> None:
    house = replicas[0]
    commands = await fifty(house)
    await house.prefer(daily_loss_limit="1000")
    async with never_more(house, positions=MANY, heat_usd=Decimal(10) * PREMIUM_USD):
        placed, refused = await race(replicas, commands)
    assert limits_named(refused) == {"daily_loss_limit"}
    async with house.admin() as admin:
        at_stake = sum(map(at_risk, map(dict, await admin.fetch(_OPEN, house.user))), Decimal(0))
    assert 1 <= placed <= 10
    assert at_stake == placed * RISK_USD
    await check(house)


async def test_entries_whose_answer_was_lost_count_with_their_whole_premium(replicas: tuple[House, House]) -> None:
    house = replicas[0]
    commands = (await fifty(house))[:20]
    await house.prefer(account_balance="10000", heat_limit_pct="20")
    await house.fault("empty_list", method="GET", path=r"/orders$", times=10_000)
    await house.fault("drop_after", path=r"/orders$", times=20)
    async with never_more(house, positions=3, heat_usd=Decimal(2000)):
        placed, refused = await race(replicas, commands)
    # Two lost ones are worth 1,400; a third fits by its stop, and a fourth would not whatever its stop.
    assert placed == 3
    assert limits_named(refused) == {"heat_limit_pct"}
