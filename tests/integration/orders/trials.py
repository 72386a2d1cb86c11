"""What can go wrong at a mark of a flow, whatever the flow: it dies there, comes twice, is late, or is not stored.

Each trial plays one flow once, with one mark, and ends with the checker. Two houses on one database are two replicas.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from libs.common.beats import Crash
from libs.common.clock import SystemClock
from libs.common.errors import (
    AppError,
    Expired,
    IdempotencyInProgress,
    OutcomeUnknown,
    UpstreamRefused,
    UpstreamUnavailable,
)
from libs.common.testing import eventually
from services.orders.flow import take_over
from tests.integration.orders import monitor
from tests.integration.orders.checker import check, check_money
from tests.integration.orders.house import House
from tests.integration.orders.lanes import LEASE_S, Lane, side_by_side
from tests.integration.orders.plays import Flow, Play

RARE = ("orders.send.", "orders.cancel.", "orders.intent", "orders.place")
"""Marks around writes: every one of them is tried; of those around reads the first of a kind."""


MOST_BEGINS = 3
ENDS_WITHIN_S = 60.0
"""How long a process that has lost its claim may take to stop."""


class Mark(NamedTuple):
    """The nth beat of a name."""

    name: str
    nth: int

    def __str__(self) -> str:
        """Name it."""
        return f"{self.name} #{self.nth}"


Act = Callable[[], Awaitable[None]]


class Observer:
    """Hears the beats of one process once armed; does something at one mark, and stands still while frozen."""

    def __init__(self) -> None:
        self.heard: list[Mark] = []
        self.reached = asyncio.Event()
        self._thawed = asyncio.Event()
        self._thawed.set()
        self._counts: Counter[str] = Counter()
        self._armed = False
        self._mark: Mark | None = None
        self._act: Act | None = None

    def arm(self, mark: Mark | None = None, act: Act | None = None) -> None:
        """Hear from now on, and do `act` at the mark."""
        self._armed, self._mark, self._act = True, mark, act

    async def at(self, beat: str) -> None:
        """Remember the beat, and do what was told if it is the one."""
        if not self._armed:
            return
        self._counts[beat] += 1
        mark = Mark(beat, self._counts[beat])
        self.heard.append(mark)
        if mark == self._mark and self._act is not None:
            self.reached.set()
            await self._act()
        await self._thawed.wait()

    async def freeze(self) -> None:
        """Let everything that reaches a beat stand still."""
        self._thawed.clear()

    def thaw(self) -> None:
        """Let it go on."""
        self._thawed.set()


async def marks_of(lane: Lane, flow: Flow) -> list[Mark]:
    """Play the flow undisturbed and name the marks worth trying."""
    observer = Observer()
    async with lane.house(beats=observer) as house:
        play = await flow.prepare(house)
        observer.arm()
        await asked(flow, house, play)
        await flow.end(house, play)
        await check(house)
    assert flow.marks <= {mark.name for mark in observer.heard}, f"{flow.name} passed only {observer.heard}"
    return [mark for mark in observer.heard if mark.nth == 1 or mark.name.startswith(RARE)]


async def at_each_mark(
    lanes: tuple[Lane, ...], flow: Flow, trial: Callable[[Lane, Flow, Mark], Awaitable[bool]]
) -> None:
    """Try every mark of a flow; a trial says whether its mark was reached."""
    found: list[list[Mark]] = []

    async def learn(lane: Lane, _: Flow) -> None:
        found.append(await marks_of(lane, flow))

    await side_by_side(lanes[:1], [flow], learn)
    reached: set[str] = set()

    async def play(lane: Lane, mark: Mark) -> None:
        if await trial(lane, flow, mark):
            reached.add(mark.name)

    await side_by_side(lanes[:1] if flow.alone else lanes, found[0], play)
    assert flow.marks <= reached, f"never tried: {flow.marks - reached}"


async def asked(flow: Flow, house: House, play: Play) -> None:
    """Begin a flow; that it ends with a refusal may be right."""
    try:
        await flow.begin(house, play)
    except (UpstreamRefused, UpstreamUnavailable, Expired):
        if not flow.may_fail:
            raise


async def insisted(flow: Flow, house: House, play: Play) -> None:
    """Begin a flow as a caller does who got no clear answer: again, with the same key.

    Who is told that nothing was begun, because a read took too long on a busy machine, asks again as well.
    """
    for _ in range(MOST_BEGINS):
        with suppress(IdempotencyInProgress, OutcomeUnknown, UpstreamUnavailable, UpstreamRefused, Expired):
            await flow.begin(house, play)
        if await flow.subject(house, play) is not None:
            return


async def ends_right(flow: Flow, house: House, play: Play) -> None:
    """Hold that the flow is at a right end, the books agree, and the caller gets the truth by the key."""
    await flow.end(house, play)
    await check(house)
    await check_money(house)
    before = await house.sim.writes(house.account_id)
    if play.command is not None:
        await _learns_the_truth(flow, house, play)
    assert await house.sim.writes(house.account_id) == before, "a repeat of the request was sent to the broker"


async def _learns_the_truth(flow: Flow, house: House, play: Play) -> None:
    assert play.command is not None
    row = await house.trade(play.trade_id)
    try:
        reply = await house.ask(play.command)
    except AppError as error:
        if flow.may_fail or (row["status"] == "CLOSED" and not row["filled_qty"]):
            return
        raise AssertionError(f"the caller is told {error!r} of a trade that is {row['status']}") from error
    told = reply.json()
    assert (told["id"], told["status"], told["protection"]) == (row["id"], row["status"], row["protection"])


# ── it dies there ────────────────────────────────────────────────────────────────────────────────────────────────────


async def dies(lane: Lane, flow: Flow, mark: Mark) -> bool:
    """Let the process die at the mark; another one ends what it began."""
    observer, play = Observer(), Play()

    async def die() -> None:
        raise Crash(str(mark))

    try:
        async with lane.house(beats=observer) as house:
            play = await flow.prepare(house)
            observer.arm(mark, die)
            await asked(flow, house, play)
            await flow.end(house, play)
    except* Crash:
        pass
    async with lane.later() as other:
        await other.let_claims_end()
        await insisted(flow, other, play)
        await ends_right(flow, other, play)
    return observer.reached.is_set()


# ── it comes twice ───────────────────────────────────────────────────────────────────────────────────────────────────


async def comes_twice(lane: Lane, flow: Flow, mark: Mark) -> bool:
    """At the mark the job is delivered again, the request is repeated, and the broker's news come twice, backwards."""
    observer = Observer()
    async with lane.house(beats=observer) as house, lane.later() as other:
        play = await flow.prepare(house)
        other.stopping.set()

        async def again() -> None:
            trade_id = play.trade_id or await house.only_trade()
            assert trade_id is not None
            await take_over(other.deps, trade_id, house.user)
            if play.command is not None:
                with suppress(IdempotencyInProgress, UpstreamUnavailable, UpstreamRefused):
                    await other.ask(play.command)
            await monitor.tell_all(other, backwards=True)
            await monitor.tell_all(other)
            await take_over(other.deps, trade_id, house.user)

        observer.arm(mark, again)
        await asked(flow, house, play)
        await ends_right(flow, house, play)
    return observer.reached.is_set()


# ── it is late ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Ahead(SystemClock):
    """A clock on which time passed while its process stood still."""

    ahead_s = 0.0
    wall_ahead_s = 0.0

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        return super().now() + timedelta(seconds=self.wall_ahead_s)

    def monotonic(self) -> float:
        """Return seconds that only ever grow. Units: seconds."""
        return super().monotonic() + self.ahead_s


@dataclass
class _Late:
    """A process that stands still at a mark, as after SIGSTOP."""

    play: Play
    observer: Observer
    process: asyncio.Task[None]


@asynccontextmanager
async def _standing_still(lane: Lane, flow: Flow, mark: Mark) -> AsyncIterator[_Late]:
    observer = Observer()
    ready: asyncio.Future[Play] = asyncio.get_running_loop().create_future()

    clock = Ahead()

    async def live() -> None:
        async with lane.house(beats=observer, clock=clock) as house:
            play = await flow.prepare(house)

            async def stop() -> None:
                house.stopping.set()
                clock.ahead_s = LEASE_S + 1
                await observer.freeze()

            observer.arm(mark, stop)
            ready.set_result(play)
            await insisted(flow, house, play)
            if not observer.reached.is_set():
                with suppress(AssertionError):
                    await _end_or_stand(flow, house, play, observer)

    process = asyncio.create_task(live())
    try:
        both: set[asyncio.Future[Any]] = {ready, process}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if process.done():
            await process
        still = asyncio.create_task(observer.reached.wait())
        await asyncio.wait({still, process}, return_when=asyncio.FIRST_COMPLETED)
        still.cancel()
        yield _Late(ready.result(), observer, process)
    finally:
        observer.thaw()
        await process


async def _end_or_stand(flow: Flow, house: House, play: Play, observer: Observer) -> None:
    ending = asyncio.create_task(flow.end(house, play))
    standing = asyncio.create_task(observer.reached.wait())
    await asyncio.wait({ending, standing}, return_when=asyncio.FIRST_COMPLETED)
    standing.cancel()
    if not ending.done():
        ending.cancel()
    with suppress(asyncio.CancelledError):
        await ending


async def is_late(lane: Lane, flow: Flow, mark: Mark) -> bool:
    """Let the process stand still past its claim, and go on when another one has brought the flow to its end.

    What it still wanted to write is not sent.
    """
    async with _standing_still(lane, flow, mark) as late, lane.later() as other:
        await other.let_claims_end()
        await flow.end(other, late.play)
        before = await other.sim.writes(other.account_id)
        late.observer.thaw()
        async with asyncio.timeout(ENDS_WITHIN_S):
            await late.process
        assert await other.sim.writes(other.account_id) == before, "a process past its claim wrote"
        await ends_right(flow, other, late.play)
        return late.observer.reached.is_set()


async def overlaps(lane: Lane, flow: Flow, mark: Mark) -> bool:
    """Let the process go on at the very moment when another one has taken over."""
    async with _standing_still(lane, flow, mark) as late:
        began = Observer()
        began.arm()
        async with lane.later(beats=began) as other:
            await other.let_claims_end()
            if late.observer.reached.is_set():
                with suppress(AssertionError):
                    await eventually(lambda: bool(began.heard), within_s=2)
            late.observer.thaw()
            await late.process
            await ends_right(flow, other, late.play)
        return late.observer.reached.is_set()
