"""A signal becomes one trade whatever dies between any two of its steps, however often and wherever it is delivered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from libs.common.beats import Crash
from libs.common.errors import AppError, IllegalTransition, KillSwitchOn, UpstreamUnavailable
from libs.common.handlers import Context, Reply
from libs.common.ids import new_id
from libs.common.messages.safety import KillAction, KillSwitch
from libs.common.messages.signals import ApproveSignal
from libs.common.testing import TestDatabase, eventually
from services.orders import handlers_safety, handlers_signals, signalling
from tests.integration.orders.bots import entries, outcomes, publish, rows_of, signal, until
from tests.integration.orders.checker import check
from tests.integration.orders.house import QUICK, House, a_house
from tests.integration.orders.lanes import Lane, side_by_side
from tests.integration.orders.trials import RARE, Mark, Observer

pytestmark = pytest.mark.integration

STEPS = {"orders.signal.stored", "orders.place.intent", "orders.signal.placed"}


async def ends_once(house: House, body: dict[str, Any]) -> None:
    """Hold that the signal is one protected trade, or by evidence was never sent, and that its bot was told so."""
    (row,) = [row for row in await rows_of(house) if row["signal_id"] == body["signal_id"]]

    async def decided() -> dict[str, Any] | None:
        (found,) = [one for one in await rows_of(house) if one["id"] == row["id"]]
        return found if found["state"] in {"accepted", "rejected"} else None

    end = await eventually(decided, within_s=20)
    assert end is not None
    sent = await entries(house)
    if end["state"] == "rejected":
        assert (end["reason"], sent) == ("the order could not be placed; nothing was bought", [])
        await house.until(end["trade_id"], within_s=20, status="CLOSED", close_reason="REJECTED")
    else:
        await house.until(end["trade_id"], within_s=20, protection="PROTECTED")
        assert len(sent) == 1
    said = [(topic, data["trade_id"]) for topic, data in await outcomes(house, end["id"])]
    assert set(said) - {("signal_queued", None)} == {(f"signal_{end['state']}", end["trade_id"])}
    await check(house)


async def marks_of(lane: Lane) -> list[Mark]:
    observer = Observer()
    async with lane.house(beats=observer) as house:
        await house.prefer(signal_mode="auto")
        observer.arm()
        body = signal(house)
        await publish(house, body)
        await ends_once(house, body)
    return [mark for mark in observer.heard if mark.nth == 1 or mark.name.startswith((*RARE, "orders.signal"))]


async def at_each_mark(lanes: tuple[Lane, ...], trial: Callable[[Lane, Mark], Awaitable[bool]]) -> None:
    found: list[Mark] = []
    reached: set[str] = set()

    async def learn(lane: Lane, _: None) -> None:
        found.extend(await marks_of(lane))

    async def play(lane: Lane, mark: Mark) -> None:
        if await trial(lane, mark):
            reached.add(mark.name)

    await side_by_side(lanes[:1], [None], learn)
    await side_by_side(lanes, found, play)
    assert reached >= STEPS, STEPS - reached


async def dies(lane: Lane, mark: Mark) -> bool:
    """Let the process die at the mark; another one is delivered the same signal, and ends what was begun."""
    observer, row_id = Observer(), new_id()
    body: dict[str, Any] = {}

    async def die() -> None:
        raise Crash(str(mark))

    try:
        async with lane.house(beats=observer) as house:
            await house.prefer(signal_mode="auto")
            body = signal(house)
            observer.arm(mark, die)
            await publish(house, body, row_id=row_id)
            await ends_once(house, body)
    except* Crash:
        pass
    async with lane.later() as other:
        await other.let_claims_end()
        async with other.admin() as admin:
            await admin.execute("update orders.jobs set due_at = now() where kind = 'signal' and due_at < 'infinity'")
        await publish(other, body, row_id=row_id)
        await ends_once(other, body)
    return observer.reached.is_set()


async def comes_twice(lane: Lane, mark: Mark) -> bool:
    """At the mark it is delivered again and driven again by another replica."""
    observer, row_id = Observer(), new_id()
    async with lane.house(beats=observer) as house, lane.later() as other:
        await house.prefer(signal_mode="auto")
        other.stopping.set()
        body = signal(house)

        async def again() -> None:
            with suppress(AppError):
                await publish(other, body, row_id=row_id)
                await publish(other, body)
                await signalling.advance(other.deps, house.user, row_id)

        observer.arm(mark, again)
        await publish(house, body, row_id=row_id)
        await ends_once(house, body)
    return observer.reached.is_set()


async def test_a_process_that_dies_at_any_mark_leaves_one_trade(lanes: tuple[Lane, ...]) -> None:
    await at_each_mark(lanes, dies)


async def test_a_signal_delivered_and_driven_twice_at_any_mark_is_one_trade(lanes: tuple[Lane, ...]) -> None:
    await at_each_mark(lanes, comes_twice)


async def test_a_price_that_was_checked_too_long_ago_is_not_sent_at(database: TestDatabase, world: str) -> None:
    observer, row_id = Observer(), new_id()
    waits = replace(QUICK, signal_price_s=0.5)

    async def die() -> None:
        raise Crash("before it is sent")

    try:
        async with a_house(database, world, beats=observer, waits=waits) as house:
            await house.prefer(signal_mode="auto")
            body = signal(house, ref_price="4.20", max_slippage_pct="1")
            observer.arm(Mark("orders.place.intent", 1), die)
            await publish(house, body, row_id=row_id)
            await eventually(observer.reached.is_set, within_s=10)
            await ends_once(house, body)
    except* Crash:
        pass
    async with a_house(database, world, user=house.user, quote=("7.00", "7.20"), waits=waits) as other:

        async def is_stale() -> bool:
            async with other.admin() as admin:
                sql = "select send_by < clock_timestamp() from orders.broker_orders where username = $1"
                return bool(await admin.fetchval(sql, other.user))

        await eventually(is_stale)
        await other.let_claims_end()
        row = await until(other, row_id, within_s=20, state="expired")
        assert row["reason"] == "the order was never sent; nothing was bought"
        assert await entries(other) == []


@pytest.mark.parametrize("mode", ["review", "off"])
async def test_a_signal_that_waits_for_the_broker_does_not_trade_by_itself_once_that_is_turned_off(
    house: House, mode: str
) -> None:
    await house.prefer(signal_mode="auto")
    await house.sim.control("faults", match={"method": "GET", "path": "quotes"}, kind="status_503", times=1000)
    taken = await publish(house, signal(house))
    assert taken is not None
    assert (await until(house, taken.id, state="placing"))["trade_id"] is None
    await house.prefer(signal_mode=mode)
    await house.sim.clear_faults()
    row = await until(house, taken.id, state="rejected")
    words = f"signals do not trade by themselves any more: signal_mode is {mode}"
    assert (row["code"], row["reason"], row["trade_id"]) == ("forbidden", words, None)
    assert await entries(house) == []


async def test_two_replicas_and_many_approvals_place_once(database: TestDatabase, world: str) -> None:
    async with a_house(database, world) as one, a_house(database, world, user=one.user, quote=None) as other:
        body = signal(one)
        taken = await asyncio.gather(*(publish(house, body) for house in (one, other) * 10))
        assert len({found.id for found in taken if found is not None}) == 1
        assert taken[0] is not None
        command = ApproveSignal(id=taken[0].id)
        ends = await asyncio.gather(
            *(_approved(command, one.context(), house) for house in (one, other) * 10), return_exceptions=True
        )
        assert {getattr(end, "status", end) for end in ends} <= {200, 202}
        await ends_once(one, body)


async def _approved(command: ApproveSignal, ctx: Context, house: House) -> Reply:
    """Approve as a person does who is told to try again, which a busy database may make us say."""
    for _ in range(3):
        with suppress(UpstreamUnavailable):
            return await handlers_signals.approve_signal(command, ctx, house.deps)
    return await handlers_signals.approve_signal(command, ctx, house.deps)


async def test_an_approval_raced_by_the_kill_switch_is_refused_or_ended(database: TestDatabase, world: str) -> None:
    async with a_house(database, world) as house:
        taken = await publish(house, signal(house))
        assert taken is not None
        ends = await asyncio.gather(
            handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps),
            handlers_safety.kill_switch(KillSwitch(action=KillAction.ENGAGE), house.context(), house.deps),
            return_exceptions=True,
        )
        assert not isinstance(ends[1], BaseException), ends
        assert not isinstance(ends[0], Exception) or isinstance(ends[0], (KillSwitchOn, IllegalTransition, AppError))

        async def is_over() -> bool:
            (row,) = await rows_of(house)
            trade = await house.only_trade()
            closed = trade is None or (await house.trade(trade))["status"] == "CLOSED"
            return closed and (row["state"] == "rejected" or (row["state"] == "accepted" and trade is not None))

        await eventually(is_over, within_s=40)
