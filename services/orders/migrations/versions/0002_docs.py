"""Keep the list row as text beside each trade: the hot list then words nothing, it only strings together."""

from __future__ import annotations

from alembic import op

from libs.common import migrate

revision = "0002"
down_revision = "0001"

SCHEMA = "orders"

COLUMNS = """
alter table orders.trade_views
    add column doc text not null default '{}',
    add column is_open boolean not null default true,
    add column naked_since timestamptz,
    add column naked_s numeric not null default 0
"""

# What `store_lists.REWORD` said when this was written.
REWORD = """
update orders.trade_views v set
    is_open = t.status <> 'CLOSED', naked_since = t.naked_since, naked_s = t.naked_s,
    doc = (select row_to_json(p)::text from (select
        t.id, t.username, t.account_id, v.account_name, t.broker_mode, t.ticker, t.occ_symbol, t.option_type,
        t.strike::text as strike, t.expiry, t.multiplier, t.qty, t.filled_qty, t.entry_price::text as entry_price,
        t.entry_date, t.sl_price::text as sl_price, t.tp_price::text as tp_price, t.strategy, t.status, t.protection,
        t.close_price::text as close_price, t.close_date, t.close_reason, t.trigger_precision,
        t.realized_pnl::text as realized_pnl, t.realized_pnl_pct::text as realized_pnl_pct,
        t.hold_duration_h::text as hold_duration_h, t.override_count, t.tradier_order_id, t.tradier_sl_order_id,
        t.tradier_tp_order_id, t.broker_fill_price::text as broker_fill_price, t.broker_fill_time, t.version,
        v.key_version, t.is_locked, t.reason, t.settlement, t.recovered_from, v.queued_for_open, v.orders) p)
from orders.trades t where t.id = v.trade_id
"""


def upgrade() -> None:
    """Add the columns and fill them."""
    op.execute(COLUMNS)
    with migrate.as_worker(op, SCHEMA):
        op.execute(REWORD)
    op.execute("create index trade_views_open_by_user on orders.trade_views (username, trade_id desc) where is_open")
