"""What else an account has in a trade's contract: other trades, their entries, and orders that explain something."""

from __future__ import annotations

from libs.common.db import Unit
from services.orders import rows
from services.orders.contract import Beside, OurFill
from services.orders.trade import Trade

_SAME = "t.broker_mode = $1 and t.account_id = $2 and t.occ_symbol = $3"

_LOCK = "select account_key from orders.credentials where account_key = $1 for update"
_IN_USE = f"select 'yes' from orders.trades t where {_SAME} and t.status <> 'CLOSED' and t.id <> $4 limit 1"  # noqa: S608

_ASK_AWAY = f"""
with asked as (
    insert into orders.actions (id, trade_id, username, kind, state, created_at)
    select $4 || '-' || t.id, t.id, t.username, 'YIELD', 'REQUESTED', clock_timestamp()
    from orders.trades t
    where {_SAME} and t.status in ('OPEN', 'PARTIAL') and t.id <> $4
    and exists (select from orders.broker_orders o where o.trade_id = t.id and o.role = 'ENTRY'
                and o.status not in ('FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED'))
    on conflict (id) do nothing
    returning trade_id
)
select coalesce(json_agg(trade_id), '[]')::text from asked
"""  # noqa: S608 - built of constants

_BESIDE = f"""
select json_build_object(
    'held_qty', (
        select coalesce(sum(case when o.role in ('ENTRY', 'COVER') then o.filled_qty else -o.filled_qty end), 0)
        from orders.trades t join orders.broker_orders o on o.trade_id = t.id
        where {_SAME} and t.status <> 'CLOSED' and t.id <> $4),
    'orders', (
        select coalesce(json_agg(json_build_array(o.broker_order_id, o.group_order_id, o.sent_as, o.filled_qty)), '[]')
        from orders.trades t join orders.broker_orders o on o.trade_id = t.id
        where {_SAME} and o.group_order_id is not null),
    'fills', (
        select coalesce(json_agg(json_build_object(
            'at', o.filled_at, 'price', o.avg_price::text,
            'qty', case when o.role in ('ENTRY', 'COVER') then o.filled_qty else -o.filled_qty end)), '[]')
        from orders.trades t join orders.broker_orders o on o.trade_id = t.id
        where {_SAME} and o.filled_qty > 0 and o.sent_as <> 'foreign' and o.filled_at is not null)
)::text
"""  # noqa: S608 - built of constants


async def is_in_use(unit: Unit, trade: Trade) -> bool:
    """Say whether another open trade has the contract; until the unit ends no entry is stored beside it."""
    await unit.json(_LOCK, f"{trade.broker_mode}:{trade.account_id}")
    return await unit.json(_IN_USE, trade.broker_mode, trade.account_id, trade.occ_symbol, trade.id) is not None


async def ask_entries_away(unit: Unit, trade: Trade) -> list[str]:
    """Ask other trades of the contract to take down what still works of their entries; returns which."""
    raw = await unit.json(_ASK_AWAY, trade.broker_mode, trade.account_id, trade.occ_symbol, trade.id)
    found: list[str] = rows.loads(raw or b"[]")
    return found


async def beside(unit: Unit, trade: Trade, *, locks: bool = False) -> Beside:
    """Read what the account has in the contract besides this trade; `locks`: until the unit ends nobody counts more."""
    if locks:
        await unit.json(_LOCK, f"{trade.broker_mode}:{trade.account_id}")
    raw = await unit.json(_BESIDE, trade.broker_mode, trade.account_id, trade.occ_symbol, trade.id)
    found = rows.loads(raw or b'{"held_qty": 0, "orders": []}')
    ours = {name for own, group, sent_as, _ in found["orders"] if sent_as != "foreign" for name in (own, group) if name}
    explained = tuple((own, qty) for own, _, sent_as, qty in found["orders"] if sent_as == "foreign" and own)
    return Beside(int(found["held_qty"]), frozenset(ours), explained, rows.read_all(OurFill, found.get("fills", [])))
