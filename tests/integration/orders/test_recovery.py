"""The sweep that needs no plan: whatever a process left unfinished is gone on with though no job of it is left.

Source: order path §3, recovery.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest

from libs.common.beats import Crash
from tests.integration.orders import trials
from tests.integration.orders.flows import named
from tests.integration.orders.house import House
from tests.integration.orders.lanes import Lane, side_by_side
from tests.integration.orders.plays import Play
from tests.integration.orders.trials import Mark, Observer

pytestmark = pytest.mark.integration

LEFT = (
    ("place market", "orders.place.intent"),
    ("place market", "orders.send.marked"),
    ("place market", "orders.placebracket.answered"),
    ("partial entry", "orders.cancel.marked"),
    ("close held", "orders.cancel.marked"),
    ("close working", "orders.cancel.answered"),
    ("adjust", "orders.intent"),
    ("cover", "orders.placecover.marked"),
)
"""The flow, and the mark at which its process dies."""


async def loses_its_job(lane: Lane, left: tuple[str, str]) -> None:
    """Let the process die at the mark and its job be gone; another one, whom nobody asks or tells, ends the flow."""
    name, beat = left
    [flow] = named(name)
    observer, play = Observer(), Play()

    async def die() -> None:
        raise Crash(beat)

    with suppress(BaseExceptionGroup):
        async with lane.house(beats=observer) as house:
            play = await flow.prepare(house)
            observer.arm(Mark(beat, 1), die)
            await trials.asked(flow, house, play)
            await flow.end(house, play)
    assert observer.reached.is_set(), f"{name} did not come to {beat}"
    async with lane.later() as other:
        await forgotten(other)
        await trials.ends_right(replace(flow, happens=nobody_tells), other, play)


async def nobody_tells(house: House, play: Play) -> None:
    """Bring no news: monitor's would be a reason to look, too."""


async def forgotten(house: House) -> None:
    """Take away what was planned for trades, and the claims of the dead."""
    async with house.admin() as admin:
        await admin.execute("delete from orders.jobs where kind = 'advance'")
        await admin.execute("update orders.flows set claimed_until = clock_timestamp()")


async def test_what_died_half_done_is_gone_on_with_though_its_job_is_gone(lanes: tuple[Lane, ...]) -> None:
    await side_by_side(lanes, LEFT, loses_its_job)
