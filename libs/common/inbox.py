"""How a consumer stays correct although facts come twice and in any order: two questions, each one statement.

1. `newest` keeps, per (consumer, user, key), the highest version accepted; replicas that ask at once queue on the row.
2. `first` keeps each message's id once per consumer, in a partition by the fact's own day, so that old days drop whole.
"""

from __future__ import annotations

from datetime import UTC
from typing import TYPE_CHECKING

from libs.common.errors import InvariantBroken
from libs.common.handlers import LATEST, ONCE, Context

if TYPE_CHECKING:
    from libs.common.unit import Unit

_NEWEST = """
insert into {schema}.latest (consumer, username, key, key_version) values ($1, $2, $3, $4)
on conflict (consumer, username, key) do update set key_version = excluded.key_version
where latest.key_version < excluded.key_version
returning 1
"""

_FIRST = """
insert into {schema}.inbox (consumer, day, message_id) values ($1, $2, $3)
on conflict do nothing
returning 1
"""


async def newest(unit: Unit, ctx: Context) -> bool:
    """Accept `ctx` if its version of the key is higher than any accepted before. Raises: InvariantBroken."""
    if ctx.key is None or ctx.key_version is None:
        message = f"message {ctx.id} has no version of a key: {ctx.consumer} cannot know whether it is the latest"
        raise InvariantBroken(message)
    ctx.accepted.append(LATEST)
    return bool(await unit.fetch(_NEWEST.format(schema=unit.schema), ctx.consumer, ctx.user, ctx.key, ctx.key_version))


async def first(unit: Unit, ctx: Context) -> bool:
    """Accept `ctx` if this message was not accepted before."""
    ctx.accepted.append(ONCE)
    day = ctx.occurred_at.astimezone(UTC).date()
    return bool(await unit.fetch(_FIRST.format(schema=unit.schema), ctx.consumer, day, ctx.id))
