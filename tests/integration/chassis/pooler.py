"""A transaction-mode pooler of a hundred lines: the worst that PgBouncer may do to a client, on purpose every time.

Each client logs in through to a server session of its own; from then on all sessions are shared, and each transaction
goes to the session that was used longest ago, and to its client's last only when there is no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_SSL_REQUEST = 80877103
_CANCEL_REQUEST = 80877102


@dataclass
class Session:
    """One session at the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    transactions: int = 0


@dataclass
class Held:
    """A session in the hands of a client, for one transaction."""

    session: Session
    outstanding: int = 0
    answering: asyncio.Future[None] = field(default_factory=asyncio.Future)


@dataclass
class Pooler:
    """Shares the sessions of one server. `switches` counts transactions that met another session than the last."""

    host: str
    port: int
    switches: int = 0
    _free: deque[Session] = field(default_factory=deque)
    _all: list[Session] = field(default_factory=list)
    _returned: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        try:
            if not await self._log_in(reader, writer):
                return
            await self._relay(reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            pass
        finally:
            writer.close()

    async def end(self) -> None:
        """Leave every session."""
        for session in self._all:
            session.writer.close()
            with contextlib.suppress(ConnectionError):
                await session.writer.wait_closed()

    async def _log_in(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        startup = await _read_untyped(reader)
        (code,) = struct.unpack("!I", startup[4:8])
        if code == _SSL_REQUEST:
            writer.write(b"N")
            startup = await _read_untyped(reader)
        elif code == _CANCEL_REQUEST:
            return False
        session = Session(*await asyncio.open_connection(self.host, self.port))
        self._all.append(session)
        session.writer.write(startup)
        while True:
            kind, message = await _read_message(session.reader)
            writer.write(message)
            if kind == b"Z":
                self._give_back(session)
                return True
            # 0 is "you are in", 12 the end of SCRAM's own words: neither is a question.
            if kind == b"R" and struct.unpack("!I", message[5:9])[0] not in {0, 12}:
                session.writer.write((await _read_message(reader))[1])

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held: Held | None = None
        last: Session | None = None
        try:
            while True:
                kind, message = await _read_message(reader)
                if kind == b"X":
                    return
                if held is None or held.answering.done():
                    held = Held(await self._take(last))
                    self.switches += last is not None and last is not held.session
                    last = held.session
                    held.answering = asyncio.ensure_future(self._answer(held, writer))
                # Query and Sync are each answered by one ReadyForQuery.
                held.outstanding += kind in {b"Q", b"S"}
                held.session.writer.write(message)
        finally:
            if held is not None:
                held.answering.cancel()

    async def _answer(self, held: Held, writer: asyncio.StreamWriter) -> None:
        """Hand answers on until the transaction is over, and give the session back."""
        while True:
            kind, message = await _read_message(held.session.reader)
            writer.write(message)
            held.outstanding -= kind == b"Z"
            if kind == b"Z" and not held.outstanding and message[5:6] == b"I":
                self._give_back(held.session)
                return

    async def _take(self, last: Session | None) -> Session:
        while not self._free:
            self._returned.clear()
            await self._returned.wait()
        found = next((session for session in self._free if session is not last), self._free[0])
        self._free.remove(found)
        return found

    def _give_back(self, session: Session) -> None:
        session.transactions += 1
        self._free.append(session)
        self._returned.set()


@asynccontextmanager
async def pooler(host: str, port: int) -> AsyncIterator[tuple[Pooler, int]]:
    """Run a pooler before a server; yields it and the port it listens on."""
    made = Pooler(host, port)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await made.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield made, server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await made.end()


async def _read_untyped(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!I", head)[0] - 4)


async def _read_message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    head = await reader.readexactly(5)
    return head[:1], head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
