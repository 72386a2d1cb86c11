"""The door of both vendors' interfaces: who asks, how often, and which fault meets the request."""

import asyncio
import contextlib
import hashlib
import re
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

import orjson

from simulator.faults import Fault
from simulator.world import World

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

JSON = b"application/json"
TEXT = b"text/plain"
HTML = b"text/html"
PAGE = b"<!DOCTYPE html><html><head><title>Tradier API</title></head><body><h1>Bad gateway</h1></body></html>"
_NUMBERED = re.compile(r"-(\d+)$")


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `headers` are beside the content type."""

    status: int
    body: bytes
    kind: bytes = JSON
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request whose sender is known. `params` joins query and form, the form winning."""

    method: str
    path: str
    params: dict[str, str]
    body: bytes
    account: str
    host: str
    parts: tuple[str, ...] = ()
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One thing a vendor answers. The bucket is what its requests count against."""

    method: str
    path: re.Pattern[str]
    answer: Callable[[World, Ask], Reply]
    bucket: str


def route(method: str, path: str, bucket: str, answer: Callable[[World, Ask], Reply]) -> Route:
    """Write a route with `{}` for each part that varies."""
    pattern = "".join("([^/]+)" if part == "{}" else re.escape(part) for part in re.split(r"(\{\})", path))
    return Route(method, re.compile(pattern), answer, bucket)


def json_reply(body: object, status: int = 200) -> Reply:
    """Answer with JSON."""
    return Reply(status, orjson.dumps(body))


def text_reply(status: int, words: str) -> Reply:
    """Answer with plain text."""
    return Reply(status, words.encode(), TEXT)


def gateway_fault(status: int, words: str, code: str) -> Reply:
    """Answer as the API gateway in front of Tradier does."""
    return json_reply({"fault": {"faultstring": words, "detail": {"errorcode": code}}}, status)


INVALID_TOKEN = gateway_fault(401, "Invalid Access Token", "keymanagement.service.invalid_access_token")
WRONG_ENVIRONMENT = gateway_fault(
    401,
    "Invalid API call as no apiproduct match found",
    "keymanagement.service.InvalidAPICallAsNoApiProductMatchFound",
)
OVER_QUOTA = gateway_fault(
    429, "Rate limit quota violation. Quota limit  exceeded. Identifier : token", "policies.ratelimit.QuotaViolation"
)
BROKEN = {
    "status_500": text_reply(500, "An error occurred while communicating with the backend."),
    "status_502_html": Reply(502, PAGE, HTML),
    "status_503": text_reply(503, "Service Unavailable"),
    "status_400": text_reply(400, "Invalid parameter, account: is not valid."),
    "status_401": INVALID_TOKEN,
    "status_403": text_reply(403, "Forbidden"),
    "status_429": OVER_QUOTA,
    "datastore_500": gateway_fault(500, "Datastore Error", "steps.servicecallout.ExecutionFailed"),
    "html_200": Reply(200, PAGE.replace(b"Bad gateway", b"Documentation"), HTML),
}
BROKEN["status_500_after"] = BROKEN["status_500"]
LANDS_ANYWAY = frozenset({"status_500_after", "status_502_html", "html_200"})


def account_of(token: str) -> str:
    """Tell whose account a token opens: the number at its end, or one made from its hash."""
    numbered = _NUMBERED.search(token)
    if numbered and len(numbered[1]) <= 8:
        return f"VA{int(numbered[1]):08d}"
    return f"VA{10_000_000 + int(hash_of(token), 16) % 90_000_000:08d}"


def hash_of(token: str) -> str:
    """Name a token without telling it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]


def headers_of(scope: Scope) -> dict[bytes, bytes]:
    """Collect a request's headers."""
    return dict(scope["headers"])


async def read_body(receive: Receive) -> bytes:
    """Read a whole request body."""
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(chunks)


def read_params(scope: Scope, body: bytes, content_type: bytes) -> dict[str, str]:
    """Join query and form: clients put their parameters in either."""
    params = dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True))
    if body and not content_type.startswith(JSON):
        params |= dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    return params


def is_preview(params: dict[str, str]) -> bool:
    """Say whether a placement only asks."""
    return params.get("preview", "").lower() == "true"


async def send_reply(send: Send, reply: Reply) -> None:
    """Put an answer on the wire."""
    headers = [(b"content-type", reply.kind), (b"content-length", str(len(reply.body)).encode()), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


async def until_gone(receive: Receive) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def cut(scope: Scope, receive: Receive) -> None:
    """End the connection without an answer."""
    scope["state"]["transport"].abort()
    await until_gone(receive)


class Edge:
    """An ASGI application over a table of routes."""

    def __init__(
        self, world: World, routes: list[Route], check: Callable[[World, Scope, Ask, str], Reply | None]
    ) -> None:
        self.world = world
        self.routes = routes
        self.check = check

    def _find(self, method: str, path: str) -> tuple[Route | None, tuple[str, ...]]:
        for one in self.routes:
            if one.method == method and (match := one.path.fullmatch(path)):
                return one, match.groups()
        return None, ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        world, method, path = self.world, scope["method"], scope["path"]
        headers = headers_of(scope)
        body = await read_body(receive)
        params = read_params(scope, body, headers.get(b"content-type", b""))
        token = headers.get(b"authorization", b"").decode("latin-1").removeprefix("Bearer ").strip()
        token = token or params.get("token", "")
        account = account_of(token)
        writes = params if method == "POST" and not is_preview(params) else {}
        side = writes.get("side") or writes.get("side[0]")
        world.note(method, path, hash_of(token), account, tag=writes.get("tag"), side=side)
        if world.toggles.latency_ms:
            await asyncio.sleep(world.toggles.latency_ms / 1000)
        found, parts = self._find(method, path)
        ask = Ask(method, path, params, body, account, headers.get(b"host", b"").decode("latin-1"), parts)
        reply = self.check(world, scope, ask, token)
        if reply is None and found is None:
            reply = text_reply(404, "Not Found")
        if reply is not None or found is None:
            await send_reply(send, reply or text_reply(404, "Not Found"))
            return
        quota: list[tuple[bytes, bytes]] = []
        if world.toggles.rate_limit:
            allowed = getattr(world.toggles, f"rate_{found.bucket}")
            fits, quota = world.windows.take(token, found.bucket, allowed, time.time())
            if not fits:
                await send_reply(send, Reply(429, OVER_QUOTA.body, headers=quota))
                return
        fault = None if is_preview(params) else world.faults.for_request(method, path, account)
        reply = await self._answer(scope, receive, found, replace(ask, fault=fault))
        if reply is not None:
            await send_reply(send, Reply(reply.status, reply.body, reply.kind, [*reply.headers, *quota]))

    async def _answer(self, scope: Scope, receive: Receive, found: Route, ask: Ask) -> Reply | None:
        """Answer under a fault; None when the connection was lost instead."""
        fault = ask.fault
        kind = fault.kind if fault else ""
        if kind in ("hang", "drop_before"):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(until_gone(receive), fault.delay_s if fault else 0)
            await cut(scope, receive)
            return None
        if kind in BROKEN and kind not in LANDS_ANYWAY:
            return BROKEN[kind]
        reply = found.answer(self.world, ask)
        if kind == "drop_after":
            await cut(scope, receive)
            return None
        if kind == "slow":
            await asyncio.sleep(fault.delay_s if fault else 0)
        return BROKEN.get(kind, reply)
