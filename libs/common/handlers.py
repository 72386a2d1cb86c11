"""What a handler is told and what it answers, and the marks that say which messages it takes.

The marks only note: importing a module of handlers registers nothing, `service.py` lists each handler.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel

from libs.common.messages.base import Asked, Envelope, Fact, Tick
from libs.common.messages.durables import DURABLES


class Accept(StrEnum):
    """How a consumer stays correct when facts come twice and in any order."""

    LATEST = "latest"
    """An older or equal version of the key is dropped: `unit.newest(ctx)`."""
    ONCE = "once"
    """Each message counts once: `unit.first(ctx)`."""


LATEST = Accept.LATEST
ONCE = Accept.ONCE


@dataclass(frozen=True)
class Context:
    """What surrounds the message being handled. `consumer` names the durable; `deliveries` counts this delivery too."""

    id: str
    user: str
    correlation_id: str
    occurred_at: datetime
    key: str | None = None
    key_version: int | None = None
    deadline_at: datetime | None = None
    causation_id: str | None = None
    via: str | None = None
    """Where the asking person or program was, in words; None for our own services."""
    consumer: str = ""
    deliveries: int = 1
    accepted: list[Accept] = field(default_factory=list, compare=False, repr=False)
    """Filled by `unit.newest` and `unit.first`: which questions the handler asked before it acted."""

    @classmethod
    def of(cls, envelope: Envelope, *, user: str, consumer: str = "", deliveries: int = 1) -> Context:
        """Build from an envelope; `user` is the subject's, never the payload's."""
        return cls(
            id=envelope.id,
            user=user,
            correlation_id=envelope.correlation_id,
            occurred_at=envelope.occurred_at,
            key=envelope.key,
            key_version=envelope.key_version,
            deadline_at=envelope.deadline_at,
            causation_id=envelope.causation_id,
            via=envelope.via,
            consumer=consumer,
            deliveries=deliveries,
        )


@dataclass(frozen=True)
class Reply:
    """An answer: HTTP's status, a JSON body and headers that the gateway hands on."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, content: BaseModel | Mapping[str, Any] | bytes, status: int = 200, **headers: str) -> Reply:
        """Answer `content` as JSON. Header names are given with underscores: `ETag=...`, `Idempotent_Replayed=...`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return cls(status, encode(content), named)

    def json(self) -> Any:
        """Read the body."""
        return orjson.loads(self.body)


def encode(content: BaseModel | Mapping[str, Any] | bytes) -> bytes:
    """Return `content` as JSON bytes, decimals as strings, times in UTC."""
    if isinstance(content, bytes):
        return content
    if isinstance(content, BaseModel):
        return content.model_dump_json().encode()
    # Column names come from SQLAlchemy as a kind of str, which orjson takes for a key only when asked to.
    return orjson.dumps(content, default=_plain, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    # asyncpg hands NUMERIC 100000 over as 1.0E+5; whoever reads money expects plain digits.
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@dataclass(frozen=True)
class Answers:
    """A handler of one command or query."""

    message: type[Asked]
    run: Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Consumes:
    """A handler of facts that one durable consumer brings."""

    messages: tuple[type[Fact], ...]
    durable: str
    accept: Accept
    run: Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Raw:
    """Somebody else's words, in no envelope. `id` is the same for each delivery of the same words."""

    subject: str
    data: bytes
    id: str
    deliveries: int = 1
    """How often it was delivered, this time counted."""


@dataclass(frozen=True)
class Receives:
    """A handler of everything that one durable consumer of other people's words brings."""

    durable: str
    run: Callable[..., Awaitable[None]]


@dataclass(frozen=True)
class Hears:
    """A handler of one kind of tick."""

    message: type[Tick]
    run: Callable[..., Awaitable[None]]


F = TypeVar("F", bound=Callable[..., Awaitable[Any]])

_MARK = "__bookend_handler__"


def answers(message: type[Asked]) -> Callable[[F], F]:
    """Mark `async def handler(message, ctx, deps) -> Reply | BaseModel | dict | bytes`."""

    def mark(handler: F) -> F:
        setattr(handler, _MARK, Answers(message, handler))
        return handler

    return mark


def consume(*messages: type[Fact], durable: str, accept: Accept) -> Callable[[F], F]:
    """Mark `async def handler(fact, ctx, deps) -> None`. Raises: ValueError for a durable that does not exist."""
    if durable not in DURABLES:
        message = f"no durable is called {durable}; libs/common/messages/durables.py lists them"
        raise ValueError(message)

    def mark(handler: F) -> F:
        setattr(handler, _MARK, Consumes(messages, durable, accept, handler))
        return handler

    return mark


def receive(*, durable: str) -> Callable[[F], F]:
    """Mark `async def handler(raw, deps) -> None`. Raises: ValueError for a durable that does not exist."""
    if durable not in DURABLES:
        message = f"no durable is called {durable}; libs/common/messages/durables.py lists them"
        raise ValueError(message)

    def mark(handler: F) -> F:
        setattr(handler, _MARK, Receives(durable, handler))
        return handler

    return mark


def hears(message: type[Tick]) -> Callable[[F], F]:
    """Mark `async def handler(tick, token, deps) -> None`; the token is the subject's: a ticker or a user."""

    def mark(handler: F) -> F:
        setattr(handler, _MARK, Hears(message, handler))
        return handler

    return mark


H = TypeVar("H", Answers, Consumes, Receives, Hears)


def is_marked(handler: Callable[..., Any], kind: type[Any]) -> bool:
    """Say whether a handler's mark is of this kind."""
    return isinstance(getattr(handler, _MARK, None), kind)


def marked(handler: Callable[..., Any], kind: type[H]) -> H:
    """Return what the mark on `handler` says. Raises: TypeError when it has another mark or none."""
    found = getattr(handler, _MARK, None)
    if not isinstance(found, kind):
        message = f"{handler.__module__}.{handler.__qualname__} is not marked as one that {kind.__name__.lower()}"
        raise TypeError(message)
    return found
