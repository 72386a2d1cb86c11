"""The audit of sign-ins, passwords and keys in the database: lines are added and read, nothing changes them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import cast, select
from sqlalchemy.dialects.postgresql import insert

from services.gateway.tables import AUDIT, USERS

if TYPE_CHECKING:
    from libs.common.db import Unit

# Ids of two tables in one list: a letter and as many digits as the greatest has.
_PAGE = """
select coalesce(json_agg(json_build_object(
    'id', line_id, 'at', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'kind', action,
    'actor', username, 'data', detail, 'via', via) order by at desc, line_id desc), '[]')::text
from (select *, 'g' || lpad(id::text, 19, '0') as line_id from gateway.audit
      where username = $1 and ($2::timestamptz is null or (at, 'g' || lpad(id::text, 19, '0')) < ($2, $3))
      order by at desc, id desc limit $4) page
"""


async def note(unit: Unit, username: str, action: str, detail: dict[str, Any], *, via: str) -> None:
    """Add a line to the audit of a user, if there is such a user."""
    values = (action, AUDIT.c.action), (detail, AUDIT.c.detail), (via, AUDIT.c.via)
    line = select(USERS.c.username, *(cast(value, column.type) for value, column in values))
    await unit.run(
        insert(AUDIT).from_select(["username", "action", "detail", "via"], line.where(USERS.c.username == username))
    )


async def page(unit: Unit, username: str, after: tuple[datetime, str] | None, limit: int) -> bytes:
    """Return a user's lines as a JSON list, newest first, from the one that follows `after`."""
    at, line_id = after or (None, None)
    return await unit.json(_PAGE, username, at, line_id, limit) or b"[]"
