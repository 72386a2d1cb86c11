"""What every body and every answer over HTTP shares: how numbers, texts and problems are written.

Bodies refuse what they do not know; money comes in as a number or a string and goes out as a string.
"""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

NEW_YORK = ZoneInfo("America/New_York")

MAX_JSON_DEPTH = 16
"""How deep a document that a scanner attaches may nest."""


class Body(BaseModel):
    """What a caller sends. Unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What a caller gets. New fields may be added to an answer at any time."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class Problem(Answer):
    """An error. Source: RFC 9457 §3. `code` is stable; `detail` is for people."""

    model_config = ConfigDict(extra="allow", frozen=True)

    code: str
    title: str
    status: int
    detail: str
    correlation_id: str | None = None


def not_surrogate(value: str) -> str:
    """Return `value` unless a control character or half a character is in it. Raises: ValueError."""
    if any((ord(char) < 32 and char not in "\n\t\r") or 0xD800 <= ord(char) <= 0xDFFF for char in value):
        message = "contains a control character"
        raise ValueError(message)
    return value


def plain_json(value: Any, depth: int = 0) -> Any:
    """Return a JSON value unless it is nested too deep or holds what PostgreSQL cannot store. Raises: ValueError."""
    if depth > MAX_JSON_DEPTH:
        message = f"nested deeper than {MAX_JSON_DEPTH}"
        raise ValueError(message)
    if isinstance(value, str):
        not_surrogate(value)
    elif isinstance(value, float) and not math.isfinite(value):
        message = "not a finite number"
        raise ValueError(message)
    elif isinstance(value, dict):
        for key, inner in value.items():
            plain_json(key, depth + 1)
            plain_json(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            plain_json(inner, depth + 1)
    return value


def from_start_of_day(value: Any) -> Any:
    """Read a bare date as that day's beginning in New York."""
    return _moment(value, timedelta(0))


def to_end_of_day(value: Any) -> Any:
    """Read a bare date as that day's end in New York."""
    return _moment(value, timedelta(days=1))


def _moment(value: Any, offset: timedelta) -> Any:
    if not isinstance(value, str) or len(value) != len("2026-12-18"):
        return value
    try:
        day = date.fromisoformat(value)
        return datetime.combine(day + offset, time(), NEW_YORK)
    except (ValueError, OverflowError):
        return value


def _in_reach(value: datetime) -> datetime:
    if not 1990 <= value.year <= 2199:
        message = "between the years 1990 and 2199"
        raise ValueError(message)
    return (value if value.tzinfo else value.replace(tzinfo=NEW_YORK)).astimezone(UTC)


Figure = Decimal | float
"""A Greek, a volatility: no money, so a number will do."""

PriceIn = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]
"""USD per share."""
AmountIn = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=2)]
"""USD."""
FigureIn = Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000, max_digits=40)]
"""A score or a ratio."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(not_surrogate)]
LongText = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(not_surrogate)]
Json = Annotated[dict[str, Any], AfterValidator(plain_json)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,400}$")]
"""Where the next page begins; opaque."""
TradeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Ticker = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9./^-]{0,9}$", to_upper=True)]
AccountId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]
From = Annotated[datetime, BeforeValidator(from_start_of_day), AfterValidator(_in_reach)]
"""A time, or a date: the beginning of that day in New York."""
To = Annotated[datetime, BeforeValidator(to_end_of_day), AfterValidator(_in_reach)]
"""A time, or a date: the end of that day in New York."""
