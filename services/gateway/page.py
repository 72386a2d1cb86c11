"""The built page: hashed assets for good, everything else fresh, and every unknown path the page itself."""

from __future__ import annotations

from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from libs.common.errors import NotFound

FOR_GOOD = "public, max-age=31536000, immutable"
FRESH = "no-cache"
MODEST = "camera=(), geolocation=(), microphone=(), payment=(), usb=()"


class Page(StaticFiles):
    """Serves files below a folder; the client's own paths (`/history`) get its first file."""

    def __init__(self, root: Path) -> None:
        super().__init__(directory=root)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer one file. Raises: HTTPException 404 for a missing file or API path, 405 for a change."""
        if path == "api" or path.startswith("api/"):
            raise HTTPException(404)
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            if error.status_code != 404 or "." in Path(path).name:
                raise
            path = "index.html"
            response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = FOR_GOOD if path.startswith("assets/") else FRESH
        response.headers["Permissions-Policy"] = MODEST
        return response


def page_or_nothing(root: Path) -> ASGIApp:
    """Return the page, or where it is not built, an application that says so."""
    if (root / "index.html").is_file():
        return Page(root)
    return _not_built


async def _not_built(scope: Scope, receive: Receive, send: Send) -> None:
    del receive, send
    if scope["path"] in {"/", "/index.html"}:
        raise NotFound("the page is not built; the API is at /api, its document at /openapi.json")
    raise NotFound(f"{scope['path']} is not here")
