"""Trades by the hundred thousand, as orders would have stored them: inserted by the administrator, taken away again.

Each user of `bench_list_…` holds a hundred open trades with their bracket resting.
"""

from __future__ import annotations

import asyncpg

from services.orders.store_lists import REWORD

EACH = 100
MARK = "bench_list_"

# `replica` leaves out the triggers: a trade that is filled from its first moment is not what a service may store.
_AS_IS = "set session_replication_role = replica"
_AS_ALWAYS = "set session_replication_role = origin"

_TRADES = """
insert into orders.trades (
    id, username, idempotency_key, broker_mode, account_id, ticker, occ_symbol, option_type, strike, expiry, multiplier,
    qty, entry_type, entry_duration, reference_price, filled_qty, entry_price, entry_date, sl_price, tp_price, strategy,
    status, protection, naked_s, tradier_order_id, tradier_sl_order_id, tradier_tp_order_id, broker_fill_price,
    broker_fill_time, version, created_at)
select 'bench-' || lpad(n::text, 12, '0'), $1 || lpad((n / 100)::text, 6, '0'), 'key-' || n, 'PAPER', 'VA9' || n / 100,
    'S' || lpad((n % 500)::text, 3, '0'), 'S' || lpad((n % 500)::text, 3, '0') || '271217C' || lpad(n::text, 8, '0'),
    'CALL', 100 + n % 50, date '2027-12-17', 100, 2, 'market', 'day', 11.60, 2, 11.64, clock_timestamp(), 7.80, 15.50,
    'momentum', 'FILLED', 'PROTECTED', 0.162, n::text, (n + 1)::text, (n + 2)::text, 11.64, clock_timestamp(), 2,
    clock_timestamp()
from generate_series($2::int, $3::int - 1) n
"""
_VIEWS = """
insert into orders.trade_views (trade_id, username, key_version, account_name, orders)
select t.id, t.username, 7, 'Paper', jsonb_build_array(
    jsonb_build_object('role', 'ENTRY', 'status', 'FILLED', 'tag', 'bk-' || md5(t.id), 'qty', 2, 'filled_qty', 2,
        'avg_price', '11.64', 'broker_order_id', t.tradier_order_id),
    jsonb_build_object('role', 'TAKE_PROFIT', 'status', 'WORKING', 'tag', 'bk-' || md5(t.id || 'x'), 'qty', 2,
        'filled_qty', 0, 'avg_price', null, 'broker_order_id', t.tradier_tp_order_id),
    jsonb_build_object('role', 'STOP_LOSS', 'status', 'WORKING', 'tag', 'bk-' || md5(t.id || 'x'), 'qty', 2,
        'filled_qty', 0, 'avg_price', null, 'broker_order_id', t.tradier_sl_order_id))
from orders.trades t where starts_with(t.username, $1) and not exists (
    select from orders.trade_views v where v.trade_id = t.id)
"""
_MARKS = """
insert into orders.marks (trade_id, username, ticker, current_price, price_source, last_updated, unrealized_pnl,
    max_gain, max_drawdown, session_date)
select t.id, t.username, t.ticker, 12.05, 'orats', clock_timestamp(), 82, 140, -36, current_date
from orders.trades t where starts_with(t.username, $1) and not exists (
    select from orders.marks m where m.trade_id = t.id)
"""
_HELD = """
insert into orders.trades (
    id, username, idempotency_key, broker_mode, account_id, ticker, occ_symbol, option_type, strike, expiry,
    multiplier, qty, entry_type, entry_duration, filled_qty, entry_price, entry_date, status, protection,
    version, created_at)
select 'bench-' || occ, $1, occ, 'PAPER', 'VA9', ticker, occ, 'CALL', 100, current_date + 30, 100, 1, 'market', 'day',
    1, 5.00, clock_timestamp(), 'FILLED', 'PROTECTED', 2, clock_timestamp()
from unnest($2::text[], $3::text[]) as held (ticker, occ)
"""
_HELD_MARKS = """
insert into orders.marks (trade_id, username, ticker)
select id, username, ticker from orders.trades where username = $1
"""
_HOLDINGS = """
insert into pricing.holdings (
    trade_id, username, ticker, occ_symbol, qty, multiplier, entry_price, held_from, key_version)
select id, username, ticker, occ_symbol, 1, 100, 5.00, entry_date, 1 from orders.trades where username = $1
"""
TABLES = ("orders.marks", "orders.trade_views", "orders.trades")


def user(number: int) -> str:
    """Name a holder of a hundred trades."""
    return f"{MARK}{number:06d}"


async def grow(admin: asyncpg.Connection, first: int, last: int) -> None:
    """Insert the trades numbered `first` up to, but without, `last`, and refresh the planner's statistics."""
    await admin.execute(_AS_IS)
    await admin.execute(_TRADES, MARK, first, last)
    await admin.execute(_VIEWS, MARK)
    await admin.execute(_MARKS, MARK)
    await admin.execute(REWORD)
    await admin.execute(_AS_ALWAYS)
    for table in TABLES:
        await admin.execute(f"vacuum analyze {table}")
    # Writing all of it to disk is no part of what follows.
    await admin.execute("checkpoint")


async def hold(admin: asyncpg.Connection, contracts: list[tuple[str, str]]) -> None:
    """Let the first user have a trade in each (ticker, OCC symbol) that orders and pricing know."""
    tickers, symbols = zip(*contracts, strict=True)
    await admin.execute(_AS_IS)
    await admin.execute(_HELD, user(0), tickers, symbols)
    await admin.execute(_VIEWS, MARK)
    await admin.execute(_HELD_MARKS, user(0))
    await admin.execute(REWORD)
    for table in TABLES:
        await admin.execute(f"vacuum analyze {table}")
    await admin.execute(_HOLDINGS, user(0))
    await admin.execute(_AS_ALWAYS)


async def clear(admin: asyncpg.Connection) -> None:
    """Take them away again."""
    await admin.execute(_AS_IS)
    for table in TABLES:
        await admin.execute(f"delete from {table} where starts_with(username, $1)", MARK)
        await admin.execute(f"vacuum analyze {table}")
    await admin.execute(_AS_ALWAYS)


BARE = """
select t.id, t.username, t.account_id, v.account_name, t.broker_mode, t.ticker, t.occ_symbol, t.option_type, t.strike,
    t.expiry, t.multiplier, t.qty, t.filled_qty, t.entry_type,
    t.limit_price, t.entry_price, t.entry_date, t.sl_price, t.tp_price, t.strategy,
    m.current_price, m.price_source, m.last_updated, m.unrealized_pnl, t.status, t.protection, t.naked_s, t.naked_since,
    t.close_price,
    t.close_date, t.close_reason, t.trigger_precision, t.realized_pnl, t.realized_pnl_pct, m.max_drawdown, m.max_gain,
    t.hold_duration_h, t.override_count, t.tradier_order_id, t.tradier_sl_order_id, t.tradier_tp_order_id,
    t.broker_fill_price, t.broker_fill_time, t.version, v.key_version, t.is_locked, t.reason, t.settlement,
    t.recovered_from, v.queued_for_open, v.orders
from orders.trades t join orders.trade_views v on v.trade_id = t.id join orders.marks m on m.trade_id = t.id
where t.username = $1 and t.status <> 'CLOSED' order by t.id desc limit 100
"""
"""The reference: the keys of a list row, fetched by the driver alone, without door, JSON or HTTP."""
