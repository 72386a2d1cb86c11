"""Writes over real sockets that break at each point: what is proven not sent, and what is not."""

import asyncio

import pytest

from libs.common.errors import AppError, Expired, OutcomeUnknown, UpstreamUnavailable
from libs.common.http import Call, HttpClient
from tests.contract.raw import OK, Serve, call, request_of, server, status


@pytest.fixture(autouse=True, scope="module")
async def loaded_library() -> None:
    """Make one call: the library imports its backend on first use, which no deadline below should pay for."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK)
        await writer.drain()

    async with server(answer) as base, HttpClient() as client:
        await client.read(call(base), status, deadline_s=30.0)


async def ending(serve: Serve, *, deadline_s: float = 1.0) -> AppError | int:
    async with server(serve) as base, HttpClient() as client:
        try:
            return await client.write(call(base), status, deadline_s=deadline_s)
        except AppError as error:
            return error


async def test_a_refused_connection_is_proven_not_sent() -> None:
    async with server(lambda _reader, _writer: asyncio.sleep(0)) as base:
        gone = base
    async with HttpClient() as client:
        with pytest.raises(UpstreamUnavailable):
            await client.write(call(gone), status, deadline_s=1.0)


async def test_a_connection_that_never_opens_is_proven_not_sent() -> None:
    async with HttpClient(connect_timeout_s=0.05) as client:
        with pytest.raises(UpstreamUnavailable):
            await client.write(call("http://192.0.2.1"), status, deadline_s=1.0)


async def test_a_deadline_that_passes_while_connecting_is_proven_not_sent() -> None:
    async with HttpClient(connect_timeout_s=30.0) as client:
        with pytest.raises(UpstreamUnavailable):
            await client.write(call("http://192.0.2.1"), status, deadline_s=0.2)


async def test_a_handshake_that_never_ends_is_proven_not_sent() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        await asyncio.Event().wait()

    async with server(silent) as base, HttpClient(connect_timeout_s=0.2) as client:
        with pytest.raises(UpstreamUnavailable):
            await client.write(call(base.replace("http", "https")), status, deadline_s=5.0)


async def test_what_allows_a_write_is_looked_at_again_right_before_its_first_byte() -> None:
    heard: list[bytes] = []
    looks: list[int] = []

    async def listens(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            heard.append(data)
            writer.write(OK)
            await writer.drain()

    async def too_late_once_connected() -> None:
        looks.append(len(heard))
        if len(looks) == 2:
            raise Expired("the time to send it was over")

    async with server(listens) as base, HttpClient() as client:
        with pytest.raises(Expired):
            await client.write(call(base), status, deadline_s=5.0, before_send=too_late_once_connected)
        assert (looks, heard) == ([0, 0], [])
        assert await client.write(call(base), status, deadline_s=5.0, before_send=too_late_once_connected) == 200
        assert looks == [0, 0, 0, 0]


async def test_a_connection_dropped_after_the_request_was_read_is_unknown() -> None:
    async def drop(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request_of(reader)

    assert isinstance(await ending(drop), OutcomeUnknown)


async def test_a_connection_dropped_as_soon_as_it_opened_is_unknown() -> None:
    async def drop(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    assert isinstance(await ending(drop), OutcomeUnknown)


async def test_no_answer_within_the_deadline_is_unknown() -> None:
    async def hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        await asyncio.Event().wait()

    assert isinstance(await ending(hang, deadline_s=0.4), OutcomeUnknown)


async def test_a_trickling_answer_does_not_outlive_the_deadline() -> None:
    async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
        while True:
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.01)

    started = asyncio.get_running_loop().time()
    assert isinstance(await ending(trickle, deadline_s=0.4), OutcomeUnknown)
    assert asyncio.get_running_loop().time() - started < 2.0


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>",
    ],
)
async def test_a_broken_answer_is_unknown(answer: bytes) -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(answer)
        await writer.drain()

    assert isinstance(await ending(broken), OutcomeUnknown)


async def test_a_header_that_cannot_be_written_is_proven_not_sent() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK)

    async with server(answer) as base, HttpClient() as client:
        wrong = Call("POST", base, "place order", headers={"Authorization": "Bearer a\nb"})
        with pytest.raises(UpstreamUnavailable):
            await client.write(wrong, status, deadline_s=1.0)


async def test_connections_are_reused_and_a_closed_one_is_replaced_before_anything_is_written() -> None:
    opened = 0
    closed = asyncio.Event()

    async def two_then_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        for _ in range(2):
            await request_of(reader)
            writer.write(OK)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with server(two_then_close) as base, HttpClient() as client:
        for _ in range(2):
            assert await client.write(call(base), status, deadline_s=1.0) == 200
        assert opened == 1
        await closed.wait()
        assert await client.write(call(base), status, deadline_s=1.0) == 200
        assert opened == 2


async def test_a_cancelled_caller_leaves_the_pool_usable() -> None:
    async def slow_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            request = await request_of(reader)
            if request.startswith(b"POST"):
                await asyncio.Event().wait()
            writer.write(OK)
            await writer.drain()

    async with server(slow_first) as base, HttpClient(max_connections=1) as client:
        task = asyncio.create_task(client.write(call(base), status, deadline_s=5.0))
        await asyncio.sleep(0)
        done, _ = await asyncio.wait({task}, timeout=0.05)
        assert not done
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await client.read(call(base, "GET"), status, deadline_s=2.0) == 200
