"""One request, its answer, and who stands in between: the words libs.common.http speaks."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, NoReturn, Protocol, TypeVar

import orjson

T = TypeVar("T")
BeforeSend = Callable[[], Awaitable[None]]
"""Runs after the budget was taken and again as the last thing before the socket is written; raising stops the write."""


class Unreadable(ValueError):
    """An answer is not the one expected. Transient for a read, an unknown outcome for a write."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `what` names it in messages ("place order"); the URL and its query never appear in one."""

    method: str
    url: str
    what: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] | None = None
    form: Mapping[str, str] | None = None
    json: Any = None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back, read completely."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_ok(self) -> bool:
        """Say whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode(errors="replace")

    def exact_json(self) -> Any:
        """Read JSON with its fractions as Decimals, for money. Raises: Unreadable."""
        try:
            return json.loads(self.body, parse_float=Decimal, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise Unreadable("the body is not JSON") from error

    def quick_json(self) -> Any:
        """Read JSON with floats, for what is not money. Raises: Unreadable."""
        try:
            return orjson.loads(self.body)
        except ValueError as error:
            raise Unreadable("the body is not JSON") from error


def _refuse_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number")


Parser = Callable[[Answer], T]
"""Reads an answer: returns what was asked for, raises an AppError for a refusal, or Unreadable (any ValueError)."""


class Gate(Protocol):
    """Stands before each attempt (a request budget) and sees each answer (its rate headers)."""

    async def enter(self) -> None:
        """Wait for the right to send. Raises: UpstreamUnavailable."""

    def seen(self, answer: Answer) -> None:
        """Learn from an answer's headers."""


class OpenGate:
    """Lets everything through."""

    async def enter(self) -> None:
        """Return at once."""

    def seen(self, answer: Answer) -> None:
        """Learn nothing."""


OPEN_GATE: Final = OpenGate()
