"""Pricing's rows: who holds what, price history, the vendor's quota. One purpose a function."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from libs.common.messages.trade import TradeRow
from libs.common.messages.vocabulary import TradeStatus
from services.pricing.cycle import POINT_COLUMNS, Point
from services.pricing.quota import Window, take
from services.pricing.tables import holdings, price_snapshots, request_quota

_KEPT = ("ticker", "occ_symbol", "qty", "multiplier", "entry_price", "held_from", "held_to", "key_version")
_KEEP = f"""
insert into pricing.holdings (trade_id, username, {", ".join(_KEPT)})
values ($1, $2, $3, $4, $5, $6, $7::numeric, $8, case when $9::boolean then coalesce($10::timestamptz, now()) end, $11)
on conflict (trade_id) do update set {", ".join(f"{name} = excluded.{name}" for name in _KEPT)}
where holdings.key_version < excluded.key_version
returning trade_id
"""  # noqa: S608 - column names of our own


async def keep_holding(unit: Unit, trade: TradeRow) -> bool:
    """Store the newest view of who holds which contract; False when what is stored is as new."""
    kept = await unit.json(
        _KEEP,
        trade.id,
        trade.username,
        trade.ticker,
        trade.occ_symbol,
        trade.filled_qty,
        trade.multiplier,
        trade.entry_price,
        trade.entry_date,
        trade.status is TradeStatus.CLOSED,
        trade.close_date,
        trade.key_version,
    )
    return kept is not None


async def contracts_in_use(unit: Unit) -> list[tuple[str, str]]:
    """List (ticker, OCC symbol) of everything anybody holds or waits to hold. A closed trade holds nothing."""
    statement = select(holdings.c.ticker, holdings.c.occ_symbol).where(holdings.c.held_to.is_(None)).distinct()
    return [(row.ticker, row.occ_symbol) for row in await unit.all(statement)]


async def append_points(unit: Unit, points: Iterable[Point]) -> int:
    """Append price history by COPY."""
    return await unit.copy_in("price_snapshots", POINT_COLUMNS, [point.record() for point in points])


async def take_requests(unit: Unit, vendor: str, asked: int, ceiling: int) -> int:
    """Take up to `asked` requests of the vendor's minute, over all replicas; returns how many were granted."""
    now = await unit.now()
    await unit.run(insert(request_quota).values(vendor=vendor, opened_at=now, used=0).on_conflict_do_nothing())
    row = await unit.one(select(request_quota).where(request_quota.c.vendor == vendor).with_for_update())
    if row is None:
        return 0
    window, granted = take(Window(opened_at=row.opened_at, used=row.used, ceiling=ceiling), asked, now)
    changed = request_quota.update().where(request_quota.c.vendor == vendor)
    await unit.run(changed.values(opened_at=window.opened_at, used=window.used))
    return granted


CURVE = """
with trade as (
    select occ_symbol, entry_price, qty, multiplier,
           greatest(held_from, $2::timestamptz) as since,
           least(coalesce(held_to, 'infinity'), coalesce($3::timestamptz, 'infinity')) as until
    from pricing.holdings where trade_id = $1
), numbered as (
    select p.*, (p.mark - t.entry_price) * t.qty * t.multiplier as pnl,
           row_number() over (order by p.taken_at) as nth, count(*) over () as total
    from trade t join pricing.price_snapshots p
      on p.occ_symbol = t.occ_symbol and p.taken_at >= t.since and p.taken_at <= t.until
), thinned as (
    select distinct on (bucket) * from (
        select *, case when tag is null then (nth - 1) * $4 / greatest(total, $4) else -nth end as bucket from numbered
    ) as bucketed
    order by bucket, taken_at desc
)
select json_build_object('points', coalesce(json_agg(json_build_object(
    'timestamp', taken_at, 'mark_price', mark::text, 'bid', bid::text, 'ask', ask::text, 'delta', delta::text,
    'iv', iv::text, 'underlying', underlying::text, 'pnl', round(pnl, 2)::text, 'tag', tag, 'source', source,
    'age_s', round(extract(epoch from taken_at - quoted_at), 1)
) order by taken_at), '[]'::json))::text
from thinned
"""
"""The curve of one trade: $1 trade, $2 from, $3 to, $4 points; tagged points always stay. The door hides others'."""


async def has_holding(unit: Unit, trade_id: str) -> bool:
    """Say whether the door shows such a trade."""
    return await unit.scalar(select(holdings.c.trade_id).where(holdings.c.trade_id == trade_id)) is not None


async def curve(
    unit: Unit, trade_id: str, seen_from: datetime | None, seen_to: datetime | None, points: int
) -> bytes | None:
    """Return {points} of one trade as JSON bytes."""
    return await unit.json(CURVE, trade_id, seen_from, seen_to, points)


async def oldest_price_at(unit: Unit) -> datetime | None:
    """Tell the time of the oldest among the last prices of what the door's user holds now; None without any."""
    last = (
        select(func.max(price_snapshots.c.taken_at))
        .where(price_snapshots.c.occ_symbol == holdings.c.occ_symbol)
        .scalar_subquery()
    )
    statement = select(func.min(last)).where(holdings.c.held_to.is_(None), holdings.c.held_from.is_not(None))
    found: datetime | None = await unit.scalar(statement)
    return found
