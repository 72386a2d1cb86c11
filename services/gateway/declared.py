"""How a route declares what it may answer beside success, so that the OpenAPI document holds every status."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute

from libs.common.errors import (
    AppError,
    Conflict,
    Expired,
    FlowRunning,
    Forbidden,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IllegalTransition,
    InvalidInput,
    NoAnswer,
    NotFound,
    StaleVersion,
    TooLarge,
    Unauthenticated,
    UpstreamUnavailable,
)
from services.gateway.models_base import Problem

PUBLIC: dict[str, Any] = {"security": []}
"""`openapi_extra` of a route that needs no sign-in."""

READ = (Unauthenticated, Forbidden, InvalidInput, TooLarge, UpstreamUnavailable)
"""What every signed-in read may answer."""
WRITE = (*READ, Expired, NoAnswer)
"""What every signed-in change may answer."""
FLOW = (
    *WRITE,
    NotFound,
    Conflict,
    Expired,
    FlowRunning,
    IdempotencyInProgress,
    IdempotencyMismatch,
    IllegalTransition,
    StaleVersion,
)
"""What a change of one trade may answer."""


def problems(*errors: type[AppError], **descriptions: str) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that may answer these errors, and others as `s304="..."`."""
    by_status: dict[int, set[str]] = {}
    for error in errors:
        by_status.setdefault(error.status, set()).add(error.code)
    declared: dict[int | str, dict[str, Any]] = {
        status: {
            "description": " · ".join(sorted(codes)),
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, codes in sorted(by_status.items())
    }
    for status_name, description in descriptions.items():
        declared[int(status_name.removeprefix("s"))] = {"description": description}
    return declared


def operation_name(route: APIRoute) -> str:
    """Name an operation in the document after its function."""
    return route.name


def schemas() -> dict[str, Any]:
    """Return the component schemas that `problems` refers to."""
    return {"Problem": Problem.model_json_schema()}
