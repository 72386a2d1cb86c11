"""The one who asks: a user through a browser's session or a program's key, and how his question reaches a service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fastapi import Response

from libs.common.errors import Expired, UpstreamUnavailable
from libs.common.messages.base import Command, Query
from services.gateway.models_auth import Scope

if TYPE_CHECKING:
    from services.gateway.deps import Deps

PASSED_ON = ("ETag", "Idempotent-Replayed", "Retry-After")
"""The headers of a service's reply that a caller may see."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A known user. `credential_id` names the session or key he came with; `deps` is what his request may use."""

    username: str
    is_admin: bool
    created_at: datetime
    scopes: frozenset[Scope]
    credential_id: str
    by_key: bool
    deps: Deps
    via: str = ""
    """Where he asks from, in words that a trade's story keeps."""

    async def ask(self, message: Command | Query) -> Response:
        """Ask in this user's name and pass the reply's bytes through. Raises: AppError."""
        try:
            reply = await self.deps.bus.ask(message, user=self.username, via=self.via or None)
        except Expired as error:
            if isinstance(message, Command):
                raise
            # To whoever only looks, too late is no conflict with anything: he asks again.
            raise UpstreamUnavailable(error.detail) from error
        return passed_on(reply.status, reply.body, reply.headers)


def passed_on(status: int, body: bytes, headers: Mapping[str, str]) -> Response:
    """Return a reply as it came, with the headers a caller may see."""
    kept = {name: headers[name] for name in PASSED_ON if name in headers}
    if status == 304:
        return Response(status_code=status, headers=kept)
    return Response(body, status, kept, "application/json")
