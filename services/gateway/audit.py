"""Who did what to the account: sign-ins and keys from here, settings and credentials from orders, in one list."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import orjson
from fastapi import Response

from libs.common import cursor
from libs.common.messages.accounts import ListAudit
from services.gateway import store_audit
from services.gateway.auditwords import sentence
from services.gateway.caller import Caller
from services.gateway.models_auth import AuditAsked


async def page(caller: Caller, asked: AuditAsked) -> Response:
    """Answer one page of both lists merged, newest first. Raises: InvalidInput, UpstreamUnavailable."""
    after = cursor.decode(asked.cursor)
    wanted = asked.limit + 1
    reply = await caller.deps.bus.ask(ListAudit(cursor=asked.cursor, limit=wanted), user=caller.username)
    async with caller.deps.db.for_user(caller.username) as unit:
        own = orjson.loads(await store_audit.page(unit, caller.username, after, wanted))
    told = [line | {"text": sentence(line["kind"], line["data"])} for line in own]
    lines = sorted([*orjson.loads(reply.body)["entries"], *told], key=_place, reverse=True)
    shown = lines[: asked.limit]
    following = (
        cursor.encode(datetime.fromisoformat(shown[-1]["at"]), shown[-1]["id"]) if len(lines) > len(shown) else None
    )
    return Response(orjson.dumps({"entries": shown, "next_cursor": following}), media_type="application/json")


def _place(line: dict[str, Any]) -> tuple[str, str]:
    """Return what both lists are ordered by; times are written to the same length."""
    return line["at"], line["id"]
