"""Golden messages: one recorded envelope per message and edition, which must stay readable for ever.

`python -m tests.architecture.golden` records the ones that are missing and never touches one that is there: a message
that changed so that its golden file cannot be read needs a new edition, not a new file.
"""

from __future__ import annotations

import types
import typing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

import libs.common.messages.orders  # noqa: F401 - the package registers every message
from libs.common.messages.base import COMMANDS, FACTS, QUERIES, TICKS, Asked, Envelope, Fact, Message

FOLDER = Path(__file__).parent / "golden"
MOMENT = datetime(2026, 11, 20, 15, 30, 0, 250_000, tzinfo=UTC)

_PLAIN: dict[Any, Any] = {
    str: "text",
    int: 7,
    bool: True,
    Decimal: Decimal("4.20"),
    datetime: MOMENT,
    date: date(2026, 12, 18),
    Any: "anything",
}


def all_messages() -> list[type[Message]]:
    """List every registered message."""
    return [*COMMANDS.values(), *QUERIES.values(), *FACTS.values(), *TICKS.values()]


def path_of(kind: type[Message]) -> Path:
    """Say where the golden file of one message is."""
    return FOLDER / f"{kind.owner}.{kind.topic}.v{kind.edition}.json"


def sample(kind: type[BaseModel]) -> Any:
    """Make a message with every field filled, the optional ones too."""
    return kind.model_validate({name: _value(field.annotation) for name, field in kind.model_fields.items()})


def envelope_of(message: Message) -> bytes:
    """Put a message into an envelope that never changes."""
    envelope = Envelope(
        id="01a1fc2a-2e3b-7f7d-b6d3-524391503d92",
        user="alice",
        key=message.key if isinstance(message, Fact) else getattr(message, "idempotency_key", None),
        key_version=3 if isinstance(message, Fact) else None,
        occurred_at=MOMENT,
        deadline_at=MOMENT if isinstance(message, Asked) else None,
        causation_id="01a1fc2a-2e3b-7600-bc6d-1ed3ccfe644b",
        correlation_id="01a1fc2a-2e3b-7611-8c6d-1ed3ccfe644b",
    )
    return envelope.encode(message)


def _value(annotation: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in {typing.Union, types.UnionType}:
        return _value(next(one for one in arguments if one is not types.NoneType))
    if origin is tuple:
        return (_value(arguments[0]),)
    if origin is dict:
        return {"name": _value(arguments[1])}
    if annotation in _PLAIN:
        return _PLAIN[annotation]
    return sample(annotation) if issubclass(annotation, BaseModel) else next(iter(annotation))


def record_missing() -> list[Path]:
    """Write the golden files that are not there yet."""
    FOLDER.mkdir(exist_ok=True)
    missing = [kind for kind in all_messages() if not path_of(kind).exists()]
    for kind in missing:
        document = orjson.loads(envelope_of(sample(kind)))
        path_of(kind).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    return [path_of(kind) for kind in missing]


if __name__ == "__main__":
    record_missing()
