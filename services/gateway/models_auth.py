"""People and their programs over HTTP: sign-in, the signed-in user, API keys."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from services.gateway.models_base import Answer, Body, Cursor, Text, not_surrogate

MIN_PASSWORD = 8
MAX_PASSWORD = 200

UsernameIn = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(not_surrogate)]
PasswordIn = Annotated[str, StringConstraints(min_length=1, max_length=MAX_PASSWORD), AfterValidator(not_surrogate)]
NewPasswordIn = Annotated[
    str, StringConstraints(min_length=MIN_PASSWORD, max_length=MAX_PASSWORD), AfterValidator(not_surrogate)
]


class Scope(StrEnum):
    """What an API key may do. `trade` includes `read`; `admin` is everything its user may do, keys included."""

    READ = "read"
    TRADE = "trade"
    SIGNAL = "signal"
    ADMIN = "admin"


class RegisterBody(Body):
    """A new user. Names: lower case letters, digits, - and _, 3 to 32 of them."""

    username: UsernameIn
    password: NewPasswordIn = Field(repr=False)


class LoginBody(Body):
    """Who wants in."""

    username: UsernameIn
    password: PasswordIn = Field(repr=False)


class PasswordBody(Body):
    """A new password; the old one proves who asks. Ends every other session."""

    current_password: PasswordIn = Field(repr=False)
    new_password: NewPasswordIn = Field(repr=False)


class Me(Answer):
    """The signed-in user. `via` tells a browser's session from a program's key."""

    username: str
    is_admin: bool
    created_at: datetime
    via: Annotated[str, Field(pattern="^(session|key)$")]
    scopes: list[Scope]


class KeyBody(Body):
    """A key to make."""

    name: Text
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=4)]


class Key(Answer):
    """A key, without its secret."""

    id: str
    name: str
    scopes: list[Scope]
    created_at: datetime
    last_used_at: datetime | None


class NewKey(Key):
    """A key just made; the secret is shown this once."""

    secret: str


class Keys(Answer):
    """All keys of the user that are not revoked."""

    keys: list[Key]


class AuditAsked(Body):
    """Which page of the audit."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Cursor | None = None


class AuditLine(Answer):
    """Somebody did something to the account itself. `data` holds before and after where there is such a thing."""

    id: str
    at: datetime
    kind: str
    actor: str
    text: str
    data: dict[str, Any]
    via: str | None


class Audit(Answer):
    """One page of the audit, newest first."""

    entries: list[AuditLine]
    next_cursor: str | None
