"""Recorded payloads as answers of a local server, and a broker that gets them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.factory import BrokerFactory
from libs.broker.tradier_session import Deadlines
from libs.common.http import Answer, Call, HttpClient
from libs.common.http_wire import Progress, Wire

PAYLOADS = Path(__file__).parent / "payloads"
ACCOUNT = "VA00000001"
TOKEN = "sandbox-token-1"
NOBODY = "http://127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server answers."""

    status: int
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Trouble(Enum):
    """What happens to a request instead of an answer."""

    REFUSED = "nobody listens"
    SILENT = "it is read and never answered"
    RESET = "it is read and its connection is torn down"
    DROPPED = "it is read and its connection is closed"
    NONSENSE = "it is answered with something that is not HTTP"


Step = Reply | Trouble


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked. Of a refused connection, what would have been."""

    method: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    content: bytes


def answer(name: str, status: int = 200) -> Answer:
    """Return a payload as an answer."""
    return Answer(status, {}, (PAYLOADS / name).read_bytes())


def response(name: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a payload as the server's reply."""
    return Reply(status, (PAYLOADS / name).read_bytes(), headers or {})


_open: list[Script] = []


async def close_all() -> None:
    """End the servers and connections of a test."""
    while _open:
        await _open.pop().close()


class Script(Wire):
    """Answers requests from a list, the last one for ever, and remembers what was asked.

    The calls are made over real connections; only whose they are is changed: a local server's, or nobody's.
    """

    def __init__(self, *steps: Step) -> None:
        """Take the answers in order."""
        super().__init__(max_connections=10, connect_timeout_s=1.0, keepalive_s=30.0)
        self.steps = list(steps)
        self.requests: list[Request] = []
        self.address = ""
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._patience = asyncio.timeout(None)

    def step(self, _request: Request) -> Step:
        """Say what to do with a request."""
        return self.steps.pop(0) if len(self.steps) > 1 else self.steps[0]

    async def exchange(self, call: Call, progress: Progress) -> Answer:
        """Make the call to the local server instead, or to nobody."""
        if self._server is None:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
            self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
            _open.append(self)
        path = urlsplit(call.url).path
        if self.steps and self.steps[0] is Trouble.REFUSED:
            request = Request(call.method, path, call.query or {}, call.headers, b"")
            self.requests.append(request)
            self.step(request)
            return await super().exchange(replace(call, url=NOBODY + path), progress)
        async with asyncio.timeout(None) as self._patience:
            return await super().exchange(replace(call, url=self.address + path), progress)

    async def close(self) -> None:
        """End the server, its connections and ours."""
        await super().close()
        if self._server is not None:
            self._server.close()
        for writer in self._connections:
            writer.transport.abort()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            while True:
                self.requests.append(await _request(reader))
                match self.step(self.requests[-1]):
                    case Reply() as reply:
                        writer.write(_bytes(reply))
                    case Trouble.NONSENSE:
                        writer.write(b"what is this\r\n\r\n")
                    case Trouble.RESET:
                        writer.transport.abort()
                    case Trouble.DROPPED:
                        break
                    case _:
                        self._patience.reschedule(asyncio.get_running_loop().time())
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()


async def _request(reader: asyncio.StreamReader) -> Request:
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    method, target, _ = first.split(" ")
    url = urlsplit(target)
    content = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, url.path, dict(parse_qsl(url.query)), headers, content)


def _bytes(reply: Reply) -> bytes:
    headers = {"Content-Length": str(len(reply.content)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} Recorded", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + reply.content


def broker(
    script: Script,
    *,
    mode: BrokerMode = BrokerMode.TRADIER_SANDBOX,
    live_enabled: bool = False,
    read_s: float = 2.0,
) -> BrokerProvider:
    """Return a broker whose every request the script answers."""
    http = HttpClient(wire=script, first_pause_s=0.0)
    factory = BrokerFactory(
        http,
        dict.fromkeys(BrokerMode, "https://broker.test/v1"),
        deadlines=Deadlines(read_s=read_s, write_s=2.0),
        live_enabled=live_enabled,
    )
    return factory.get_broker(mode, ACCOUNT, TOKEN)
