"""How what people and programs send is written: numbers, texts and documents that are safe to keep.

1. Money comes in as a number or a string and is a Decimal from here on.
2. A text holds no control character, a document no NaN, no depth and nothing that PostgreSQL cannot store.
"""

from __future__ import annotations

import math
from datetime import date
from decimal import Decimal
from typing import Annotated, Any, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    field_validator,
)

from libs.common.messages.vocabulary import BrokerMode, Duration, EntryType, OptionType

MAX_JSON_DEPTH = 16
"""How deep a document that a scanner attaches may nest."""


class Body(BaseModel):
    """What a caller sends. Unknown fields are refused, and true where a number is meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def true_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where the field is none of both: true would be 1, and buy one."""
        if isinstance(value, bool) and info.field_name is not None:
            kind = cls.model_fields[info.field_name].annotation
            if kind is not bool and bool not in get_args(kind):
                message = f"{str(value).lower()} is not a value of this field"
                raise ValueError(message)
        return value


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


PriceIn = Annotated[Decimal, Field(ge=0, max_digits=12, decimal_places=4)]
"""USD per share."""
FigureIn = Annotated[Decimal, Field(ge=-1_000_000_000, le=1_000_000_000, max_digits=40)]
"""A score or a ratio."""
Text = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(not_surrogate)]
Json = Annotated[dict[str, Any], AfterValidator(plain_json)]
Ticker = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9./^-]{0,9}$", to_upper=True)]
AccountId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,32}$")]


class EntryBody(Body):
    """How to get in; `limit_price` only with a limit."""

    type: EntryType
    limit_price: PriceIn | None = None
    duration: Duration = Duration.DAY


class PlaceBody(Body):
    """A trade to place. Prices in USD per share, quantity in contracts."""

    account_id: AccountId | None = None
    """The setting's when left out; with real money a program names it."""
    broker_mode: BrokerMode | None = None
    """The mode that is meant: refused where the settings name another."""
    ticker: Ticker
    option_type: OptionType
    strike: PriceIn
    expiry: date
    qty: Annotated[int, Field(ge=1, le=100_000)]
    entry: EntryBody
    sl_price: PriceIn | None = None
    tp_price: PriceIn | None = None
    strategy: Text | None = None
    card_score: FigureIn | None = None
    ai_score: FigureIn | None = None
    ai_verdict: Text | None = None
    gate_verdict: Text | None = None
    technical_score: FigureIn | None = None
    sentiment_score: FigureIn | None = None
    signals_snapshot: Json | None = None
    ai_reasoning_log: Json | None = None
