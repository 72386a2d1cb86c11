"""Frozen values to and from the JSON that PostgreSQL makes of its rows, by the values' own types.

1. `read(cls, write(value)) == value` for every value of our dataclasses.
2. Decimals never pass through a float: they are text on the way in and parsed as Decimal on the way out.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

import orjson

T = TypeVar("T")

_Reader = Callable[[Any], Any]


def loads(raw: bytes | str) -> Any:
    """Parse JSON with exact decimals."""
    return json.loads(raw, parse_float=Decimal)


def read(cls: type[T], row: dict[str, Any]) -> T:
    """Build a value from a row's JSON; columns the value does not know are left out."""
    known: Any = cls
    return cls(**{name: reader(row[name]) for name, reader in _readers(known) if name in row})


def read_all(cls: type[T], rows: Iterable[dict[str, Any]]) -> tuple[T, ...]:
    """Build values from rows."""
    return tuple(read(cls, row) for row in rows)


def values(value: Any) -> dict[str, Any]:
    """Return a value's columns, shallow: what is inside is frozen, or worded at once."""
    kind: Any = type(value)
    return {name: getattr(value, name) for name in _names(kind)}


def write(worded: Any) -> str | None:
    """Return the JSON of one value, or of several, for `jsonb_populate_record(set)`; None for None."""
    return None if worded is None else orjson.dumps(worded, default=_plain).decode()


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


@cache
def _names(cls: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(cls))


@cache
def _readers(cls: type[Any]) -> tuple[tuple[str, _Reader], ...]:
    assert is_dataclass(cls)
    hints = get_type_hints(cls)
    return tuple((field.name, _reader(hints[field.name])) for field in fields(cls))


def _reader(hint: Any) -> _Reader:
    if get_origin(hint) in (types.UnionType, Union):
        inner = _reader(next(arg for arg in get_args(hint) if arg is not type(None)))
        return lambda value: None if value is None else inner(value)
    if hint is Decimal:
        return lambda value: value if isinstance(value, Decimal) else Decimal(value)
    if hint is datetime:
        return datetime.fromisoformat
    if hint is date:
        return date.fromisoformat
    if isinstance(hint, type) and issubclass(hint, StrEnum):
        return hint
    return lambda value: value
