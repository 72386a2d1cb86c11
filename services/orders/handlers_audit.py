"""What was changed of a user's rules, for whoever asks about it later."""

from __future__ import annotations

from libs.common import cursor
from libs.common.errors import InvalidInput
from libs.common.handlers import Context, answers
from libs.common.messages.accounts import ListAudit
from services.orders import store_audit
from services.orders.deps import Deps

MOST = 201
"""A page of the gateway's, and the entry by which it knows that there is more."""


@answers(ListAudit)
async def list_audit(query: ListAudit, ctx: Context, deps: Deps) -> bytes:
    """List what was changed, newest first."""
    if not 1 <= query.limit <= MOST:
        raise InvalidInput(f"limit must be between 1 and {MOST}, was {query.limit}")
    async with deps.db.for_user(ctx.user) as unit:
        found = await store_audit.page(unit, ctx.user, cursor.decode(query.cursor), query.limit)
    return b'{"entries":' + found + b"}"
