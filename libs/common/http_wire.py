"""What libs.common.http stands on: one call over one kept-alive connection, written at most once.

Only here is the HTTP library known. What it leaves to its user is done where a connection is handed out: nothing is
written a second time, a connection that was closed or said something unasked is not used, and the caller has the last
word before the first byte.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import select
import ssl
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode
from weakref import WeakSet

import aiohttp
import certifi
from yarl import URL

from libs.common.http_call import Answer, BeforeSend, Call

if TYPE_CHECKING:
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_CLOSE_S: Final = 2.0
_LONGEST_HEADER: Final = 65_536
_CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_KEPT_IN_URLS: Final = ":/?#[]@!$&'()*+,;=%~"
"""Everything that means something in an address, and `%`: what was escaped stays as it is."""
_HEADERS: Final = {"User-Agent": "bookend", "Accept-Encoding": "gzip, deflate", "Connection": "keep-alive"}


class NotWritten(Exception):
    """A call failed, and nothing of it was written."""


class AskedAgain(Exception):
    """The library was about to write once more what may have been written."""


class Progress:
    """How far one attempt got. It `has_begun` from the moment a byte may have been written."""

    __slots__ = ("before_send", "has_begun")

    def __init__(self, before_send: BeforeSend | None = None) -> None:
        self.before_send = before_send
        self.has_begun = False


_attempt: ContextVar[Progress] = ContextVar("http_attempt")


class _Connections(aiohttp.TCPConnector):
    """The pool. The library writes to what it is handed here, and to nothing else."""

    def __init__(self, *, limit: int, keepalive_s: float) -> None:
        """Ask for names anew each time, and verify what is encrypted."""
        super().__init__(
            limit=limit,
            keepalive_timeout=keepalive_s,
            ssl=_tls(),
            resolver=aiohttp.ThreadedResolver(),
            use_dns_cache=False,
        )
        self._known: WeakSet[ResponseHandler] = WeakSet()

    async def connect(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection to write to, once for each attempt.

        Raises: AskedAgain, because the library repeats GET, PUT and DELETE by itself where a connection broke;
        NotWritten; what `before_send` raises.
        """
        progress = _attempt.get()
        if progress.has_begun:
            raise AskedAgain
        connection = await self._silent(req, traces, timeout)
        if progress.before_send is not None:
            try:
                await progress.before_send()
                if connection.closed or _has_spoken(connection):
                    raise NotWritten("the connection was closed")
            except BaseException:
                connection.close()
                raise
        progress.has_begun = True
        return connection

    async def _silent(
        self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout
    ) -> Connection:
        """Return a connection on which there is nothing to read: neither its end nor an answer to nothing."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is not None and protocol not in self._known:
                self._known.add(protocol)
                if connection.closed or not _has_spoken(connection):
                    return connection
                connection.close()
                raise NotWritten("the other side spoke first")
            if not (connection.closed or _has_spoken(connection) or _is_readable(connection)):
                return connection
            connection.close()


def _has_spoken(connection: Connection) -> bool:
    return connection.protocol is None or connection.protocol.should_close


def _is_readable(connection: Connection) -> bool:
    """Ask the system: what came since the loop last looked is not known to the library yet."""
    transport = connection.transport
    of_system = None if transport is None else transport.get_extra_info("socket")
    if of_system is None:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([of_system.fileno()], [], [], 0)[0])
    poll = select.poll()
    poll.register(of_system.fileno(), select.POLLIN)
    return bool(poll.poll(0))


class Wire:
    """The connections of one process, opened with the first call."""

    def __init__(self, *, max_connections: int, connect_timeout_s: float, keepalive_s: float) -> None:
        """`connect_timeout_s` is for getting a connection: waiting for a free one, its name, TCP and TLS."""
        _silence_library_logs()
        self._max_connections, self._keepalive_s = max_connections, keepalive_s
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_timeout_s)
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, call: Call, progress: Progress) -> Answer:
        """Send a call and read its answer completely. Raises: NotWritten; whatever the library raises."""
        url, headers, body = _written(call)
        if self._session is None:
            self._session = self._open()
        mine = _attempt.set(progress)
        try:
            async with self._session.request(
                call.method, url, headers=headers, data=body, allow_redirects=False
            ) as response:
                return Answer(response.status, response.headers, await response.read())
        finally:
            _attempt.reset(mine)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_S):
                    await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        """Take no proxy or netrc from the environment and keep no cookie: the pool serves every user's tokens."""
        return aiohttp.ClientSession(
            connector=_Connections(limit=self._max_connections, keepalive_s=self._keepalive_s),
            timeout=self._timeout,
            headers=_HEADERS,
            skip_auto_headers=("Content-Type",),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
        )


@cache
def _tls() -> ssl.SSLContext:
    """Verify by the certificates that are installed with us, whatever the environment says."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.set_alpn_protocols(["http/1.1"])
    return context


def _written(call: Call) -> tuple[URL, dict[str, str], bytes | None]:
    """Write a call's address, headers and body. Raises: NotWritten."""
    url = quote(call.url, safe=_KEPT_IN_URLS)
    if call.query:
        url = f"{url}?{urlencode(call.query)}"
    headers = dict(call.headers)
    body = None
    if call.form:
        body = urlencode(call.form).encode()
        headers["Content-Type"] = "application/x-www-form-urlencoded"
    elif call.json is not None:
        body = json.dumps(call.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        headers["Content-Type"] = "application/json"
    if any(_CONTROL.search(name) or _CONTROL.search(value) for name, value in headers.items()):
        raise NotWritten("a header that cannot be written")
    try:
        address = URL(url, encoded=True)
        is_whole = address.raw_host is not None and address.port is not None
    except ValueError:
        is_whole = False
    if not is_whole:
        raise NotWritten("an address that is none")
    return address, headers, body


_LIBRARY_LOGGERS: Final = ("aiohttp.client", "aiohttp.internal")


def _above_info(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO


def _silence_library_logs() -> None:
    """Drop what the library says in passing, at whatever level logging is set."""
    for name in _LIBRARY_LOGGERS:
        logger = logging.getLogger(name)
        if _above_info not in logger.filters:
            logger.addFilter(_above_info)
