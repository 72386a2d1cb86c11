"""The account stream: order messages, heartbeat, and the faults that act on it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.simulator.process import Trader, bracket, entry

Message = dict[str, Any]


@asynccontextmanager
async def listening(trader: Trader) -> AsyncIterator[ClientConnection]:
    trader.control("toggles", heartbeat_ms=20)
    stream = trader.http.post("/v1/accounts/events/session").json()["stream"]
    assert stream["url"].startswith("ws://127.0.0.1:")
    async with connect(stream["url"], proxy=None) as socket:
        await socket.send(json.dumps({"events": ["order"], "sessionid": stream["sessionid"], "excludeAccounts": []}))
        assert (await receive(socket, "heartbeat"))["event"] == "heartbeat"
        yield socket


async def receive(socket: ClientConnection, event: str = "order") -> Message:
    async with asyncio.timeout(5):
        while True:
            message: Message = json.loads(await socket.recv())
            if message["event"] == event:
                return message


async def drain(socket: ClientConnection) -> None:
    while True:
        await receive(socket)


async def until(socket: ClientConnection, order_id: int, status: str) -> list[Message]:
    seen = []
    while True:
        message = await receive(socket)
        seen.append(message)
        if (message["id"], message["status"]) == (order_id, status):
            return seen


async def test_11_a_fill_is_told_with_both_quantity_names(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5)
    async with listening(trader) as socket:
        order_id = trader.place(entry(option, quantity=3, tag="bk-7"))
        seen = await until(socket, order_id, "filled")
    assert [one["status"] for one in seen] == ["open", "filled"]
    last = seen[-1]
    assert (last["executed_quantity"], last["exec_quantity"], last["remaining_quantity"]) == (3, 3, 0)
    assert (last["avg_fill_price"], last["account"], last["tag"]) == (5.0, trader.account, "bk-7")
    assert "symbol" not in last
    assert "side" not in last


async def test_11_legs_name_their_parent(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option)
    async with listening(trader) as socket:
        group = trader.place(bracket(option, 1, target=6, stop=4))
        trader.control("price", symbol=option, price=6.5)
        seen = await until(socket, group, "filled")
    told = [(one["id"] - group, one["status"], one.get("parent_id")) for one in seen if one["status"] != "open"]
    assert told == [(1, "filled", group), (2, "canceled", group), (0, "filled", None)]


async def test_11_events_can_be_lost_doubled_and_out_of_order(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5)
    async with listening(trader) as socket:
        for kind in ("duplicate_event", "lost_event"):
            trader.control("faults", match={"account": trader.account}, kind=kind, times=1)
        first = trader.place(entry(option))
        second = trader.place(entry(option))
        seen = await until(socket, second, "filled")
        assert [(one["id"], one["status"]) for one in seen] == [
            (first, "open"), (first, "open"), (second, "open"), (second, "filled")
        ]  # fmt: skip
        trader.control("faults", match={"account": trader.account}, kind="reordered_event", times=1)
        third = trader.place(entry(option))
        seen = await until(socket, third, "open")
        assert [one["status"] for one in seen] == ["filled", "open"]


async def test_11_the_connection_can_be_dropped(trader: Trader) -> None:
    option = trader.contract()
    async with listening(trader) as socket:
        trader.control("faults", match={"account": trader.account}, kind="drop_stream", times=1)
        trader.place(entry(option) | {"type": "limit", "price": "0.01"})
        with pytest.raises(ConnectionClosed):
            await drain(socket)
    async with listening(trader) as socket:
        assert socket.state.name == "OPEN"


async def test_11_a_new_connection_ends_the_one_before(trader: Trader) -> None:
    async with listening(trader) as former, listening(trader):
        with pytest.raises(ConnectionClosed):
            await drain(former)


async def test_11_a_session_that_nobody_opened_gets_an_error(trader: Trader) -> None:
    url = str(trader.http.base_url).replace("http", "ws")
    async with connect(f"{url}/v1/accounts/events", proxy=None) as socket:
        await socket.send(json.dumps({"events": ["order"], "sessionid": "guess"}))
        assert "error" in json.loads(await socket.recv())
        with pytest.raises(ConnectionClosed):
            await socket.recv()
