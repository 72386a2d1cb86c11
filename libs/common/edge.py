"""The outermost layer of every HTTP answer: correlation id, body limit, security headers, one line of metrics.

Pure ASGI, so that a stream of events passes through it unbuffered.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.common import log
from libs.common.errors import AppError, TooLarge, UpstreamUnavailable
from libs.common.ids import new_id
from libs.common.metrics import METRICS
from libs.common.problems import MEDIA_TYPE, encoded, public

_log = log.get(__name__)
_SECONDS = METRICS.histogram(
    "http_seconds", "Time from a request to the start of its answer", ["method", "route", "status"]
)

MAX_BODY_BYTES = 64 * 1024
HEALTH_PATHS = frozenset({"/livez", "/readyz", "/metrics"})
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
CORRELATION_HEADER = b"x-correlation-id"
_CORRELATION = re.compile(rb"[A-Za-z0-9._-]{8,64}")

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (
        b"content-security-policy",
        b"default-src 'self'; img-src 'self' data:; media-src 'self' data:; style-src 'self' 'unsafe-inline'; "
        b"object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
)


class _BodyTooLong(Exception):
    """The body passed its limit while it was read; ends the request from inside `receive`."""


class Edge:
    """Wraps an application. `is_open` says whether anything but health is answered yet."""

    def __init__(self, app: ASGIApp, *, is_open: Callable[[], bool]) -> None:
        self._app = app
        self._is_open = is_open

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; nothing is raised to the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = _Request(scope, receive, send)
        with log.bound_to(request.correlation_id):
            try:
                if scope["path"] not in HEALTH_PATHS and not self._is_open():
                    detail = "starting: not ready yet"
                    raise UpstreamUnavailable(detail)
                request.check_length()
                await self._app(scope, request.receive, request.send)
            except _BodyTooLong:
                await request.fail(_too_large())
            except Exception as error:  # noqa: BLE001 - the HTTP edge
                told = public(error)
                if told is not error:
                    _log.error("request_failed", method=scope["method"], path=scope["path"], exc_info=error)
                await request.fail(told)
            finally:
                request.count()


class _Request:
    """One request on its way through the edge."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._began = time.monotonic()
        self._seconds = 0.0
        self._body_bytes = 0
        self._is_too_long = False
        self._status = 0
        headers = dict(scope["headers"])
        given = headers.get(CORRELATION_HEADER, b"")
        self.correlation_id = given.decode() if _CORRELATION.fullmatch(given) else new_id()
        self._length = headers.get(b"content-length", b"")

    def check_length(self) -> None:
        """Refuse a body that says itself that it is too long."""
        if self._length.isdigit() and int(self._length) > MAX_BODY_BYTES:
            raise _BodyTooLong

    async def receive(self) -> Message:
        """Hand on what the client sends, up to the limit, however it is chunked."""
        message = await self._receive()
        self._body_bytes += len(message.get("body", b""))
        if self._body_bytes > MAX_BODY_BYTES:
            self._is_too_long = True
            raise _BodyTooLong
        return message

    async def send(self, message: Message) -> None:
        """Hand on what the application answers, with our headers."""
        if self._is_too_long and self._status == 0:
            # Some frameworks turn the exception into an answer of their own; it shall be ours.
            raise _BodyTooLong
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._seconds = time.monotonic() - self._began
            present = {name for name, _ in message["headers"]}
            ours = [header for header in SECURITY_HEADERS if header[0] not in present]
            if self._scope["path"].startswith("/api/") and b"cache-control" not in present:
                ours.append((b"cache-control", b"no-store"))
            ours.append((CORRELATION_HEADER, self.correlation_id.encode()))
            message = {**message, "headers": [*message["headers"], *ours]}
        await self._send(message)

    async def fail(self, error: AppError) -> None:
        """Answer with a problem, unless the answer has begun."""
        if self._status:
            return
        self._is_too_long = False
        body = encoded(error, self.correlation_id)
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *problem_headers(error),
        ]
        await self.send({"type": "http.response.start", "status": error.status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})

    def count(self) -> None:
        """Count the answer under its route's template, never under the path a stranger chose."""
        route: Any = self._scope.get("route")
        template = getattr(route, "path", None) or "unmatched"
        method = self._scope["method"] if self._scope["method"] in METHODS else "other"
        _SECONDS.labels(method, template, str(self._status)).observe(self._seconds)


def problem_headers(error: AppError) -> list[tuple[bytes, bytes]]:
    """Return the headers that go with an error: when to come back."""
    wait_s = error.extra.get("retry_after_s", 1 if error.status == UpstreamUnavailable.status else None)
    return [] if wait_s is None else [(b"retry-after", str(int(wait_s)).encode())]


def _too_large() -> TooLarge:
    return TooLarge(f"a body may have {MAX_BODY_BYTES} bytes")
