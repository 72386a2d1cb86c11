"""Broker behaviour that no document settles, both ways: the flows it touches end right whichever is true.

Source: order path, the rules marked [?]; docs/simulator.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from libs.common.messages.base import Command
from libs.common.messages.orders import Entry
from libs.common.messages.vocabulary import EntryType
from tests.integration.orders import trials
from tests.integration.orders.flows import ORDERS, named, protects
from tests.integration.orders.house import House
from tests.integration.orders.lanes import Lane, side_by_side
from tests.integration.orders.plays import Flow, Play

pytestmark = pytest.mark.integration


async def _coarser(house: House, play: Play) -> Command:
    """Ask for a price between the ticks of a class that nobody knows beforehand."""
    house.contract = await house.sim.contract("AAPL", nth=int(house.account_id[-2:]) % 10)
    await house.pin("4.00", "4.20")
    return house.placing(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.93")))


async def _cheaper(house: House, play: Play) -> None:
    await house.pin("3.70", "3.80")
    await house.sync()


COARSER = Flow("coarser entry", ask=_coarser, happens=_cheaper, ends=protects(), marks=frozenset())
LOSES = "drop_after"


def _losing(flow: Flow) -> Flow:
    """Lose the answer to the flow's first order: it is found again without its tag."""

    async def before(house: House) -> str:
        trade_id = await flow.before(house)
        await house.fault(LOSES, path=ORDERS)
        return trade_id

    return replace(flow, name=f"{flow.name}, its answer lost", before=before, may_fail=True)


HELD = ("close held", "adjust", "repair", "target reached", "stop reached", "partial exit")
LOSING = tuple(_losing(flow) for flow in named("place limit", "place group", "adjust", "close held"))
TOGGLES: list[tuple[dict[str, Any], tuple[Flow, ...]]] = [
    ({"otoco_release": "first_fill"}, named("place group", "partial group")),
    ({"oco_partial": "reduce"}, named("partial exit", "target reached", "partial group")),
    ({"oco_partial": "leave"}, named("partial exit", "target reached", "partial group")),
    ({"null_tag": True}, (*LOSING, *named("place group", "adjust"))),
    ({"null_tag": False}, LOSING),
    ({"stop_trigger": "last"}, named("stop reached", "stop passed")),
    ({"tick_refusal": "late"}, (COARSER,)),
    ({"tick_refusal": "now"}, (COARSER,)),
    ({"tick_refusal": "now", "refusal_form": "list"}, (COARSER,)),
    ({"tick_refusal": "none"}, (COARSER,)),
    ({"opposite_side": "refuse"}, named("partial entry", "close partial", "partial group", "adjust", "cover")),
    ({"opposite_side": "allow"}, named("partial entry", "close partial", "partial group", "adjust", "cover")),
    ({"gtc_listed": True}, (*named("place limit", "adjust"), *LOSING[:1])),
    ({"pending_buys": True}, named("place market", "place limit")),
    ({"modify_leg": "allow"}, named("adjust")),
    ({"cancel_delay_ms": 0}, named("close held", "close working", "adjust", "partial entry")),
    ({"cancel_delay_ms": 600}, named("close held", "close working", "adjust", "partial entry")),
    ({"fill_delay_ms": 300}, named("place market", "place limit", "close held", "stop passed")),
    ({"sibling_cancel_ms": 0, "parent_fill_ms": 0}, named("target reached", "stop reached", "partial exit")),
    ({"sibling_cancel_ms": 900, "parent_fill_ms": 900}, named("target reached", "stop reached")),
    ({"wrong_side_ms": 0}, named("stop passed")),
    ({"late_price_ms": 300}, named("place market", "close held", "target reached")),
    ({"latency_ms": 40}, named("place market", *HELD)),
]


@asynccontextmanager
async def _told(house: House, *, by_monitor: bool) -> AsyncIterator[None]:
    """Tell what the broker shows again and again, where a fill comes after a flow's own look at its order."""

    async def tell() -> None:
        while True:
            await house.sync()
            await asyncio.sleep(0.2)

    async with asyncio.TaskGroup() as tasks:
        telling = tasks.create_task(tell()) if by_monitor else None
        yield
        if telling is not None:
            telling.cancel()


def _name(toggles: dict[str, Any]) -> str:
    return ",".join(f"{name}={value}" for name, value in toggles.items())


@pytest.mark.parametrize(("toggles", "flows"), [pytest.param(*case, id=_name(case[0])) for case in TOGGLES])
async def test_whichever_way_the_broker_behaves_the_flows_end_right(
    lanes: tuple[Lane, ...], world: str, toggles: dict[str, Any], flows: tuple[Flow, ...]
) -> None:
    async def plays(lane: Lane, flow: Flow) -> None:
        async with lane.house() as house, _told(house, by_monitor="fill_delay_ms" in toggles):
            await house.sim.control("toggles", **toggles)
            play = await flow.prepare(house)
            await trials.insisted(flow, house, play)
            await trials.ends_right(flow, house, play)

    await side_by_side(lanes, flows, plays)
