"""What every body and every answer over HTTP shares: how numbers, texts and problems are written.

Bodies refuse what they do not know; money comes in as a number or a string and goes out as a string.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from libs.common.messages.inputs import AccountId, Body, PriceIn, Text, Ticker, not_surrogate

__all__ = [
    "AccountId",
    "AmountIn",
    "Answer",
    "Body",
    "Cursor",
    "Figure",
    "From",
    "LongText",
    "PriceIn",
    "Problem",
    "Text",
    "Ticker",
    "To",
    "TradeId",
    "not_surrogate",
]

NEW_YORK = ZoneInfo("America/New_York")


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

AmountIn = Annotated[Decimal, Field(ge=0, max_digits=16, decimal_places=2)]
"""USD."""
LongText = Annotated[str, StringConstraints(max_length=20_000), AfterValidator(not_surrogate)]
Cursor = Annotated[str, StringConstraints(pattern=r"^[!-~]{1,400}$")]
"""Where the next page begins; opaque."""
TradeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
From = Annotated[datetime, BeforeValidator(from_start_of_day), AfterValidator(_in_reach)]
"""A time, or a date: the beginning of that day in New York."""
To = Annotated[datetime, BeforeValidator(to_end_of_day), AfterValidator(_in_reach)]
"""A time, or a date: the end of that day in New York."""
