"""Whose commissions nobody has read yet: trades that are over, at venues that keep a history."""

from __future__ import annotations

from libs.common.db import Unit
from services.orders import rows

AT_ONCE = 50
"""How many trades of an account one reading serves."""

# The event says that it was read. What executed since, as a purchase that ends a short, is not in what was read. What
# no history told for so long it will not tell any more.
_UNREAD = """
from orders.trades t
where t.status = 'CLOSED' and t.filled_qty > 0 and t.broker_mode <> 'TRADIER_SANDBOX'
and t.close_date > now() - interval '14 days'
and not exists (select from orders.timeline e where e.trade_id = t.id and e.kind = 'fees' and e.at >= coalesce(
    (select max(o.fill_seen_at) from orders.broker_orders o where o.trade_id = t.id), e.at))
"""
_ACCOUNTS = f"""
select coalesce(json_agg(distinct jsonb_build_array(t.broker_mode || ':' || t.account_id, t.username)), '[]')::text
{_UNREAD}
"""
_OF_ACCOUNT = f"""
select coalesce(json_agg(found.id), '[]')::text from (
    select t.id {_UNREAD} and t.broker_mode || ':' || t.account_id = $1 order by random() limit {AT_ONCE}
) found
"""  # noqa: S608 - built of constants


async def unread_accounts(unit: Unit) -> list[tuple[str, str]]:
    """List accounts, each with its user, that have closed trades whose commissions nobody has read."""
    return [(key, username) for key, username in rows.loads(await unit.json(_ACCOUNTS) or b"[]")]


async def unread(unit: Unit, account_key: str) -> list[str]:
    """List trades of an account whose commissions nobody has read, by chance: none keeps others waiting for good."""
    return [str(trade_id) for trade_id in rows.loads(await unit.json(_OF_ACCOUNT, account_key) or b"[]")]
