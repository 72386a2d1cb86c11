"""Forensics' tables."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, Index, Integer, MetaData, Numeric, Table, Text, text

from libs.common.tables import chassis

SCHEMA = "forensics"
metadata = MetaData(schema=SCHEMA)
chassis_tables = chassis(metadata, SCHEMA)

AT = DateTime(timezone=True)

outcomes = Table(
    "outcomes",
    metadata,
    Column("trade_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("broker_mode", Text, nullable=False),
    Column("ticker", Text, nullable=False),
    Column("occ_symbol", Text, nullable=False),
    Column("strategy", Text),
    Column("was_held", Boolean, nullable=False),
    Column("qty", Integer, nullable=False),
    Column("multiplier", Integer, nullable=False),
    Column("entry_price", Numeric),
    Column("entry_date", AT),
    Column("close_price", Numeric),
    Column("close_date", AT, nullable=False),
    Column("close_reason", Text, nullable=False),
    Column("trigger_precision", Text),
    Column("realized_pnl", Numeric),
    Column("realized_pnl_pct", Numeric),
    Column("hold_duration_h", Numeric),
    Column("max_gain", Numeric),
    Column("max_drawdown", Numeric),
    Column("override_count", Integer, nullable=False),
    Column("key_version", BigInteger, nullable=False),
    Column("recorded_at", AT, nullable=False, server_default=text("now()")),
    Index("outcomes_by_user", "username", "close_date"),
)
"""One row per closed trade. A later version of the trade (a correction) replaces it; nothing adds a second."""
