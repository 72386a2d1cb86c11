"""Orders' tables as SQLAlchemy Core: what the migrations make, for statements that are not hot and for the proof."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.tables import chassis

SCHEMA = "orders"
metadata = MetaData(schema=SCHEMA)
chassis_tables = chassis(metadata, SCHEMA)

_AT = DateTime(timezone=True)
_NOW = text("clock_timestamp()")
_JSON_LIST = text("'[]'::jsonb")
_JSON_MAP = text("'{}'::jsonb")


def _need(name: str, kind: Any, default: Any = None) -> Column[Any]:
    """Return a column that is never null."""
    made = text(str(default)) if isinstance(default, int | bool) else default
    if isinstance(default, bool):
        made = text("true" if default else "false")
    return Column(name, kind, nullable=False, server_default=made)


def _may(kind: Any, *names: str) -> list[Column[Any]]:
    """Return columns that may be null."""
    return [Column(name, kind) for name in names]


def _trade_id(*, primary: bool = False) -> Column[Any]:
    return Column("trade_id", Text, ForeignKey(f"{SCHEMA}.trades.id"), primary_key=primary, nullable=False)


trades = Table(
    "trades",
    metadata,
    Column("id", Text, primary_key=True),
    *(_need(name, Text) for name in ("username", "idempotency_key", "broker_mode", "account_id", "ticker")),
    *(_need(name, Text) for name in ("occ_symbol", "option_type", "entry_type", "entry_duration")),
    *(_need(name, Text) for name in ("status", "protection")),
    _need("strike", Numeric),
    _need("expiry", Date),
    *(_need(name, Integer) for name in ("multiplier", "qty")),
    *(_need(name, Integer, 0) for name in ("filled_qty", "override_count", "settled_qty")),
    _need("naked_s", Numeric, 0),
    *_may(Numeric, "limit_price", "reference_price", "entry_price", "sl_price", "tp_price", "card_score", "ai_score"),
    *_may(Numeric, "technical_score", "sentiment_score", "close_price", "realized_pnl", "realized_pnl_pct"),
    *_may(Numeric, "hold_duration_h", "broker_fill_price"),
    *_may(Text, "strategy", "ai_verdict", "gate_verdict", "close_reason", "trigger_precision", "reason", "settlement"),
    *_may(Text, "foreign_exit", "successor_occ"),
    Column("shown_qty", Integer),
    *_may(Text, "tradier_order_id", "tradier_sl_order_id", "tradier_tp_order_id"),
    *_may(_AT, "entry_date", "naked_since", "close_date", "broker_fill_time", "settling_at"),
    _need("version", BigInteger, 1),
    _need("is_locked", Boolean, default=False),
    Column("recovered_from", Text, ForeignKey(f"{SCHEMA}.trades.id")),
    _need("created_at", _AT),
    CheckConstraint("is_locked = (status = 'CLOSED')", name="trades_locked_when_closed"),
    CheckConstraint("(close_reason is not null) = (status = 'CLOSED')", name="trades_reason_when_closed"),
)
_IS_OPEN = text("status <> 'CLOSED'")
Index(
    "trades_one_per_contract",
    trades.c.broker_mode,
    trades.c.account_id,
    trades.c.occ_symbol,
    unique=True,
    postgresql_where=text("status <> 'CLOSED' and recovered_from is null"),
)
Index(
    "trades_recovered_once",
    trades.c.recovered_from,
    trades.c.tradier_order_id,
    unique=True,
    postgresql_where=text("recovered_from is not null"),
)
Index("trades_by_user", trades.c.username, trades.c.id.desc())
Index("trades_open_by_user", trades.c.username, trades.c.id.desc(), postgresql_where=_IS_OPEN)
Index(
    "trades_closed_by_user",
    trades.c.username,
    trades.c.close_date.desc(),
    trades.c.id.desc(),
    postgresql_where=text("status = 'CLOSED'"),
)
Index("trades_open_by_contract", trades.c.occ_symbol, postgresql_where=_IS_OPEN)

trade_views = Table(
    "trade_views",
    metadata,
    _trade_id(primary=True),
    _need("username", Text),
    _need("key_version", BigInteger, 0),
    _need("orders", JSONB, _JSON_LIST),
    _need("queued_for_open", Boolean, default=False),
    Column("account_name", Text),
    _need("is_watched", Boolean, default=True),
    _need("doc", Text, text("'{}'")),
    _need("is_open", Boolean, default=True),
    Column("naked_since", _AT),
    _need("naked_s", Numeric, 0),
    _need("changed_at", _AT, text("now()")),
    Index("trade_views_by_user", "username"),
    Index("trade_views_open_by_user", "username", text("trade_id desc"), postgresql_where=text("is_open")),
    Index("trade_views_watched", "trade_id", postgresql_where=text("is_watched")),
)
"""What outsiders see that may change after the close: versions, broker orders, whether something waits."""

marks = Table(
    "marks",
    metadata,
    _trade_id(primary=True),
    *(_need(name, Text) for name in ("username", "ticker")),
    _need("is_open", Boolean, default=True),
    *_may(Numeric, "current_price", "unrealized_pnl", "max_gain", "max_drawdown", "session_start_pnl"),
    Column("price_source", Text),
    Column("last_updated", _AT),
    Column("session_date", Date),
    Index("marks_by_ticker", "ticker", postgresql_where=text("is_open")),
    Index("marks_by_user", "username"),
)

_STOP_LIMIT = "type = 'stop_limit' and status in ('WORKING', 'PARTIAL')"
broker_orders = Table(
    "broker_orders",
    metadata,
    Column("id", Text, primary_key=True),
    _trade_id(),
    *(_need(name, Text) for name in ("username", "role", "tag", "status", "sent_as", "type", "duration")),
    _need("qty", Integer),
    *(_need(name, Integer, 0) for name in ("filled_qty", "reads", "looks")),
    *_may(Numeric, "price", "stop", "avg_price", "base_qty", "base_cost_usd"),
    *_may(Text, "broker_order_id", "group_order_id", "action_id", "reason", "doubt"),
    Column("look_qty", Integer),
    Column("recovered_as", Text, ForeignKey(f"{SCHEMA}.trades.id")),
    _need("created_at", _AT),
    *_may(_AT, "send_by", "sent_at", "answered_at", "confirmed_at", "rested_at", "filled_at", "fill_seen_at"),
    *_may(
        _AT, "ended_at", "triggered_at", "cancel_first_at", "cancel_at", "read_at", "look_at", "venue_at", "odd_since"
    ),
    UniqueConstraint("tag", "role", name="broker_orders_one_per_tag"),
    CheckConstraint("filled_qty between 0 and qty", name="broker_orders_filled"),
    Index("broker_orders_by_trade", "trade_id"),
    Index("broker_orders_by_user", "username", "venue_at"),
    Index("broker_orders_by_broker_id", "broker_order_id"),
    Index("broker_orders_stop_limits", "trade_id", postgresql_where=text(_STOP_LIMIT)),
    Index("broker_orders_unsettled", "trade_id", postgresql_where=text("status in ('INTENT', 'SENT', 'UNKNOWN')")),
)

_ACTIVE = "state in ('REQUESTED', 'QUEUED', 'RUNNING')"
actions = Table(
    "actions",
    metadata,
    Column("id", Text, primary_key=True),
    _trade_id(),
    *(_need(name, Text) for name in ("username", "kind", "state")),
    *_may(Text, "reason", "words", "finding", "named", "successor_occ"),
    *_may(Numeric, "new_sl", "new_tp"),
    _need("created_at", _AT),
    *_may(_AT, "begun_at", "due_at", "done_at"),
    Index("actions_one_running", "trade_id", unique=True, postgresql_where=text("state = 'RUNNING'")),
    Index("actions_active", "trade_id", postgresql_where=text(_ACTIVE)),
    Index("actions_by_user", "username"),
)

flows = Table(
    "flows",
    metadata,
    _trade_id(primary=True),
    _need("username", Text),
    _need("run", BigInteger, 0),
    Column("claimed_until", _AT),
    Index("flows_by_user", "username"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("username", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    *(_need(name, Text) for name in ("kind", "body_hash", "envelope_id")),
    Column("trade_id", Text, ForeignKey(f"{SCHEMA}.trades.id")),
    Column("action_id", Text),
    _need("created_at", _AT, _NOW),
    Column("answered_at", _AT),
)

entry_context = Table(
    "entry_context",
    metadata,
    _trade_id(primary=True),
    _need("username", Text),
    *_may(JSONB, "signals_snapshot", "ai_reasoning_log", "order_book_state"),
    *_may(Numeric, "delta_at_entry", "iv_at_entry"),
    _need("captured_at", _AT),
    Index("entry_context_by_user", "username"),
)
"""Insert only: what was known when the entry was decided."""

market_context = Table(
    "market_context",
    metadata,
    _trade_id(primary=True),
    _need("username", Text),
    _need("context", JSONB),
    _need("captured_at", _AT),
    Index("market_context_by_user", "username"),
)
"""Insert only: the market around the entry, as pricing captured it."""

timeline = Table(
    "timeline",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    _trade_id(),
    _need("username", Text),
    _need("at", _AT, _NOW),
    *(_need(name, Text) for name in ("kind", "actor", "text")),
    _need("data", JSONB, _JSON_MAP),
    Column("correlation_id", Text),
    Index("timeline_by_trade", "trade_id", "id"),
    Index("timeline_by_user", "username"),
)

corrections = Table(
    "corrections",
    metadata,
    Column("id", Text, primary_key=True),
    _trade_id(),
    *(_need(name, Text) for name in ("username", "kind", "text")),
    _need("amount_usd", Numeric),
    _need("created_at", _AT, _NOW),
    Index("corrections_by_trade", "trade_id"),
    Index("corrections_by_user", "username"),
)

concerns = Table(
    "concerns",
    metadata,
    Column("concern_key", Text, primary_key=True),
    _need("username", Text),
    Column("trade_id", Text, ForeignKey(f"{SCHEMA}.trades.id")),
    *(_need(name, Text) for name in ("kind", "severity", "text")),
    _need("since_at", _AT),
    Column("ended_at", _AT),
    _need("key_version", BigInteger),
    Index("concerns_open_by_trade", "trade_id", postgresql_where=text("ended_at is null")),
    Index("concerns_by_user", "username"),
)

trading_settings = Table(
    "trading_settings",
    metadata,
    Column("username", Text, primary_key=True),
    _need("settings", JSONB),
    _need("key_version", BigInteger, 1),
    _need("created_at", _AT, _NOW),
    _need("updated_at", _AT, _NOW),
)

credentials = Table(
    "credentials",
    metadata,
    Column("account_key", Text, primary_key=True),
    *(_need(name, Text) for name in ("username", "broker_mode", "account_id")),
    *_may(Text, "account_name", "token_ciphertext"),
    _need("key_version", BigInteger, 1),
    _need("created_at", _AT, _NOW),
    _need("updated_at", _AT, _NOW),
    Index("credentials_by_user", "username", "broker_mode"),
)
"""One account of one venue, whose it is, and its token, sealed for this row; null once it was taken away."""
