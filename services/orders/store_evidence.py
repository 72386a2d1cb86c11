"""What orders knows of an account, for comparing with what its broker shows."""

from __future__ import annotations

from datetime import datetime

from libs.common.db import Unit
from services.orders import rows
from services.orders.evidence import Known, KnownOrder
from services.orders.trade import Trade, View

_HELD = """
(select coalesce(sum(case when o.role in ('ENTRY', 'COVER') then o.filled_qty else -o.filled_qty end), 0)
 from orders.broker_orders o where o.trade_id = t.id)
"""

_SHOWN = f"""
case when t.successor_occ is null then least({_HELD} - t.settled_qty, coalesce(t.shown_qty, 1000000000)) else 0 end
"""
"""What the broker is expected to show: what a look found missing is told of its own trade, and doubts no other."""

_KNOWN = f"""
select json_build_object(
    'orders', (
        select coalesce(json_agg(json_build_object(
            'group_order_id', o.group_order_id, 'broker_order_id', o.broker_order_id, 'trade_id', o.trade_id,
            'status', o.status, 'filled_qty', o.filled_qty, 'venue_at', o.venue_at,
            'is_settled', o.sent_as <> 'foreign' and o.answered_at < clock_timestamp() - interval '2 seconds')), '[]')
        from orders.broker_orders o join orders.trades t on t.id = o.trade_id
        where o.username = $1 and o.venue_at >= $5 and o.group_order_id is not null
        and t.broker_mode = $2 and t.account_id = $3),
    'holdings', (
        select coalesce(json_object_agg(h.occ_symbol, h.qty), '{{}}')
        from (
            select t.occ_symbol, sum({_SHOWN}) as qty
            from orders.trades t
            where t.username = $1 and t.status <> 'CLOSED' and t.id <> $4
            and t.broker_mode = $2 and t.account_id = $3
            group by t.occ_symbol) h)
)::text
"""  # noqa: S608 - built of constants


async def known(unit: Unit, view: View, since: datetime) -> Known:
    """Read the account's orders since a venue's time, and what its other open trades hold."""
    trade = view.trade
    raw = await unit.json(_KNOWN, trade.username, trade.broker_mode, trade.account_id, trade.id, since)
    found = rows.loads(raw or b"{}")
    return Known(orders=rows.read_all(KnownOrder, found["orders"]), holdings=found["holdings"])


_OWNER = """
select json_build_array(o.trade_id, o.tag)::text
from orders.broker_orders o join orders.trades t on t.id = o.trade_id
where t.username = $1 and t.broker_mode = $2 and t.account_id = $3
and o.broker_order_id is not null and (o.broker_order_id = $4 or o.group_order_id = $4)
limit 1
"""


async def owner_of(unit: Unit, trade: Trade, broker_order_id: str) -> tuple[str, str] | None:
    """Return the trade and the tag that a broker order belongs to already, in the account of `trade`."""
    raw = await unit.json(_OWNER, trade.username, trade.broker_mode, trade.account_id, broker_order_id)
    if raw is None:
        return None
    trade_id, tag = rows.loads(raw)
    return trade_id, tag
