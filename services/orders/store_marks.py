"""Marks: one statement per ticker and cycle, for every user's trades at once."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from libs.common.db import Unit
from libs.common.messages.orders import PriceMark
from libs.common.messages.pricing import Marks
from services.orders import rows

# P&L is of what is still held: entry fills less exit fills, at this mark.
_APPLY = """
with quoted as (
    select q.occ_symbol, q.mark::numeric as mark, q.quoted_at
    from jsonb_to_recordset($2::text::jsonb) as q (occ_symbol text, mark text, quoted_at timestamptz)
), held as (
    select m.trade_id, q.mark, q.quoted_at, (q.quoted_at at time zone 'America/New_York')::date as day,
        round((q.mark - t.entry_price) * t.multiplier * (
            t.filled_qty - coalesce((select sum(o.filled_qty) from orders.broker_orders o
                where o.trade_id = t.id and o.role in ('STOP_LOSS', 'TAKE_PROFIT', 'CLOSE')), 0)), 2) as pnl
    from orders.marks m
    join orders.trades t on t.id = m.trade_id
    join quoted q on q.occ_symbol = t.occ_symbol
    where m.ticker = $1 and m.is_open and (m.last_updated is null or m.last_updated < q.quoted_at)
), changed as (
    update orders.marks m set
        current_price = h.mark, price_source = $3, last_updated = h.quoted_at, unrealized_pnl = h.pnl,
        max_gain = case when h.pnl is null then m.max_gain else greatest(m.max_gain, h.pnl, 0) end,
        max_drawdown = case when h.pnl is null then m.max_drawdown else least(m.max_drawdown, h.pnl, 0) end,
        session_start_pnl = case when m.session_date = h.day then m.session_start_pnl else m.unrealized_pnl end,
        session_date = h.day
    from held h where h.trade_id = m.trade_id
    returning m.username, m.trade_id, m.current_price, m.unrealized_pnl, m.price_source, m.last_updated,
        m.max_gain, m.max_drawdown
)
select coalesce(json_agg(json_build_array(username, json_build_object(
    'trade_id', trade_id, 'current_price', current_price::text, 'unrealized_pnl', unrealized_pnl::text,
    'price_source', price_source, 'last_updated', last_updated,
    'max_gain', max_gain::text, 'max_drawdown', max_drawdown::text))), '[]')::text
from changed
"""


async def apply(unit: Unit, tick: Marks) -> list[tuple[str, PriceMark]]:
    """Apply the marks of one ticker; returns what changed, with whose it is."""
    quoted = [{"occ_symbol": m.occ_symbol, "mark": str(m.mark), "quoted_at": m.quoted_at} for m in tick.marks]
    raw = await unit.json(_APPLY, tick.ticker, orjson.dumps(quoted).decode(), tick.source)
    return list(_changed(rows.loads(raw or b"[]")))


def _changed(found: list[tuple[str, dict[str, object]]]) -> Iterator[tuple[str, PriceMark]]:
    for username, mark in found:
        yield username, PriceMark.model_validate(mark)
