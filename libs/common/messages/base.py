"""Three delivery classes and their envelope: commands and queries (asked), facts (stored), ticks (newest wins).

A class owns its subject; a subject is never written as a string anywhere else. Unknown fields are forbidden when
publishing and ignored when consuming, so a newer publisher never breaks an older consumer.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.errors import PoisonMessage

SYSTEM_USER = "_"
"""The user token of work that is nobody's; only services may use it."""

USERNAME_PATTERN = r"^[a-z0-9][a-z0-9_-]{2,31}$"
"""What a username, and a bot's name, may look like: a whole subject token, never a wildcard."""

MAX_MESSAGE_BYTES = 512 * 1024
"""No answer or fact is larger."""

COMMANDS: dict[str, type[Command]] = {}
QUERIES: dict[str, type[Query]] = {}
FACTS: dict[str, type[Fact]] = {}
TICKS: dict[str, type[Tick]] = {}


class Payload(BaseModel):
    """A frozen value inside a message."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Message(Payload):
    """What all messages share: an owner (a service), a topic (its last subject token) and an edition."""

    owner: ClassVar[str]
    topic: ClassVar[str]
    edition: ClassVar[int] = 1

    def __init_subclass__(cls, *, service: str = "", name: str = "", version: int = 1, **kwargs: Any) -> None:
        """Record owner and topic; a later edition has its own subject beside the first."""
        super().__init_subclass__(**kwargs)
        if service:
            cls.owner = service
            cls.edition = version
            cls.topic = name if version == 1 else f"{name}_v{version}"

    @classmethod
    def decode(cls, data: dict[str, Any]) -> Self:
        """Read an envelope's `data`, ignoring fields this version does not know. Raises: PoisonMessage."""
        try:
            return cls.model_validate(data, extra="ignore")
        except ValidationError as error:
            # The values stay out of the text: they may be somebody's secret.
            where = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['type']}" for e in error.errors(include_input=False))
            message = f"{cls.__name__} cannot be read: {where}"
            raise PoisonMessage(message) from None


class Asked(Message):
    """A message with exactly one answer."""

    askers: ClassVar[tuple[str, ...]] = ("gateway",)
    timeout_s: ClassVar[float]
    prefix: ClassVar[str]

    def __init_subclass__(cls, *, askers: tuple[str, ...] = ("gateway",), **kwargs: Any) -> None:
        """Record who may ask."""
        super().__init_subclass__(**kwargs)
        cls.askers = askers

    @classmethod
    def subject(cls, user: str) -> str:
        """Return the subject for `user` ("*" for all)."""
        return f"{cls.prefix}.{cls.owner}.{user}.{cls.topic}"


class Command(Asked):
    """Do something. The answer is the truth; a lost answer is asked again with the same idempotency key."""

    prefix = "cmd"
    timeout_s = 10.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class by its subject's fixed part."""
        super().__init_subclass__(**kwargs)
        COMMANDS[f"{cls.owner}.{cls.topic}"] = cls


class Query(Asked):
    """Tell something. Free to repeat."""

    prefix = "qry"
    timeout_s = 2.0

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Register the class by its subject's fixed part."""
        super().__init_subclass__(**kwargs)
        QUERIES[f"{cls.owner}.{cls.topic}"] = cls


class Fact(Message):
    """Something that happened, with the whole state and version of its key: at least once, in no promised order."""

    key_field: ClassVar[str]

    def __init_subclass__(cls, *, key: str = "", **kwargs: Any) -> None:
        """Record which field is the key; a class without one is only a base of facts."""
        super().__init_subclass__(**kwargs)
        if key:
            cls.key_field = key
            FACTS[f"{cls.owner}.{cls.topic}"] = cls

    @property
    def key(self) -> str:
        """Return the value of the key."""
        return str(getattr(self, self.key_field))

    @classmethod
    def subject(cls, user: str) -> str:
        """Return the subject for `user` ("*" for all)."""
        return f"evt.{user}.{cls.owner}.{cls.topic}"


class Tick(Message):
    """News that the next one replaces: may be lost, is never stored on the bus. The owner is its first publisher."""

    publishers: ClassVar[tuple[str, ...]] = ()
    listeners: ClassVar[tuple[str, ...]] = ()
    queued: ClassVar[bool] = False
    """True when one replica of each listening service gets it; otherwise every process does."""

    def __init_subclass__(
        cls, *, publishers: tuple[str, ...] = (), listeners: tuple[str, ...] = (), queued: bool = False, **kwargs: Any
    ) -> None:
        """Record who says it and who hears it."""
        super().__init_subclass__(service=publishers[0] if publishers else "", **kwargs)
        cls.publishers, cls.listeners, cls.queued = publishers, listeners, queued
        TICKS[cls.topic] = cls

    @classmethod
    def subject(cls, token: str) -> str:
        """Return the subject for a user, or for a ticker of marks ("*" for all)."""
        return f"tick.{cls.topic}.{token}"


class Envelope(BaseModel):
    """What surrounds every message. `key` and `key_version` belong to facts (and `key` to idempotent commands).

    `via` says where the person or program that asked was, in words.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    user: str
    key: str | None = None
    key_version: int | None = None
    occurred_at: datetime
    deadline_at: datetime | None = None
    causation_id: str | None = None
    correlation_id: str
    via: str | None = None
    data: dict[str, Any] = Field(default_factory=dict)

    def encode(self, message: Message) -> bytes:
        """Return the envelope around `message` as JSON bytes, decimals as strings, times in UTC."""
        return self.wrap(message.model_dump_json().encode())

    def wrap(self, data: bytes) -> bytes:
        """Return the envelope around a message that is JSON already."""
        outer = self.model_dump(exclude={"data"}, exclude_none=True)
        return orjson.dumps({**outer, "data": orjson.Fragment(data)}, option=orjson.OPT_UTC_Z)

    @classmethod
    def decode(cls, raw: bytes) -> Envelope:
        """Read an envelope. Raises: PoisonMessage."""
        try:
            return cls.model_validate(orjson.loads(raw))
        except (orjson.JSONDecodeError, ValidationError):
            message = f"not an envelope ({len(raw)} bytes)"
            raise PoisonMessage(message) from None


def token_of(key: str) -> str:
    """Return `key` as one subject token: tickers such as BRK/B or indexes keep their meaning, wildcards lose theirs."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", key)


def utc(moment: datetime) -> datetime:
    """Return `moment` in UTC. Raises: ValueError when it has no zone."""
    if moment.tzinfo is None:
        message = "a time without a zone"
        raise ValueError(message)
    return moment.astimezone(UTC)
