"""The account-event stream against a real web socket server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import orjson
import pytest
from websockets.asyncio.server import ServerConnection, serve

from libs.broker.base import BrokerProvider, OrderStatus
from libs.broker.tradier_stream import hints_of
from libs.common.errors import UpstreamAuth, UpstreamUnavailable
from tests.contract.recorded import PAYLOADS, Reply, Script, broker, response


@asynccontextmanager
async def streaming(send: Callable[[ServerConnection], Awaitable[None]]) -> AsyncIterator[BrokerProvider]:
    """Run a stream; yield a broker whose session points at it."""
    async with serve(send, "127.0.0.1", 0) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        body = orjson.dumps({"stream": {"url": f"ws://127.0.0.1:{port}", "sessionid": "s-1"}})
        account = broker(Script(Reply(200, body)))
        # The recorded broker speaks https; the stream of a test does not.
        session = account._session  # type: ignore[attr-defined]
        object.__setattr__(session, "base_url", "http://broker.test/v1")
        yield account


async def test_orders_of_the_account_come_as_hints_and_the_end_is_an_error() -> None:
    subscriptions: list[object] = []
    connected: list[bool] = []

    async def send(socket: ServerConnection) -> None:
        subscriptions.append(orjson.loads(await socket.recv()))
        await socket.send((PAYLOADS / "event_heartbeat.json").read_text())
        await socket.send("not json")
        await socket.send((PAYLOADS / "event_order_exec_quantity.json").read_text())
        await socket.send((PAYLOADS / "event_order_executed_quantity.json").read_text().replace("VA00000001", "VA2"))
        await socket.send((PAYLOADS / "event_order_executed_quantity.json").read_bytes())

    async with streaming(send) as account:
        events = account.events(on_connected=lambda: connected.append(True))
        first, second = await anext(events), await anext(events)
        with pytest.raises(UpstreamUnavailable):
            await anext(events)
    assert [(hint.order_id, hint.status) for hint in (first, second)] == [
        ("257461", OrderStatus.FILLED),
        ("257459", OrderStatus.CANCELLED),
    ]
    assert subscriptions == [{"events": ["order"], "sessionid": "s-1", "excludeAccounts": []}]
    assert connected == [True]


async def test_a_stream_that_is_aborted_is_an_error_too() -> None:
    async def abort(socket: ServerConnection) -> None:
        await socket.recv()
        socket.transport.abort()

    async with streaming(abort) as account:
        with pytest.raises(UpstreamUnavailable):
            await anext(account.events())


async def test_a_caller_that_stops_listening_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def send(socket: ServerConnection) -> None:
        await socket.recv()
        await socket.send((PAYLOADS / "event_order_exec_quantity.json").read_text())
        await socket.wait_closed()
        closed.set()

    async with streaming(send) as account:
        events = account.events()
        assert (await anext(events)).order_id == "257461"
        await events.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(closed.wait(), 5)


async def test_no_server_a_refused_token_and_an_address_in_the_clear_are_errors() -> None:
    nowhere = Script(Reply(200, b'{"stream":{"url":"wss://127.0.0.1:1","sessionid":"s"}}'))
    with pytest.raises(UpstreamUnavailable):
        await anext(broker(nowhere).events())
    with pytest.raises(UpstreamAuth):
        await anext(broker(Script(response("fault_invalid_token.json", 401))).events())
    clear = Script(Reply(200, b'{"stream":{"url":"ws://127.0.0.1:1","sessionid":"s"}}'))
    with pytest.raises(UpstreamUnavailable, match="not encrypted"):
        await anext(broker(clear).events())


def test_a_frame_may_hold_several_lines() -> None:
    line = (PAYLOADS / "event_order_exec_quantity.json").read_text()
    assert [hint.order_id for hint in hints_of(line + line)] == ["257461", "257461"]
