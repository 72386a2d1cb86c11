"""What the order path learned: ends without an order, what an unanswered write is judged by, stops that are reached."""

from __future__ import annotations

from alembic import op

from libs.common import migrate

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # What an unanswered write is judged by: what the venue showed before it, and what the looks found.
    "alter table orders.broker_orders add column look_qty integer, add column venue_at timestamptz, "
    "add column base_qty numeric, add column base_cost_usd numeric, add column doubt text, "
    "add column odd_since timestamptz",
    "drop index orders.broker_orders_by_user",
    "create index broker_orders_by_user on orders.broker_orders (username, venue_at)",
    # A stop with a limit behind it, once the market has reached it.
    "alter table orders.broker_orders add column triggered_at timestamptz",
    "create index broker_orders_stop_limits on orders.broker_orders (trade_id) "
    "where type = 'stop_limit' and status in ('WORKING', 'PARTIAL')",
    "alter table orders.trades add column settled_qty integer not null default 0, add column settling_at timestamptz",
    """
    alter table orders.trades
    add column shown_qty integer, add column foreign_exit text, add column successor_occ text
    """,
    # What surfaced of one broker order after its trade was over is recovered once.
    """
    create unique index trades_recovered_once on orders.trades (recovered_from, tradier_order_id)
    where recovered_from is not null
    """,
    "alter table orders.broker_orders add column recovered_as text references orders.trades (id)",
    """
    alter table orders.broker_orders drop constraint broker_orders_sent_as_check,
    add constraint broker_orders_sent_as_check check (sent_as in ('single', 'oco', 'otoco', 'foreign'))
    """,
    """
    alter table orders.actions add column finding text, add column named text, add column successor_occ text,
    drop constraint actions_kind_check,
    add constraint actions_kind_check check (kind in ('CLOSE', 'ADJUST', 'REPAIR', 'YIELD'))
    """,
)

# What `store_lists.REWORD` said when this was written: a pending limit shows its price, a bare holding since when.
REWORD = """
update orders.trade_views v set
    doc = (select row_to_json(p)::text from (select
        t.id, t.username, t.account_id, v.account_name, t.broker_mode, t.ticker, t.occ_symbol, t.option_type,
        t.strike::text as strike, t.expiry, t.multiplier, t.qty, t.filled_qty, t.entry_type,
        t.limit_price::text as limit_price, t.entry_price::text as entry_price,
        t.entry_date, t.sl_price::text as sl_price, t.tp_price::text as tp_price, t.strategy, t.status, t.protection,
        t.naked_since, t.close_price::text as close_price, t.close_date, t.close_reason, t.trigger_precision,
        t.realized_pnl::text as realized_pnl, t.realized_pnl_pct::text as realized_pnl_pct,
        t.hold_duration_h::text as hold_duration_h, t.override_count, t.tradier_order_id, t.tradier_sl_order_id,
        t.tradier_tp_order_id, t.broker_fill_price::text as broker_fill_price, t.broker_fill_time, t.version,
        v.key_version, t.is_locked, t.reason, t.settlement, t.recovered_from, v.queued_for_open, v.orders) p)
from orders.trades t where t.id = v.trade_id and v.is_open
"""


def upgrade() -> None:
    """Expand only: whatever ran before goes on."""
    for statement in STATEMENTS:
        op.execute(statement)
    with migrate.as_worker(op, "orders"):
        op.execute(REWORD)
