"""Every flow, with something going wrong at each of its marks: it ends right, once, whoever ends it.

Source: order path §1 and §9.
"""

from __future__ import annotations

import pytest

from tests.integration.orders import trials
from tests.integration.orders.flows import FLOWS, GROUP_FLOWS
from tests.integration.orders.lanes import Lane
from tests.integration.orders.plays import Flow

pytestmark = pytest.mark.integration

every_flow = pytest.mark.parametrize("flow", FLOWS, ids=lambda flow: flow.name)
side_by_side = pytest.mark.parametrize("flow", [one for one in FLOWS if not one.alone], ids=lambda flow: flow.name)
"""Those that move the clock are the same closes as others, and take long one after the other."""


@pytest.mark.parametrize("flow", [*FLOWS, *GROUP_FLOWS], ids=lambda flow: flow.name)
async def test_a_flow_that_dies_at_any_mark_is_ended_right_by_another_process(
    lanes: tuple[Lane, ...], flow: Flow
) -> None:
    await trials.at_each_mark(lanes, flow, trials.dies)


@side_by_side
async def test_a_flow_whose_every_mark_comes_twice_happens_once(lanes: tuple[Lane, ...], flow: Flow) -> None:
    await trials.at_each_mark(lanes, flow, trials.comes_twice)


@every_flow
async def test_a_process_that_stood_still_past_its_claim_writes_nothing_more(
    lanes: tuple[Lane, ...], flow: Flow
) -> None:
    await trials.at_each_mark(lanes, flow, trials.is_late)


@side_by_side
async def test_two_processes_that_meet_in_a_flow_end_it_once(lanes: tuple[Lane, ...], flow: Flow) -> None:
    await trials.at_each_mark(lanes, flow, trials.overlaps)
