"""HTTP/1.1 over kept-alive connections: the least that stands between a request and its answer.

The library's own transport takes half a millisecond of every request, several of which follow each other in an order.

1. A connection carries one exchange at a time, and is kept only after an answer that was read whole.
2. One that was closed meanwhile, or said something unasked, is never written to: a new one is opened first.
3. `trace` hears of the first byte before it is written; whatever fails before that was not sent.
"""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
import time
from collections import defaultdict
from typing import Final, cast

import httptools
import httpx

Origin = tuple[bool, str, int]
"""Whether it is encrypted, host, port."""
Head = list[tuple[bytes, bytes]]

_UNWRITABLE: Final = (b"\r", b"\n", b"\0")


class Wire(httpx.AsyncBaseTransport):
    """A pool of connections. Units: seconds."""

    def __init__(
        self,
        *,
        max_connections: int,
        connect_timeout_s: float,
        keepalive_s: float,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Prepare. `context` says whom to trust instead of the usual authorities."""
        self._room = asyncio.Semaphore(max_connections)
        self._connect_timeout_s = connect_timeout_s
        self._keepalive_s = keepalive_s
        self._idle: dict[Origin, list[tuple[_Connection, float]]] = defaultdict(list)
        self._context = context

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Carry out one request. Raises: httpx's errors."""
        told = request.extensions["trace"]
        await told("wire.begun", {})
        sent = _written(request, await request.aread())
        url = request.url
        if url.scheme not in {"http", "https"}:
            raise httpx.UnsupportedProtocol("only http and https")
        encrypted = url.scheme == "https"
        origin = (encrypted, url.host, url.port or (443 if encrypted else 80))
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await self._room.acquire()
        except TimeoutError:
            raise httpx.PoolTimeout("no connection was free") from None
        connection: _Connection | None = None
        try:
            connection = self._kept(origin) or await self._opened(origin)
            await told("wire.send_request_headers.started", {})
            status, headers, body = await connection.exchange(sent)
            response = httpx.Response(status, headers=headers, content=body, request=request)
        except BaseException:
            if connection is not None:
                connection.cut()
            raise
        finally:
            self._room.release()
        if connection.is_reusable and not connection.is_gone:
            self._idle[origin].append((connection, time.monotonic()))
        else:
            connection.cut()
        return response

    async def aclose(self) -> None:
        """Close what is kept."""
        for kept in self._idle.values():
            for connection, _ in kept:
                connection.cut()
        self._idle.clear()

    def _kept(self, origin: Origin) -> _Connection | None:
        """Take the connection used last; those that are too old, or closed by the other side, are let go."""
        kept = self._idle[origin]
        while kept and (kept[0][0].is_gone or time.monotonic() - kept[0][1] > self._keepalive_s):
            kept.pop(0)[0].cut()
        while kept:
            connection, _ = kept.pop()
            if connection.is_quiet():
                return connection
            connection.cut()
        return None

    async def _opened(self, origin: Origin) -> _Connection:
        """Open a connection, trying each address of the host. Raises: httpx.ConnectError, httpx.ConnectTimeout."""
        encrypted, host, port = origin
        if encrypted and self._context is None:
            self._context = httpx.create_ssl_context(trust_env=False)
        context = self._context if encrypted else None
        loop = asyncio.get_running_loop()
        ends = loop.time() + self._connect_timeout_s
        try:
            async with asyncio.timeout_at(ends):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for left, (family, *_, address) in zip(range(len(found), 0, -1), found, strict=True):
                try:
                    async with asyncio.timeout((ends - loop.time()) / left):
                        _, connection = await loop.create_connection(
                            _Connection,
                            str(address[0]),
                            port,
                            family=family,
                            ssl=context,
                            server_hostname=host if context else None,
                        )
                        return connection
                except (OSError, TimeoutError):
                    if left == 1:
                        raise
        except TimeoutError:
            raise httpx.ConnectTimeout("no connection in time") from None
        except OSError as error:
            raise httpx.ConnectError(type(error).__name__) from error
        raise httpx.ConnectError("the host has no address")


class _Connection(asyncio.Protocol):
    """One connection, and the answer that is coming over it."""

    def __init__(self) -> None:
        self.is_gone = False
        self.is_reusable = False
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[tuple[int, Head, bytes]] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._begin()

    def _begin(self) -> None:
        self._headers: Head = []
        self._body: list[bytes] = []
        self._has_head = False

    async def exchange(self, sent: bytes) -> tuple[int, Head, bytes]:
        """Write a whole request and return the whole answer. Raises: httpx.ReadError, httpx.RemoteProtocolError."""
        self.is_reusable = False
        self._answer = asyncio.get_running_loop().create_future()
        if self.is_gone or self._transport is None:
            raise httpx.ReadError("the connection was closed")
        self._transport.write(sent)
        return await self._answer

    def is_quiet(self) -> bool:
        """Say whether it is open and nothing was said on it, the end included, even where nobody has read that yet."""
        if self.is_gone or self._transport is None:
            return False
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return not poll.poll(0)

    def cut(self) -> None:
        """End it at once."""
        self.is_gone = True
        if self._transport is not None:
            self._transport.abort()

    # ── the socket's callbacks ───────────────────────────────────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Read on; what was not asked for makes the connection useless."""
        if self._answer is None or self._answer.done():
            self.cut()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._failed(httpx.RemoteProtocolError(type(error).__name__))
            self.cut()

    def connection_lost(self, error: Exception | None) -> None:
        """End the answer: whole where its end is the connection's, else broken."""
        self.is_gone = True
        if self._answer is None or self._answer.done():
            return
        if error is None and self._has_head and not self._says_its_length():
            self._arrived()
        else:
            self._failed(httpx.ReadError("the connection was closed before the answer was whole"))

    # ── the parser's callbacks ───────────────────────────────────────────────────────────────────────────────────────

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that the head is whole."""
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Hand the answer over; one that only says "go on" is followed by another."""
        if self._parser.get_status_code() < 200:
            self._begin()
            return
        if self._answer is None or self._answer.done():
            self.cut()
            return
        self.is_reusable = self._parser.should_keep_alive()
        self._arrived()

    def _arrived(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._headers, b"".join(self._body)))
        self._begin()

    def _failed(self, error: httpx.TransportError) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def _says_its_length(self) -> bool:
        return any(name.lower() in {b"content-length", b"transfer-encoding"} for name, _ in self._headers)


def _written(request: httpx.Request, body: bytes) -> bytes:
    """Write a request down. Raises: httpx.LocalProtocolError when a header would break out of its line."""
    lines = [b"%s %s HTTP/1.1" % (request.method.encode("ascii"), request.url.raw_path)]
    for name, value in request.headers.raw:
        if any(sign in value or sign in name for sign in _UNWRITABLE):
            raise httpx.LocalProtocolError("a header cannot be written")
        lines.append(b"%s: %s" % (name, value))
    return b"\r\n".join([*lines, b"", body])
