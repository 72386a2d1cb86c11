"""Which trades somebody must look at, across users; read through the worker's door."""

from __future__ import annotations

from libs.common.db import Unit
from services.orders import rows

_INTERRUPTED = """
select coalesce(json_agg(json_build_array(t.id, t.username)), '[]')::text
from orders.trades t
join orders.flows f on f.trade_id = t.id
left join orders.jobs j on j.kind = 'advance' and j.key = t.id and j.due_at < now() + interval '1 minute'
where j.key is null and (f.claimed_until is null or f.claimed_until < clock_timestamp())
and (
    exists (select from orders.broker_orders o
            where o.trade_id = t.id and o.status in ('INTENT', 'SENT', 'UNKNOWN'))
    or exists (select from orders.actions a where a.trade_id = t.id and a.state in ('REQUESTED', 'RUNNING'))
    or (t.status = 'FILLED' and t.protection in ('PENDING', 'NAKED'))
)
and (t.status <> 'CLOSED' or exists (
    select from orders.broker_orders o where o.trade_id = t.id and o.status in ('INTENT', 'SENT', 'UNKNOWN')))
"""

_WORKING_ENTRIES = """
select coalesce(json_agg(json_build_array(t.id, t.username)), '[]')::text
from orders.trades t
where t.status in ('OPEN', 'PARTIAL', 'CLOSING') or (t.status = 'FILLED' and t.protection in ('PENDING', 'NAKED'))
"""


async def interrupted(unit: Unit) -> list[tuple[str, str]]:
    """List trades with something unfinished that no job is planned for, with their users."""
    return _pairs(await unit.json(_INTERRUPTED))


async def working_entries(unit: Unit) -> list[tuple[str, str]]:
    """List trades whose entry works, whose close runs or whose holding lacks exits, with their users."""
    return _pairs(await unit.json(_WORKING_ENTRIES))


def _pairs(raw: bytes | None) -> list[tuple[str, str]]:
    return [(trade_id, username) for trade_id, username in rows.loads(raw or b"[]")]
