"""Facts as rows of the outbox: a row is the envelope, column by column, so that every relay builds the same bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from libs.common import log
from libs.common.errors import TooLarge
from libs.common.ids import new_id
from libs.common.messages.base import MAX_MESSAGE_BYTES, Envelope, Fact

_ENVELOPE_BYTES = 2048
"""Room left for what surrounds the data."""

_COLUMNS = {
    "fact_id": "text",
    "subject": "text",
    "username": "text",
    "key": "text",
    "key_version": "bigint",
    "correlation_id": "text",
    "causation_id": "text",
    "data": "text",
}


@cache
def telling(schema: str, taken: int) -> str:
    """Return one statement for all facts of a unit, its arguments (`columns`) numbered after those that are `taken`.

    The ids follow the order they were said in; the time is the database's.
    """
    names = ", ".join(_COLUMNS)
    arrays = ", ".join(f"${nth}::{kind}[]" for nth, kind in enumerate(_COLUMNS.values(), start=taken + 1))
    return f"""
    insert into {schema}.outbox ({names})
    select {names} from unnest({arrays}) with ordinality as said ({names}, place)
    order by place
    """  # noqa: S608 - names of our own


@dataclass(frozen=True)
class Emitted:
    """A fact said in a unit that is not over yet."""

    fact_id: str
    subject: str
    user: str
    key: str
    key_version: int | None
    correlation_id: str
    causation_id: str | None
    data: str

    @classmethod
    def of(cls, fact: Fact, *, user: str, key_version: int | None) -> Emitted:
        """Write a fact down. Raises: TooLarge past what the bus carries."""
        data = fact.model_dump_json()
        if len(data.encode()) > MAX_MESSAGE_BYTES - _ENVELOPE_BYTES:
            message = f"{type(fact).__name__} of {fact.key} is larger than a message may be"
            raise TooLarge(message)
        fact_id = new_id()
        return cls(
            fact_id=fact_id,
            subject=type(fact).subject(user),
            user=user,
            key=fact.key,
            key_version=key_version,
            correlation_id=log.correlation_id.get() or fact_id,
            causation_id=log.causation_id.get(),
            data=data,
        )


@dataclass(frozen=True)
class Stored:
    """A fact that waits to be published. `place` is its number in the outbox. Time: `occurred_at` aware UTC."""

    place: int
    occurred_at: datetime
    subject: str
    key: str
    fact_id: str
    payload: bytes

    @classmethod
    def of(cls, record: Any) -> Stored:
        """Build from a row: the same row makes the same bytes, however often it is published."""
        occurred_at = record["occurred_at"].astimezone(UTC)
        envelope = Envelope(
            id=record["fact_id"],
            user=record["username"],
            key=record["key"],
            key_version=record["key_version"],
            occurred_at=occurred_at,
            causation_id=record["causation_id"],
            correlation_id=record["correlation_id"],
        )
        return cls(
            place=record["id"],
            occurred_at=occurred_at,
            subject=record["subject"],
            key=record["key"],
            fact_id=record["fact_id"],
            payload=envelope.wrap(record["data"].encode()),
        )


def columns(said: Sequence[Emitted]) -> list[list[Any]]:
    """Return the arguments that stand for what was said."""
    return [
        [one.fact_id for one in said],
        [one.subject for one in said],
        [one.user for one in said],
        [one.key for one in said],
        [one.key_version for one in said],
        [one.correlation_id for one in said],
        [one.causation_id for one in said],
        [one.data for one in said],
    ]
