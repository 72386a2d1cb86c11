"""HTTP of every service: health and metrics, and errors in one public shape.

Only the gateway pays for FastAPI; the others answer three paths with Starlette alone.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from libs.common import log
from libs.common.edge import Edge, problem_headers
from libs.common.errors import (
    AppError,
    Forbidden,
    InvalidInput,
    MethodNotAllowed,
    NotFound,
    TooLarge,
    Unauthenticated,
)
from libs.common.metrics import CONTENT_TYPE, METRICS
from libs.common.problems import MEDIA_TYPE, encoded, internal, public
from libs.common.readiness import Readiness, Stage

_log = log.get(__name__)

_BY_STATUS: dict[int, type[AppError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    413: TooLarge,
}


class Web:
    """The HTTP side of one process; the service's own routes are added once it has its dependencies."""

    def __init__(self, ready: Readiness) -> None:
        self._ready = ready
        self._has_routes = False
        self.app = Starlette(
            routes=[Route("/livez", self._livez), Route("/readyz", self._readyz), Route("/metrics", self._metrics)]
        )
        answer_problems(self.app)
        self.edge: ASGIApp = Edge(self.app, is_open=self._is_open)

    def mount(self, routes: Any) -> None:
        """Answer everything else by `routes`: an application, or a router (then one is made around it)."""
        if not isinstance(routes, Starlette):
            from fastapi import FastAPI  # noqa: PLC0415 - services without routes do without it

            app = FastAPI(docs_url=None, redoc_url=None)
            app.include_router(routes)
            routes = app
        answer_problems(routes)
        self.app.router.routes.append(Mount("/", app=routes))
        self._has_routes = True

    def _is_open(self) -> bool:
        return self._has_routes or self._ready.stage is Stage.READY

    async def _livez(self, _request: Request) -> Response:
        return PlainTextResponse("alive")

    async def _readyz(self, _request: Request) -> Response:
        body = orjson.dumps(self._ready.report())
        return Response(body, 200 if self._ready.is_ready else 503, media_type="application/json")

    async def _metrics(self, _request: Request) -> Response:
        return Response(METRICS.expose(), headers={"content-type": CONTENT_TYPE})


def make_app(ready: Readiness) -> Web:
    """Make the HTTP side of one process."""
    return Web(ready)


def answer_problems(app: Starlette) -> None:
    """Let `app` answer every error as a problem document."""
    app.add_exception_handler(AppError, _on_app_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    # An unexpected error is logged and answered by the edge; this only keeps the framework's own text away.
    app.add_exception_handler(Exception, _on_surprise)
    fastapi = sys.modules.get("fastapi.exceptions")
    if fastapi is not None:
        app.add_exception_handler(fastapi.RequestValidationError, _on_invalid)


def problem_response(error: AppError) -> Response:
    """Write an error as the answer."""
    headers = {name.decode(): value.decode() for name, value in problem_headers(error)}
    return Response(encoded(error, log.correlation_id.get()), error.status, headers, MEDIA_TYPE)


async def _on_app_error(request: Request, error: Exception) -> Response:
    told = public(error)
    if told is not error:
        _log.error("request_failed", method=request.method, path=request.url.path, exc_info=error)
    return problem_response(told)


async def _on_surprise(_request: Request, _error: Exception) -> Response:
    return problem_response(internal())


async def _on_http_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        return problem_response(internal())
    kind = _BY_STATUS.get(error.status_code, InvalidInput)
    detail = f"{request.method} {request.url.path}" if error.status_code in {404, 405} else str(error.detail)
    response = problem_response(kind(detail))
    response.headers.update(error.headers or {})
    return response


async def _on_invalid(_request: Request, error: Exception) -> Response:
    """Say what is wrong field by field, without the values."""
    problems: list[dict[str, Any]] = getattr(error, "errors", list)()
    fields = [{"field": ".".join(str(part) for part in one["loc"][1:]), "problem": one["msg"]} for one in problems]
    detail = "; ".join(f"{one['field']}: {one['problem']}" if one["field"] else one["problem"] for one in fields)
    return problem_response(InvalidInput(detail or "the request cannot be read", fields=fields))
