"""The kill switch engaged at each mark of each flow: everything ends, and nothing fires when it is released.

Source: order path §5.
"""

from __future__ import annotations

import os
from contextlib import suppress

import pytest

from libs.common.errors import AppError
from libs.common.testing import eventually
from services.orders import kills
from tests.integration.orders.flows import FLOWS, GROUP_FLOWS, named
from tests.integration.orders.house import House
from tests.integration.orders.lanes import Lane
from tests.integration.orders.plays import Flow, Play, told
from tests.integration.orders.switching import nothing_fires_on_release, trades
from tests.integration.orders.trials import Mark, Observer, at_each_mark

pytestmark = pytest.mark.integration

UNBID = ("withdraw unbid close",)
TYPICAL = named(
    "place market", "place limit", "partial entry", "adjust", "close held", "close working", "cover", "recovered entry",
    "queued close", "place group",
)  # fmt: skip
PLAYED = [*FLOWS, *GROUP_FLOWS] if os.environ.get("EVERY_FLOW") else TYPICAL
"""With EVERY_FLOW in the environment all of them are played, which takes minutes."""


async def is_at_its_end(house: House, flow: Flow, play: Play) -> bool:
    """Say whether the trade that the flow is about is where it should end undisturbed."""
    subject = await flow.subject(house, play)
    return subject is not None and flow.ends(await house.trade(subject))


async def is_killed(lane: Lane, flow: Flow, mark: Mark) -> bool:
    """Engage the switch at the mark, let the flow's world go on, and hold that nothing is left."""
    observer = Observer()
    async with lane.house(beats=observer) as house:
        play = await flow.prepare(house)

        async def engage() -> None:
            await kills.turn(house.deps, house.context(), engaged=True)

        observer.arm(mark, engage)
        with suppress(AppError):
            await flow.begin(house, play)

        async def is_over() -> bool:
            if not observer.reached.is_set() and await is_at_its_end(house, flow, play):
                # It came to its end without the mark: what was sent twice on a busy machine is sent once now.
                await engage()
                observer.reached.set()
            with suppress(AppError):
                await flow.happens(house, play)
            if observer.reached.is_set() and flow.name in UNBID:
                # Till then it is listed, and its sale rests at the least price.
                await house.pin("4.00", "4.20")
            play.trade_id = play.trade_id or await house.only_trade() or ""
            found = await trades(house)
            if not observer.reached.is_set() or any(trade["status"] != "CLOSED" for trade in found):
                return False
            return all([await house.is_at_rest(trade["id"]) for trade in found])

        try:
            await eventually(is_over, within_s=20, every_s=0.05)
        except AssertionError:
            raise AssertionError(f"{flow.name} at {mark} is left as {await told(house, play)}") from None
        await nothing_fires_on_release(house)
    return True


@pytest.mark.parametrize("flow", PLAYED, ids=lambda flow: flow.name)
async def test_the_kill_switch_at_any_mark_of_a_flow_leaves_nothing_open(lanes: tuple[Lane, ...], flow: Flow) -> None:
    await at_each_mark(lanes, flow, is_killed)
