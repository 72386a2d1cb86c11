"""Monitor's tables. Every one is a user's; only the chassis' own are shared."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Index, Integer, MetaData, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.tables import chassis

SCHEMA = "monitor"
metadata = MetaData(schema=SCHEMA)
chassis_tables = chassis(metadata, SCHEMA)

AT = DateTime(timezone=True)

tracked = Table(
    "tracked",
    metadata,
    Column("trade_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("account_key", Text, nullable=False),
    Column("broker_mode", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("ticker", Text, nullable=False),
    Column("occ_symbol", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("sl_price", Numeric),
    Column("tp_price", Numeric),
    Column("orders", JSONB, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("changed_at", AT, nullable=False, server_default=text("now()")),
    Column("is_over", Boolean, nullable=False, server_default=text("false")),
    Column("protection", Text, nullable=False, server_default=text("'NONE'")),
    Index("tracked_by_user", "username", "account_key"),
    Index("tracked_by_account", "account_key", postgresql_where=text("not is_over")),
    Index("tracked_by_ticker", "ticker", postgresql_where=text("not is_over")),
)
"""Our trades as orders tells them: a projection that may be thrown away and asked for again."""

accounts = Table(
    "accounts",
    metadata,
    Column("account_key", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("broker_mode", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("account_name", Text),
    Column("hints", BigInteger, nullable=False, server_default=text("0")),
    Column("hot_until", AT),
    Column("orders_synced_at", AT),
    Column("portfolio_synced_at", AT),
    Column("problem", Text),
    Column("problem_detail", Text),
    Column("problem_since", AT),
    Column("key_version", BigInteger, nullable=False, server_default=text("0")),
    Column("quiet_looks", Integer, nullable=False, server_default=text("0")),
    Column("doubtful_since", AT),
    Column("doubt_reason", Text),
    Column("doubt_digest", Text),
    Column("listed_on", Date),
    Index("accounts_by_user", "username"),
)
"""The broker accounts that are watched, and how their last read went."""

seen_orders = Table(
    "seen_orders",
    metadata,
    Column("order_key", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("account_key", Text, nullable=False),
    Column("trade_id", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("filled_qty", Integer, nullable=False),
    Column("avg_fill_price", Numeric),
    Column("key_version", BigInteger, nullable=False),
    Column("seen_at", AT, nullable=False),
    Column("parent_broker_order_id", Text),
    Index("seen_orders_by_account", "account_key"),
    Index("seen_orders_by_user", "username"),
)
"""What was last told of each broker order."""

standing = Table(
    "standing",
    metadata,
    Column("account_key", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("looks", Integer, nullable=False),
    Column("asked_at", AT),
    Index("standing_by_user", "username"),
)
"""What the last full look at an account found: a finding counts once the next one agrees."""

foreign_orders = Table(
    "foreign_orders",
    metadata,
    Column("account_key", Text, primary_key=True),
    Column("broker_order_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("occ_symbol", Text),
    Column("symbol", Text),
    Column("side", Text),
    Column("type", Text),
    Column("status", Text, nullable=False),
    Column("qty", Integer, nullable=False),
    Column("filled_qty", Integer, nullable=False),
    Column("price", Numeric),
    Column("stop", Numeric),
    Column("created_at", AT),
    Index("foreign_orders_by_user", "username"),
)
"""Orders of today's session that are not ours, as last seen: shown, never touched."""

account_status_cache = Table(
    "account_status_cache",
    metadata,
    Column("account_key", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("net_liquidation", Numeric),
    Column("buying_power", Numeric),
    Column("excess_liquidity", Numeric),
    Column("maint_margin", Numeric),
    Column("unrealized_pnl", Numeric),
    Column("realized_pnl", Numeric),
    Column("timestamp", AT, nullable=False),
    Index("account_status_cache_by_user", "username"),
)

active_positions_cache = Table(
    "active_positions_cache",
    metadata,
    Column("account_key", Text, primary_key=True),
    Column("symbol", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("avg_price", Numeric),
    Column("market_value", Numeric),
    Column("dte", Integer),
    Column("instrument_type", Text, nullable=False),
    Column("timestamp", AT, nullable=False),
    Index("active_positions_cache_by_user", "username"),
)

trade_executions = Table(
    "trade_executions",
    metadata,
    Column("account_key", Text, primary_key=True),
    Column("broker_execution_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("broker", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("symbol", Text, nullable=False),
    Column("side", Text, nullable=False),
    Column("quantity", Numeric, nullable=False),
    Column("price", Numeric, nullable=False),
    Column("commission", Numeric),
    Column("execution_time", AT, nullable=False),
    Index("trade_executions_by_user", "username", "execution_time", "broker_execution_id"),
)
"""Every fill, for good. The broker names none: one is (order id, cumulative executed quantity)."""

incidents = Table(
    "incidents",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("cause_key", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("trade_id", Text),
    Column("occ_symbol", Text),
    Column("broker_mode", Text),
    Column("account_id", Text),
    Column("opened_at", AT, nullable=False),
    Column("ended_at", AT),
    Column("key_version", BigInteger, nullable=False),
    Index("incidents_by_user", "username", "opened_at", "id"),
    Index(
        "incidents_one_open_by_cause", "username", "cause_key", unique=True, postgresql_where=text("ended_at is null")
    ),
)
"""What was wrong, from when to when. `cause_key` names the cause: one open incident each."""
