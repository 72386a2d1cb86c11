"""Facts that come twice, late and backwards change nothing; one that cannot be read is put aside, the rest flows."""

from __future__ import annotations

import asyncio
import uuid

import nats
import pytest

from libs.common.messages.durables import DURABLES
from tests.faults.books import balanced_books, read_books
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Trader, eventually

pytestmark = pytest.mark.faults

LAST = 200


def test_every_fact_again_twice_and_backwards_changes_nothing(stack: Stack, simulator: Simulator) -> None:
    assert eventually(stack.is_ready, 60)
    with Trader(stack.gateway_url) as trader:
        over = trader.protected(trader.place(trader.body(trader.contract("XLF", 0)))["id"], 30)
        simulator.price(over["occ_symbol"], over["tp_price"])
        trader.closed(over["id"], 30)
        held = trader.protected(trader.place(trader.body(trader.contract("XLE", 0)))["id"], 30)
        before = balanced_books(stack)
        orders = simulator.orders(held["account_id"])
        asyncio.run(tell_again(stack.status()["nats_url"], {told.subject for told in before.told.values()}))
        assert eventually(lambda: not any(read_books(stack).unread.values()), 30)
        after = read_books(stack)
        assert {place: after.kept()["lines"].get(place) for place in before.lines} == before.lines
        assert after.outcomes == before.outcomes
        assert after.closed == before.closed
        assert after.latest.items() >= before.latest.items()
        now = trader.trade(held["id"])
        assert (now["status"], now["protection"], now["version"]) == ("FILLED", "PROTECTED", held["version"])
        assert simulator.orders(held["account_id"]) == orders
        simulator.price(held["occ_symbol"], held["sl_price"])
        assert trader.closed(held["id"], 30)["close_reason"] == "SL_HIT"


async def tell_again(url: str, subjects: set[str]) -> None:
    """Publish the last facts of the stream once more, newest first, each twice, without the ids that drop repeats."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        state = (await stream.stream_info("EVENTS")).state
        for sequence in range(state.last_seq, max(state.first_seq, state.last_seq - LAST) - 1, -1):
            message = await stream.get_msg("EVENTS", sequence)
            assert message.subject in subjects
            for _ in range(2):
                await stream.publish(str(message.subject), message.data or b"")
    finally:
        await client.close()


def test_a_fact_nobody_can_read_is_put_aside_and_the_rest_flows(stack: Stack, simulator: Simulator) -> None:
    assert eventually(stack.is_ready, 60)
    with Trader(stack.gateway_url) as trader:
        url = stack.status()["nats_url"]
        poison = f"no envelope {uuid.uuid4().hex}".encode()
        asyncio.run(
            say(url, [f"evt.{trader.name}.orders.trade_closed", f"evt.{trader.name}.monitor.order_changed"], poison)
        )
        held = trader.protected(trader.place(trader.body(trader.contract("XLK", 0)))["id"], 30)
        simulator.price(held["occ_symbol"], held["tp_price"])
        assert trader.closed(held["id"], 30)["close_reason"] == "TP_HIT"
        readers = {one.name for one in DURABLES.values() if one.filter.endswith(("orders.*", "monitor.*", "_changed"))}
        assert eventually(lambda: asyncio.run(dead(url, poison)) == readers, 30), asyncio.run(dead(url, poison))
        assert eventually(lambda: not any(read_books(stack).unread.values()), 30)


async def say(url: str, subjects: list[str], payload: bytes) -> None:
    client = await nats.connect(url)
    try:
        for subject in subjects:
            await client.jetstream().publish(subject, payload)
    finally:
        await client.close()


async def dead(url: str, payload: bytes) -> set[str]:
    """Name the durables that put this payload aside."""
    client = await nats.connect(url)
    try:
        stream = client.jetstream()
        state = (await stream.stream_info("DEAD")).state
        found = [await stream.get_msg("DEAD", sequence) for sequence in range(state.first_seq, state.last_seq + 1)]
        return {(one.headers or {})["Bookend-Durable"] for one in found if one.data == payload}
    finally:
        await client.close()
