"""Several budgets over one store that loses races, forgets, hangs and goes away, and what they grant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.broker.base import Priority
from libs.broker.budget import RateClass
from libs.broker.budget_entries import Found, OwnEntries
from libs.broker.budget_shared import SharedBudget, budget_over
from libs.broker.budget_window import Limits, Window
from libs.common.errors import UpstreamUnavailable
from libs.common.http_limits import RateReading
from libs.common.testing import ManualClock, eventually

TOKEN = "0123456789abcdef"
STANDARD, TRADING = RateClass.STANDARD, RateClass.TRADING


class Store(OwnEntries):
    """A store with a moment between asking and its answer, that can fail and hold its answers back."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.open = asyncio.Event()
        self.open.set()

    async def _moment(self) -> None:
        await asyncio.sleep(0)
        await self.open.wait()
        if self.fails:
            raise UpstreamUnavailable("the bucket does not answer")

    async def read(self, key: str) -> Found:
        await self._moment()
        return await super().read(key)

    async def swap(self, key: str, window: Window, revision: int) -> int | None:
        await self._moment()
        return await super().swap(key, window, revision)

    def forget(self) -> None:
        self._kept.clear()

    def used(self, rate_class: RateClass = STANDARD) -> int:
        window, _ = self._kept[f"{TOKEN}.{rate_class}"]
        return window.used


@asynccontextmanager
async def processes(
    count: int, store: Store, clock: ManualClock, allowed: int = 60
) -> AsyncIterator[list[SharedBudget]]:
    limits = Limits(dict.fromkeys(RateClass, allowed))
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(budget_over(store, limits=limits, clock=clock)) for _ in range(count)]


async def granted(budget: SharedBudget, rate_class: RateClass, priority: Priority) -> bool:
    try:
        await budget.take(TOKEN, rate_class, priority)
    except UpstreamUnavailable:
        return False
    return True


async def count_granted(budgets: Sequence[SharedBudget], each: int, rate_class: RateClass, priority: Priority) -> int:
    asked = [granted(budget, rate_class, priority) for budget in budgets for _ in range(each)]
    return sum(await asyncio.gather(*asked))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(6, 240),
    st.lists(st.tuples(st.integers(0, 4), st.sampled_from(RateClass), st.sampled_from(Priority)), max_size=150),
)
def test_never_more_grants_than_the_ceiling_and_reserves_hold_over_any_processes(
    count: int, allowed: int, asks: list[tuple[int, RateClass, Priority]]
) -> None:
    async def scene() -> None:
        limits = Limits(dict.fromkeys(RateClass, allowed))
        asks_without_waiting_exits = [one for one in asks if one[2] is not Priority.EXIT]
        exits = [one for one in asks if one[2] is Priority.EXIT]
        async with processes(count, Store(), ManualClock(), allowed) as budgets:

            async def ask(one: tuple[int, RateClass, Priority]) -> bool:
                return await granted(budgets[one[0] % count], one[1], one[2])

            first = await asyncio.gather(*(ask(one) for one in asks_without_waiting_exits))
            seen = [one for one, ok in zip(asks_without_waiting_exits, first, strict=True) if ok]
            for rate_class in RateClass:
                for priority in (Priority.ENTRY, Priority.POLL):
                    mine = sum(one[1] is rate_class and one[2] >= priority for one in seen)
                    assert mine <= limits.limit(rate_class, priority, allowed)
            got = sum(ok for ok in await _within(exits, ask))
            assert got + len(seen) <= sum(limits.ceiling(one, allowed) for one in RateClass)

    asyncio.run(scene())


async def _within(exits: list[tuple[int, RateClass, Priority]], ask: object) -> list[bool]:
    """Ask for all exits; those that have to wait for the next window are given up."""
    assert callable(ask)
    tasks = [asyncio.ensure_future(ask(one)) for one in exits]
    if not tasks:
        return []
    done, waiting = await asyncio.wait(tasks, timeout=0.05)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    return [task.result() for task in done]


async def test_polling_stops_at_its_reserve_and_exits_go_on_to_the_ceiling() -> None:
    store = Store()
    async with processes(4, store, ManualClock()) as budgets:
        assert await count_granted(budgets, 20, STANDARD, Priority.POLL) == 30
        assert await count_granted(budgets, 5, STANDARD, Priority.EXIT) == 20
        assert store.used() == 50


async def test_what_a_flow_will_ask_soon_is_in_hand_when_it_does_and_taken_again_before_it_runs_out() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        budgets[0].foresee(TOKEN, TRADING, Priority.EXIT)
        await eventually(lambda: _is_kept(store, TRADING, 5))
        store.open.clear()
        for _ in range(5):
            assert await granted(budgets[0], TRADING, Priority.EXIT)
        store.open.set()
        await eventually(lambda: store.used(TRADING) == 10)


async def test_nothing_is_taken_ahead_for_polls_or_while_the_others_cannot_be_asked() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        budgets[0].foresee(TOKEN, STANDARD, Priority.POLL)
        store.reachable = False
        budgets[0].foresee(TOKEN, STANDARD, Priority.EXIT)
        assert await granted(budgets[0], STANDARD, Priority.EXIT)
        assert not store._kept


def _is_kept(store: Store, rate_class: RateClass, used: int) -> bool:
    return f"{TOKEN}.{rate_class}" in store._kept and store.used(rate_class) == used


async def test_an_exit_never_waits_behind_polls_that_came_before_it() -> None:
    store = Store()
    order: list[Priority] = []

    async def one(priority: Priority) -> None:
        await budgets[0].take(TOKEN, STANDARD, priority)
        order.append(priority)

    async with processes(1, store, ManualClock()) as budgets, asyncio.TaskGroup() as tasks:
        store.open.clear()
        for _ in range(12):
            tasks.create_task(one(Priority.POLL))
        await eventually(lambda: len(budgets[0]._lane(TOKEN, STANDARD).waiting) == 12)
        tasks.create_task(one(Priority.EXIT))
        await eventually(lambda: len(budgets[0]._lane(TOKEN, STANDARD).waiting) == 13)
        store.open.set()
    assert order[0] is Priority.EXIT


async def test_what_an_exit_takes_ahead_is_there_for_the_next_entry_but_not_from_what_is_kept_for_exits() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        await budgets[0].take(TOKEN, TRADING, Priority.EXIT)
        assert store.used(TRADING) == 5
        store.open.clear()
        assert await count_granted(budgets, 2, TRADING, Priority.ENTRY) == 2
        store.open.set()
        await eventually(lambda: store.used(TRADING) == 8)
        assert await count_granted(budgets, 28, TRADING, Priority.EXIT) == 28
        assert not await granted(budgets[0], TRADING, Priority.ENTRY)


async def test_what_was_taken_ahead_for_an_exit_serves_no_poll() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        await budgets[0].take(TOKEN, STANDARD, Priority.EXIT)
        assert store.used() == 5
        await budgets[0].take(TOKEN, STANDARD, Priority.POLL)
        assert store.used() == 6
        assert await count_granted(budgets, 1, STANDARD, Priority.EXIT) == 1
        assert store.used() == 6


async def test_a_used_up_window_refuses_with_the_time_it_ends_and_grants_in_the_next() -> None:
    clock = ManualClock()
    async with processes(2, Store(), clock) as budgets:
        await count_granted(budgets, 30, STANDARD, Priority.POLL)
        with pytest.raises(UpstreamUnavailable) as refused:
            await budgets[0].take(TOKEN, STANDARD, Priority.POLL)
        assert 0 < refused.value.extra["retry_after_s"] <= 60
        clock.advance(timedelta(seconds=61))
        assert await count_granted(budgets, 30, STANDARD, Priority.POLL) == 30


async def test_the_brokers_own_count_and_end_reach_every_process() -> None:
    store, clock = Store(), ManualClock()
    async with processes(2, store, clock) as (one, other):
        await one.take(TOKEN, STANDARD, Priority.POLL)
        one.observed(TOKEN, STANDARD, RateReading(120, 79, 41, clock.now() + timedelta(seconds=20)))
        await eventually(lambda: store.used() == 79)
        assert await count_granted([other], 3, STANDARD, Priority.POLL) == 1
        clock.advance(timedelta(seconds=21))
        assert await count_granted([other], 100, STANDARD, Priority.POLL) == 80


async def test_away_exits_have_a_quarter_and_the_rest_is_refused_at_once() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        store.reachable = False
        for priority in (Priority.ENTRY, Priority.POLL):
            with pytest.raises(UpstreamUnavailable, match="cannot be reached") as refused:
                await budgets[0].take(TOKEN, TRADING, priority)
            assert refused.value.extra["retry_after_s"] > 0
        async with asyncio.timeout(1):
            assert await count_granted(budgets, 12, TRADING, Priority.EXIT) == 12
        thirteenth = asyncio.ensure_future(budgets[0].take(TOKEN, TRADING, Priority.EXIT))
        done, _ = await asyncio.wait([thirteenth], timeout=0.05)
        assert not done
        store.reachable = True
        await thirteenth
        assert store.used(TRADING) >= 13


async def test_a_bucket_that_fails_lets_exits_through_and_tells_the_rest_after_a_while() -> None:
    store, clock = Store(), ManualClock()
    async with processes(1, store, clock) as budgets:
        store.fails = True
        waiting = asyncio.ensure_future(granted(budgets[0], TRADING, Priority.ENTRY))
        async with asyncio.timeout(1):
            await budgets[0].take(TOKEN, TRADING, Priority.EXIT)
        assert not waiting.done()
        clock.advance(timedelta(seconds=3))
        assert await waiting is False
        store.fails = False
        await budgets[0].take(TOKEN, TRADING, Priority.ENTRY)


async def test_a_lost_bucket_is_filled_again_by_who_remembers() -> None:
    store = Store()
    async with processes(2, store, ManualClock()) as (one, other):
        assert await count_granted([one], 30, STANDARD, Priority.POLL) == 30
        store.forget()
        one.forget_revisions()
        assert await count_granted([one], 1, STANDARD, Priority.POLL) == 0
        await one.take(TOKEN, STANDARD, Priority.EXIT)
        assert store.used() == 31
        assert await count_granted([other], 1, STANDARD, Priority.POLL) == 0


async def test_a_grant_of_who_went_away_is_not_lost() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        store.open.clear()
        asked = [asyncio.ensure_future(budgets[0].take(TOKEN, STANDARD, Priority.POLL)) for _ in range(3)]
        await eventually(lambda: len(budgets[0]._lane(TOKEN, STANDARD).waiting) == 3)
        for one in asked:
            one.cancel()
        await asyncio.gather(*asked, return_exceptions=True)
        store.open.set()
        assert await count_granted(budgets, 40, STANDARD, Priority.POLL) == 30


async def test_who_waits_when_the_process_ends_hears_that_nothing_was_sent() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as budgets:
        store.open.clear()
        waiting = asyncio.ensure_future(granted(budgets[0], STANDARD, Priority.EXIT))
        await eventually(lambda: budgets[0]._lane(TOKEN, STANDARD).waiting)
        budgets[0].close()
        assert await waiting is False
        store.open.set()


async def test_what_is_left_counts_what_others_took_and_the_next_minute_once_it_is_near() -> None:
    store, clock = Store(), ManualClock()
    async with processes(2, store, clock) as (one, other):
        assert await one.left(TOKEN, TRADING, Priority.EXIT, 10) == 50
        assert await count_granted([other], 12, TRADING, Priority.EXIT) == 12
        # What was taken ahead is in the other's hands, and may be used by nobody else.
        assert await one.left(TOKEN, TRADING, Priority.EXIT, 10) == 50 - store.used(TRADING)
        assert await other.left(TOKEN, TRADING, Priority.EXIT, 10) == 50 - 12
        assert await one.left(TOKEN, TRADING, Priority.ENTRY, 10) == 30 - store.used(TRADING)
        clock.advance(timedelta(seconds=51))
        assert await one.left(TOKEN, TRADING, Priority.EXIT, 10) == 50 - store.used(TRADING) + 50


async def test_while_the_others_cannot_be_asked_only_this_processs_share_is_left() -> None:
    store = Store()
    async with processes(1, store, ManualClock()) as (one,):
        store.reachable = False
        assert await one.left(TOKEN, TRADING, Priority.EXIT, 10) == 12
        await one.take(TOKEN, TRADING, Priority.EXIT)
        assert await one.left(TOKEN, TRADING, Priority.EXIT, 10) == 11
        store.reachable, store.fails = True, True
        assert await one.left(TOKEN, TRADING, Priority.EXIT, 10) == 11
