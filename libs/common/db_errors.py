"""What PostgreSQL, its driver and SQLAlchemy raise, turned into the house's errors.

One rule decides: a transaction whose COMMIT was not sent has not happened, so a lost connection, a time-out or a
refusal of the server's own trouble is `UpstreamUnavailable`; what the statement itself is wrong about is our bug,
except text and numbers that no column can hold.
"""

from __future__ import annotations

import re

import asyncpg
from sqlalchemy import exc

from libs.common.errors import AppError, InvalidInput, InvariantBroken, OutcomeUnknown, UpstreamUnavailable

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    exc.SQLAlchemyError,
    OSError,  # TimeoutError is one too
    EOFError,
)
"""Everything a statement may raise that is not ours."""

_TROUBLE_CLASSES = ("08", "53", "57", "58")
"""SQLSTATE classes: connection, resources, operator's intervention (time-outs too), system."""

_TROUBLE_STATES = {
    "25006",  # the server became a read-only standby
    "25P03",  # idle in transaction for too long: the session was ended
    "25P04",  # the transaction took too long
    "28000",
    "28P01",
    "3D000",
    "40001",
    "40P01",
    "55P03",
    "F0000",
}

_UNSTORABLE_STATES = {"22001", "22003", "22008", "22021", "22P05"}

_UNSTORABLE_ARGUMENT = re.compile(
    r"^invalid input for query argument .*(out of \w+ range|surrogates not allowed)", re.S
)
"""The driver's own words: it checks arguments before it sends them."""


def translated(error: Exception) -> AppError:
    """Say what a driver's error means for a transaction that was not committed."""
    cause = driver_error(error)
    if isinstance(cause, asyncpg.PostgresError):
        return _refused(cause)
    if isinstance(cause, exc.SQLAlchemyError):
        return InvariantBroken(f"a statement could not be built: {type(cause).__name__}")
    return UpstreamUnavailable("the database is not reachable")


def _refused(cause: asyncpg.PostgresError) -> AppError:
    state = getattr(cause, "sqlstate", None) or ""
    words = str(cause.args[0]) if cause.args else ""
    if isinstance(cause, asyncpg.InvalidCachedStatementError) or "cached plan" in words:
        return UpstreamUnavailable("the tables have just been changed; try again")
    if state in _UNSTORABLE_STATES or _UNSTORABLE_ARGUMENT.search(words):
        return InvalidInput("a value cannot be stored: too large, too long or not text")
    if state in _TROUBLE_STATES or state.startswith(_TROUBLE_CLASSES):
        return UpstreamUnavailable(f"the database is not available ({state})")
    # Its words may hold values; they stay in the cause, for the log.
    return InvariantBroken(f"the database refused a statement: {type(cause).__name__} ({state})")


def after_commit_was_sent(error: Exception, *, wrote: bool) -> AppError:
    """Say what an error means when COMMIT was already on its way: nobody knows, unless nothing was written."""
    found = translated(error)
    if isinstance(found, UpstreamUnavailable) and wrote and not _rolled_back(driver_error(error)):
        return OutcomeUnknown("the database was lost while a change was being stored")
    return found


def constraint_of(error: BaseException | None) -> str | None:
    """Name the constraint or index whose violation caused `error`, None when it was something else."""
    while error is not None:
        if isinstance(error, asyncpg.IntegrityConstraintViolationError):
            return error.constraint_name or None
        error = error.__cause__
    return None


def driver_error(error: BaseException) -> BaseException:
    """Dig out what the driver raised from what SQLAlchemy wrapped around it."""
    if isinstance(error, exc.DBAPIError) and error.orig is not None:
        return error.orig.__cause__ or error.orig
    return error


def _rolled_back(cause: BaseException) -> bool:
    """Whether the server answered COMMIT with a refusal of its own, which ends the transaction undone."""
    state = getattr(cause, "sqlstate", None) or ""
    return isinstance(cause, asyncpg.PostgresError) and state.startswith(("40", "53", "23"))
