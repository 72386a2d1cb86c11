"""Display settings and the inbox in the database. Lists are JSON made by PostgreSQL and passed through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import func, update
from sqlalchemy.dialects.postgresql import insert

from services.gateway.tables import DISPLAY_SETTINGS, TRADE_NOTIFICATIONS

if TYPE_CHECKING:
    from libs.common.db import Unit

_PAGE = """
with page as (
  select id, read_at, data from gateway.trade_notifications
  where username = $1 and ($2::text is null or id < $2) and (not $3 or read_at is null)
  order by id desc limit $4 + 1),
shown as (select * from page order by id desc limit $4)
select json_build_object(
  'notifications', coalesce((select json_agg(json_build_object('id', id, 'read_at', read_at, 'data', data)
                                             order by id desc) from shown), '[]'::json),
  'next_cursor', case when (select count(*) from page) > $4 then (select min(id) from shown) end,
  'unread', (select count(*) from gateway.trade_notifications where username = $1 and read_at is null))::text
"""
_ADD = """
insert into gateway.trade_notifications (id, username, cause, data) values ($1, $2, $3, $4::text::jsonb)
on conflict do nothing
returning id
"""
_READ_ONE = """
update gateway.trade_notifications set read_at = coalesce(read_at, now()) where username = $1 and id = $2
returning json_build_object('id', id, 'read_at', read_at, 'data', data)::text
"""
_DISPLAY = """
select json_build_object('auto_refresh', auto_refresh, 'sounds', sounds, 'channels', channels,
                         'quiet_hours', quiet_hours, 'created_at', created_at, 'updated_at', updated_at)::text
from gateway.display_settings where username = $1
"""


async def display_of(unit: Unit, username: str) -> dict[str, Any]:
    """Return the display settings, made with their defaults at first use."""
    found = await unit.json(_DISPLAY, username)
    if found is None:
        await unit.run(insert(DISPLAY_SETTINGS).values(username=username).on_conflict_do_nothing())
        found = await unit.json(_DISPLAY, username)
    return dict(orjson.loads(found or b"{}"))


async def save_display(unit: Unit, username: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Store a subset of the display settings and return all of them."""
    if changes:
        await unit.run(
            insert(DISPLAY_SETTINGS)
            .values(username=username, **changes)
            .on_conflict_do_update(index_elements=["username"], set_={**changes, "updated_at": func.now()})
        )
    return await display_of(unit, username)


async def add_notification(unit: Unit, line_id: str, username: str, cause: str, data: dict[str, Any]) -> bool:
    """Add a line to the inbox, whose row stays locked; False when one with this cause is there already."""
    added = await unit.json(_ADD, line_id, username, cause, orjson.dumps(data).decode())
    if added is not None:
        unit.lock_taken(line_id)
    return added is not None


async def notifications_json(unit: Unit, username: str, cursor: str | None, limit: int, *, unread_only: bool) -> bytes:
    """Return one page of the inbox, newest first."""
    return await unit.json(_PAGE, username, cursor, unread_only, limit) or b"{}"


async def read_notification(unit: Unit, username: str, notification_id: str) -> bytes | None:
    """Mark a line as read and return it; None when the user has no such line."""
    return await unit.json(_READ_ONE, username, notification_id)


async def read_all(unit: Unit, username: str) -> int:
    """Mark every line of a user as read; return how many became so."""
    statement = (
        update(TRADE_NOTIFICATIONS)
        .where(TRADE_NOTIFICATIONS.c.username == username, TRADE_NOTIFICATIONS.c.read_at.is_(None))
        .values(read_at=func.now())
    )
    return await unit.run(statement)
