"""What the HTTP library does by itself and must not: repeat, believe an old connection, follow, keep, tell."""

import asyncio
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from libs.common.errors import AppError, Expired, OutcomeUnknown, UpstreamUnavailable
from libs.common.http import Call, HttpClient
from libs.common.testing import eventually
from tests.contract.raw import OK, Serve, call, request_of, server, status

METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS")
Ends = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


def closes(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def resets(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


def breaks_off(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    writer.close()


@pytest.mark.parametrize("ends", [closes, resets, breaks_off])
@pytest.mark.parametrize("answered", [0, 1], ids=["a new connection", "a kept one"])
@pytest.mark.parametrize("method", METHODS)
async def test_nothing_is_sent_a_second_time_because_its_connection_broke(
    method: str, answered: int, ends: Ends
) -> None:
    heard = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        while True:
            await request_of(reader)
            heard += 1
            if heard > answered:
                ends(reader, writer)
                return
            writer.write(OK)

    async with server(serve) as base, HttpClient() as client:
        for _ in range(answered):
            await client.write(call(base), status, deadline_s=2.0)
        with pytest.raises(OutcomeUnknown):
            await client.write(call(base, method), status, deadline_s=2.0)
        assert heard == answered + 1
        with pytest.raises(UpstreamUnavailable):
            await client.read(call(base, method), status, deadline_s=2.0, repeats=0)
        assert heard == answered + 2


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_request_that_is_reset_before_it_was_read_is_sent_once(method: str) -> None:
    opened = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal opened
        opened += 1
        await reader.read(1)
        writer.transport.abort()

    async with server(serve) as base, HttpClient() as client:
        with pytest.raises(OutcomeUnknown):
            await client.write(call(base, method), status, deadline_s=2.0)
        assert opened == 1


async def turns() -> None:
    """Let the loop look at its sockets."""
    for _ in range(20):
        await asyncio.sleep(0)


@contextmanager
def apart(serve: Callable[[socket.socket, int], None]) -> Iterator[str]:
    """Run a server in threads, which go on while the loop of the test is kept from looking."""
    listening = socket.create_server(("127.0.0.1", 0))
    held: list[socket.socket] = []

    def speak(connection: socket.socket, nth: int) -> None:
        with suppress(OSError):
            serve(connection, nth)

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                held.append(connection)
                threading.Thread(target=speak, args=(connection, len(held)), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        for connection in held:
            connection.close()
        listening.close()
        thread.join(5)


@pytest.mark.parametrize("looked", [False, True], ids=["unnoticed", "noticed"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_a_connection_that_was_closed_meanwhile_is_replaced(method: str, looked: bool) -> None:
    was_read, closed = threading.Event(), threading.Event()

    def serve(connection: socket.socket, nth: int) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        if nth == 1:
            was_read.wait(5)
            connection.shutdown(socket.SHUT_RDWR)
            closed.set()

    with apart(serve) as base:
        async with HttpClient() as client:
            assert await client.write(call(base, method), status, deadline_s=5.0) == 200
            was_read.set()
            assert closed.wait(5)  # the loop stands still meanwhile
            if looked:
                await turns()
            assert await client.write(call(base, method), status, deadline_s=5.0) == 200


@pytest.mark.parametrize("looked", [False, True], ids=["unnoticed", "noticed"])
@pytest.mark.parametrize(
    "unasked", [b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}", b"HTTP/1.1 40", b"\r\n", b"noise"]
)
async def test_what_was_said_unasked_on_an_idle_connection_answers_nothing(unasked: bytes, looked: bool) -> None:
    was_read, said = threading.Event(), threading.Event()

    def serve(connection: socket.socket, nth: int) -> None:
        connection.recv(65536)
        connection.sendall(OK)
        if nth == 1:
            was_read.wait(5)
            connection.sendall(unasked)
            said.set()
            if connection.recv(65536):
                connection.sendall(OK)

    with apart(serve) as base:
        async with HttpClient() as client:
            assert await client.write(call(base), status, deadline_s=5.0) == 200
            was_read.set()
            assert said.wait(5)
            if looked:
                await turns()
            assert await client.write(call(base), status, deadline_s=5.0) == 200


@pytest.mark.parametrize("slow_to_connect", [False, True])
async def test_who_speaks_first_is_not_written_to(slow_to_connect: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    connect = aiohttp.TCPConnector._create_connection

    async def linger(*given: Any) -> ResponseHandler:
        made = await connect(*given)
        await asyncio.sleep(0.05)
        return made

    if slow_to_connect:
        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", linger)

    async def greets(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}")
        heard.append(await reader.read(65536))

    async def waits_for_the_greeting() -> None:
        await asyncio.sleep(0.05)

    last_look = None if slow_to_connect else waits_for_the_greeting
    async with server(greets) as base, HttpClient() as client:
        with pytest.raises(UpstreamUnavailable):
            await client.write(call(base), status, deadline_s=5.0, before_send=last_look)
        await eventually(lambda: heard == [b""], 2)


@pytest.mark.parametrize("answered", [0, 1], ids=["a new connection", "a kept one"])
async def test_a_write_that_was_refused_at_the_last_moment_leaves_no_connection_behind(answered: int) -> None:
    ended = asyncio.Event()
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not reader.at_eof():
            heard.append(await reader.read(65536))
            writer.write(OK)
        ended.set()

    looks = 0

    async def refuse_the_second_look() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            raise Expired("too late")

    async with server(serve) as base, HttpClient(max_connections=1) as client:
        for _ in range(answered):
            await client.write(call(base), status, deadline_s=2.0)
        with pytest.raises(Expired):
            await client.write(call(base), status, deadline_s=2.0, before_send=refuse_the_second_look)
        await asyncio.wait_for(ended.wait(), 2)
        assert (len(heard), heard[-1]) == (answered + 1, b"")
        assert await client.write(call(base), status, deadline_s=2.0) == 200


async def test_a_connection_that_ends_during_the_last_look_is_proven_not_sent() -> None:
    heard: list[bytes] = []
    ended = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        writer.write(OK)
        await looking.wait()
        writer.close()
        await writer.wait_closed()
        heard.append(await reader.read())
        ended.set()

    looking = asyncio.Event()
    looks = 0

    async def slow_second_look() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            looking.set()
            await ended.wait()
            await asyncio.sleep(0.05)

    async with server(serve) as base, HttpClient() as client:
        await client.write(call(base), status, deadline_s=2.0)
        with pytest.raises(UpstreamUnavailable):
            await client.write(call(base), status, deadline_s=2.0, before_send=slow_second_look)
    assert heard == [b""]


async def test_the_late_answer_to_a_write_that_was_given_up_answers_no_other() -> None:
    late = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await request_of(reader)
        if asked.startswith(b"POST"):
            await late.wait()
            writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\n{}")
        else:
            late.set()
            writer.write(OK)
        await writer.drain()
        await reader.read()

    async with server(serve) as base, HttpClient(max_connections=1) as client:
        with pytest.raises(OutcomeUnknown):
            await client.write(call(base), status, deadline_s=0.5)
        assert await client.write(call(base, "DELETE"), status, deadline_s=2.0) == 200
        task = asyncio.create_task(client.write(call(base), status, deadline_s=5.0))
        await asyncio.wait({task}, timeout=0.05)
        task.cancel()
        await asyncio.wait({task})
        assert await client.write(call(base, "DELETE"), status, deadline_s=2.0) == 200


async def test_no_free_connection_in_time_is_proven_not_sent() -> None:
    heard = 0

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        await request_of(reader)
        heard += 1
        await asyncio.Event().wait()

    async with server(silent) as base, HttpClient(max_connections=1, connect_timeout_s=0.1) as client:
        first = asyncio.create_task(client.write(call(base), status, deadline_s=1.0))
        await eventually(lambda: heard == 1, 2)
        with pytest.raises(UpstreamUnavailable):
            await client.write(call(base), status, deadline_s=5.0)
        with pytest.raises(OutcomeUnknown):
            await first
        assert heard == 1


async def test_an_answer_is_not_looked_for_elsewhere() -> None:
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heard.append(await request_of(reader))
            writer.write(b"HTTP/1.1 307 Over There\r\nLocation: /elsewhere\r\nContent-Length: 2\r\n\r\n{}")

    async with server(serve) as base, HttpClient() as client:
        with pytest.raises(OutcomeUnknown):
            await client.write(call(base), status, deadline_s=2.0)
        assert await client.read(call(base, "GET"), status, deadline_s=2.0) == 307
    assert len(heard) == 2


async def test_neither_proxies_nor_logins_are_taken_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    netrc = tmp_path_factory.mktemp("home") / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await request_of(reader))
        writer.write(OK)

    async with server(serve) as base, HttpClient() as client:
        assert await client.write(call(base), status, deadline_s=2.0) == 200
    assert b"authorization" not in heard[0].lower()


async def ending(serve: Serve, method: str, deadline_s: float) -> tuple[AppError, str]:
    async with server(serve) as base, HttpClient() as client:
        asked = Call(method, f"{base}/secret-path", "place order", {"X-Token": "secret-1"}, query={"token": "secret-2"})
        with pytest.raises(AppError) as ended:
            await client.write(asked, status, deadline_s=deadline_s)
        return ended.value, base


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", None])
async def test_no_traceback_tells_an_address_or_a_header(method: str, said: bytes | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await request_of(reader)
        if said is None:
            await asyncio.Event().wait()
        else:
            writer.write(said)

    error, base = await ending(serve, method, 0.5 if said is None else 5.0)
    told = "".join(traceback.format_exception(error))
    assert isinstance(error, OutcomeUnknown) or said is None
    assert "secret" not in told
    assert base not in told
