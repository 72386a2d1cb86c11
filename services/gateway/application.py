"""The gateway's application: the routes, their document, and the page for every other path."""

from __future__ import annotations

from pathlib import Path

import orjson
from fastapi import FastAPI, Request, Response

from libs.common.errors import NoAnswer, OutcomeUnknown
from libs.common.web import problem_response
from services.gateway import api
from services.gateway.deps import Deps
from services.gateway.page import page_or_nothing


def make(deps: Deps) -> FastAPI:
    """Make the application around its dependencies."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.state.deps = deps
    for router in api.ROUTERS:
        app.include_router(router)
    document = orjson.dumps(api.document())

    async def openapi(_request: Request) -> Response:
        return Response(document, media_type="application/json")

    app.add_route("/openapi.json", openapi)
    app.add_exception_handler(OutcomeUnknown, _on_unknown)
    app.router.default = page_or_nothing(Path(deps.settings.web_root))
    return app


async def _on_unknown(_request: Request, error: Exception) -> Response:
    """Answer 504 where nothing is stored that could be asked for: the commit's word was lost."""
    return problem_response(NoAnswer(str(error)))
