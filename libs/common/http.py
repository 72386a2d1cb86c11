"""One HTTP client for every outside system, which says of each failed call whether it can have happened.

A write that fails is `UpstreamUnavailable` only when no byte of it reached a socket, or when the answer was 429;
400, 401 and 403 are handed to the caller's parser as refusals; everything else is `OutcomeUnknown`. A write is sent
once unless the caller says that it is idempotent. Reads are repeated inside their deadline and end as
`UpstreamUnavailable`. URLs, queries and headers never reach a message or a log.
"""

from __future__ import annotations

import asyncio
import random
from enum import Enum
from typing import Final, Self, TypeVar

from aiohttp import ClientConnectorError, ClientError

from libs.common.errors import AppError, OutcomeUnknown, UpstreamError, UpstreamUnavailable
from libs.common.http_call import OPEN_GATE, Answer, BeforeSend, Call, Gate, OpenGate, Parser, Unreadable
from libs.common.http_limits import retry_after_s
from libs.common.http_wire import AskedAgain, NotWritten, Progress, Wire

__all__ = ["OPEN_GATE", "Answer", "Call", "Gate", "HttpClient", "OpenGate", "Parser", "Unreadable"]

T = TypeVar("T")

REFUSALS: Final = frozenset({400, 401, 403})
"""Answers to a write that prove it was not carried out, whatever their body (429 too, which is waited for)."""
CONNECT_TIMEOUT_S: Final = 3.0
KEEPALIVE_S: Final = 30.0
FIRST_PAUSE_S: Final = 0.1

_UNCONNECTED: Final = (ClientError, NotWritten, OSError, TimeoutError)
"""What ends an attempt before its first byte. Everything else is our own mistake, or said by `before_send`."""
_UNREADABLE: Final = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a parser raises when an answer is not what it expected."""


class _Ending(Enum):
    NOT_SENT = "not sent"
    UNKNOWN = "unknown"
    THROTTLED = "throttled"


class _Failed(Exception):
    def __init__(self, ending: _Ending, detail: str, wait_s: float | None = None) -> None:
        super().__init__(detail)
        self.ending, self.detail, self.wait_s = ending, detail, wait_s


class HttpClient:
    """A pool of kept-alive connections, shared by a whole process. Close it, or use it as a context manager."""

    def __init__(
        self,
        *,
        max_connections: int = 100,
        connect_timeout_s: float = CONNECT_TIMEOUT_S,
        keepalive_s: float = KEEPALIVE_S,
        first_pause_s: float = FIRST_PAUSE_S,
        wire: Wire | None = None,
    ) -> None:
        """Open nothing yet; `connect_timeout_s` is for waiting for a free connection too."""
        self._first_pause_s = first_pause_s
        self._wire = wire or Wire(
            max_connections=max_connections, connect_timeout_s=connect_timeout_s, keepalive_s=keepalive_s
        )

    async def __aenter__(self) -> Self:
        """Return the client itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close it."""
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._wire.close()

    async def read(
        self, call: Call, parse: Parser[T], *, deadline_s: float, gate: Gate = OPEN_GATE, repeats: int = 2
    ) -> T:
        """Ask until an answer can be read, at most 1 + `repeats` times inside the deadline.

        The parser sees every status but 429. Raises: what `parse` raises; UpstreamUnavailable.
        """
        try:
            async with asyncio.timeout(deadline_s):
                return await self._repeated(call, parse, gate, repeats, deadline_s)
        except TimeoutError as error:
            raise UpstreamUnavailable(f"{call.what}: no answer within {deadline_s:g} s") from error
        except _Failed as failed:
            raise _unavailable(failed) from failed

    async def write(
        self,
        call: Call,
        parse: Parser[T],
        *,
        deadline_s: float,
        gate: Gate = OPEN_GATE,
        before_send: BeforeSend | None = None,
        repeats: int = 0,
    ) -> T:
        """Change something. Sent once unless `repeats` says that it is idempotent.

        The budget is taken first, then `before_send` runs, then the deadline starts, and `before_send` runs once more
        when a connection is there, right before the first byte: opening one takes time, in which a process may stop.
        The parser sees 2xx and refusals. Raises: what `parse` or `before_send` raises; UpstreamUnavailable;
        OutcomeUnknown.
        """
        try:
            async with asyncio.timeout(deadline_s):
                await gate.enter()
        except TimeoutError as error:
            raise UpstreamUnavailable(f"{call.what}: no room in the request budget within {deadline_s:g} s") from error
        if before_send is not None:
            await before_send()
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline_s
        unknown: _Failed | None = None
        for attempt in range(repeats + 1):
            try:
                if attempt:
                    await _enter_again(call, gate, ends_at)
                # A repeat is not asked: what was sent before it may have arrived, whatever holds by now.
                last_look = None if attempt else before_send
                return await self._attempt(call, _strict(parse), gate, ends_at - loop.time(), last_look)
            except _Failed as failed:
                unknown = failed if failed.ending is _Ending.UNKNOWN else unknown
                pause_s = _pause_s(failed, attempt, self._first_pause_s)
                if attempt == repeats or loop.time() + pause_s >= ends_at:
                    raise (OutcomeUnknown(unknown.detail) if unknown else _unavailable(failed)) from failed
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _repeated(self, call: Call, parse: Parser[T], gate: Gate, repeats: int, deadline_s: float) -> T:
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline_s
        for attempt in range(repeats + 1):
            await gate.enter()
            try:
                return await self._attempt(call, parse, gate, None)
            except _Failed as failed:
                pause_s = _pause_s(failed, attempt, self._first_pause_s)
                if attempt == repeats or loop.time() + pause_s >= ends_at:
                    raise
            await asyncio.sleep(pause_s)
        raise AssertionError("unreachable: the last attempt returns or raises")

    async def _attempt(
        self,
        call: Call,
        parse: Parser[T],
        gate: Gate,
        timeout_s: float | None,
        before_send: BeforeSend | None = None,
    ) -> T:
        progress = Progress(before_send)
        try:
            async with asyncio.timeout(timeout_s):
                answer = await self._wire.exchange(call, progress)
        except Exception as error:
            if not progress.has_begun and not isinstance(error, _UNCONNECTED):
                raise
            ending = _Ending.UNKNOWN if progress.has_begun else _Ending.NOT_SENT
            # Not its cause: the library's errors tell whole addresses and headers.
            raise _Failed(ending, f"{call.what}: {_reason(error)}") from None
        gate.seen(answer)
        if answer.status == 429:
            wait_s = retry_after_s(answer.headers)
            raise _Failed(_Ending.THROTTLED, f"{call.what}: too many requests", wait_s)
        try:
            return parse(answer)
        except AppError:
            raise
        except _UNREADABLE as error:
            detail = f"{call.what}: answered {answer.status} with something unexpected"
            raise _Failed(_Ending.UNKNOWN, detail) from error


async def _enter_again(call: Call, gate: Gate, ends_at: float) -> None:
    """Take the budget of a repeated write; being refused it is one more attempt that was not sent."""
    try:
        async with asyncio.timeout_at(ends_at):
            await gate.enter()
    except UpstreamUnavailable as error:
        raise _Failed(_Ending.NOT_SENT, error.detail) from error
    except TimeoutError as error:
        raise _Failed(_Ending.NOT_SENT, f"{call.what}: no room in the request budget") from error


def _strict(parse: Parser[T]) -> Parser[T]:
    """Keep everything but success and refusals from a write's parser."""

    def parse_write(answer: Answer) -> T:
        if not answer.is_ok and answer.status not in REFUSALS:
            raise Unreadable(f"status {answer.status}")
        return parse(answer)

    return parse_write


def _pause_s(failed: _Failed, attempt: int, first_s: float) -> float:
    if failed.ending is _Ending.THROTTLED:
        return _told_s(failed)
    spread = random.uniform(0.5, 1.0)  # noqa: S311 - spreads repeats, guards nothing
    return first_s * float(2**attempt) * spread


def _unavailable(failed: _Failed) -> UpstreamError:
    if failed.ending is _Ending.THROTTLED:
        return UpstreamUnavailable(failed.detail, retry_after_s=round(_told_s(failed), 1))
    return UpstreamUnavailable(failed.detail)


def _told_s(failed: _Failed) -> float:
    """Return how long a 429 says to wait; one that does not say, a second."""
    return 1.0 if failed.wait_s is None else failed.wait_s


def _reason(error: Exception) -> str:
    """Name an error without its text, which may hold an address; our own say what happened."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ClientConnectorError):
        return "could not connect"
    if isinstance(error, NotWritten):
        return str(error)
    if isinstance(error, AskedAgain):
        return "the connection broke"
    return f"the connection failed ({type(error).__name__})"
