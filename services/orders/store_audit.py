"""The audit of rules in the database: one function writes it, one reads it, nothing changes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from libs.common.db import Unit
from libs.common.ids import new_id
from services.orders import rows

_INSERT = """
insert into orders.audit (id, username, kind, actor, text, data, via)
values ($1, $2, $3, $4, $5, $6::text::jsonb, $7) returning id
"""

_PAGE = """
select coalesce(json_agg(json_build_object(
    'id', id, 'at', to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'kind', kind, 'actor', actor,
    'text', text, 'data', data, 'via', via) order by at desc, id desc), '[]')::text
from (select * from orders.audit where username = $1 and ($2::timestamptz is null or (at, id) < ($2, $3))
      order by at desc, id desc limit $4) page
"""


async def audited(
    unit: Unit,
    user: str,
    kind: str,
    text: str,
    data: Mapping[str, Any] | None = None,
    *,
    via: str | None = None,
    actor: str | None = None,
) -> None:
    """Add a line to a user's audit, in the transaction that makes the change.

    `kind` is a word in the past tense; `data` holds before and after, never a secret; `actor` is the user unless given.
    """
    worded = rows.write(dict(data or {})) or "{}"
    await unit.json(_INSERT, new_id(), user, kind, actor or user, text, worded, via)


async def page(unit: Unit, user: str, after: tuple[datetime, str] | None, limit: int) -> bytes:
    """Return a user's lines as a JSON list, newest first, from the one that follows `after`."""
    at, line_id = after or (None, None)
    return await unit.json(_PAGE, user, at, line_id, limit) or b"[]"
