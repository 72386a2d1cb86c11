"""A storm of hints makes few reads, and the last hint is always followed by one."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.broker.orders import OrderStatus
from libs.common.testing import eventually
from services.monitor.hints import QUIET_S, SLOWEST_S, Gathered, is_urgent, next_gap_s


@given(st.floats(0, 1), st.floats(0, 0.5), st.floats(0, 10))
def test_a_gap_is_never_longer_than_the_slowest(gap_s: float, first_s: float, quiet_s: float) -> None:
    assert next_gap_s(gap_s, first_s, quiet_s) <= SLOWEST_S
    assert next_gap_s(gap_s, first_s, QUIET_S) == first_s


def test_an_hour_of_storm_makes_about_one_read_a_second() -> None:
    gap_s, passed_s, reads = 0.02, 0.0, 0
    while passed_s < 3600:
        gap_s = next_gap_s(gap_s, 0.02, quiet_s=0.0)
        passed_s += gap_s
        reads += 1
    assert reads < 3620


async def test_a_burst_is_read_few_times_and_after_its_end() -> None:
    gathered, reads, noted = Gathered(0.01), [], 0

    async def read() -> bool:
        reads.append(noted)
        return True

    telling = asyncio.create_task(gathered.tell(read))
    for _ in range(200):
        noted += 1
        gathered.note()
        await asyncio.sleep(0)
    await eventually(lambda: reads and reads[-1] == 200)
    telling.cancel()
    assert len(reads) <= 3


async def test_a_read_that_could_not_be_asked_for_is_asked_for_again() -> None:
    gathered, tries = Gathered(0.001), []

    async def read() -> bool:
        tries.append(1)
        return len(tries) > 2

    telling = asyncio.create_task(gathered.tell(read))
    gathered.note()
    await eventually(lambda: len(tries) == 3)
    telling.cancel()


async def test_a_calm_hint_waits_for_more_and_an_urgent_one_ends_the_wait() -> None:
    gathered, reads = Gathered(0.0, 30.0), []

    async def read() -> bool:
        reads.append(1)
        return True

    telling = asyncio.create_task(gathered.tell(read))
    gathered.note(is_urgent=False)
    for _ in range(20):
        await asyncio.sleep(0)
    assert reads == []
    gathered.note()
    await eventually(lambda: len(reads) == 1)
    telling.cancel()


async def test_a_calm_hint_is_read_after_its_wait_though_nothing_urgent_comes() -> None:
    gathered, reads = Gathered(0.0, 0.02), []

    async def read() -> bool:
        reads.append(1)
        return True

    telling = asyncio.create_task(gathered.tell(read))
    gathered.note(is_urgent=False)
    await eventually(lambda: len(reads) == 1)
    telling.cancel()


@pytest.mark.parametrize("status", OrderStatus)
def test_whatever_may_have_executed_or_been_refused_is_urgent(status: OrderStatus) -> None:
    calm = status in {"pending", "held", "open", "pending_cancel", "cancelled"}
    assert is_urgent(status) is not calm
