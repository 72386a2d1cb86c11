"""All routes of the gateway as one list, and the OpenAPI document they make."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.openapi.utils import get_openapi

from services.gateway import (
    declared,
    routes_account,
    routes_audit,
    routes_auth,
    routes_keys,
    routes_market,
    routes_notifications,
    routes_safety,
    routes_settings,
    routes_signals,
    routes_stream,
    routes_system,
    routes_trades,
)

ROUTERS: tuple[APIRouter, ...] = (
    routes_auth.router,
    routes_keys.router,
    routes_settings.router,
    routes_safety.router,
    routes_trades.router,
    routes_signals.router,
    routes_account.router,
    routes_audit.router,
    routes_notifications.router,
    routes_market.router,
    routes_stream.router,
    routes_system.router,
)

DESCRIPTION = (
    "Option trades with a resting stop and target. Money is written as strings; numbers or strings are read. "
    "Times are ISO 8601 UTC. Errors are `application/problem+json`. With the cookie, unsafe methods need the header "
    "`X-Bookend: 1`."
)
SECURITY_SCHEMES = {
    "session": {"type": "apiKey", "in": "cookie", "name": "bookend_session"},
    "key": {"type": "http", "scheme": "bearer", "bearerFormat": "bk_…"},
}


def document() -> dict[str, Any]:
    """Return the OpenAPI document of all routes, with the schemas and the sign-in they refer to."""
    routes = [route for router in ROUTERS for route in router.routes]
    openapi = get_openapi(title="Bookend", version="1", description=DESCRIPTION, routes=routes)
    components = openapi.setdefault("components", {})
    components.setdefault("schemas", {}).update(declared.schemas())
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components["securitySchemes"] = SECURITY_SCHEMES
    openapi["security"] = [{"session": []}, {"key": []}]
    return openapi
