"""Errors on the wire between services: an AppError out, the same AppError in."""

from __future__ import annotations

from typing import Any

import orjson

from libs.common.errors import (
    BY_CODE,
    AppError,
    Conflict,
    Forbidden,
    InvalidInput,
    InvariantBroken,
    NotFound,
    OutcomeUnknown,
    PoisonMessage,
    Throttled,
    TooLarge,
    Unauthenticated,
    UpstreamAuth,
    UpstreamUnavailable,
)

STATUS_HEADER = "Bookend-Status"
PROBLEM_HEADER = "Bookend-Problem"
MEDIA_TYPE = "application/problem+json"

_MEMBERS = frozenset({"code", "title", "status", "detail", "correlation_id"})
_BY_STATUS: dict[int, type[AppError]] = {
    202: OutcomeUnknown,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: InvalidInput,
    424: UpstreamAuth,
    429: Throttled,
    503: UpstreamUnavailable,
    504: OutcomeUnknown,
}


def public(error: Exception) -> AppError:
    """Return what may be told about `error`: itself when it is ours to tell, else only that we failed."""
    if isinstance(error, AppError) and not isinstance(error, (InvariantBroken, PoisonMessage)):
        return error
    return internal()


def internal() -> InvariantBroken:
    """Say that we failed, and nothing else."""
    return InvariantBroken("an internal error; the log has it under the correlation id")


def encoded(error: AppError, correlation_id: str | None) -> bytes:
    """Write the problem document. Source: RFC 9457."""
    return orjson.dumps(error.problem(correlation_id), default=str, option=orjson.OPT_UTC_Z)


def rebuilt(document: bytes, status: int) -> AppError:
    """Make the error again that the other side raised; of a newer side's unknown code, the nearest by status."""
    try:
        members: dict[str, Any] = orjson.loads(document)
    except orjson.JSONDecodeError:
        return InvariantBroken(f"an answer with status {status} could not be read")
    kind = BY_CODE.get(str(members.get("code"))) or _BY_STATUS.get(status, InvariantBroken)
    extra = {name: value for name, value in members.items() if name not in _MEMBERS}
    return kind(str(members.get("detail", "")), **extra)
