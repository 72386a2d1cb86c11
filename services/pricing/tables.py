"""Pricing's tables: market data is shared, what a user holds is theirs."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Date, DateTime, Index, Integer, MetaData, Numeric, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.tables import chassis

SCHEMA = "pricing"
metadata = MetaData(schema=SCHEMA)
chassis_tables = chassis(metadata, SCHEMA)

AT = DateTime(timezone=True)

holdings = Table(
    "holdings",
    metadata,
    Column("trade_id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("ticker", Text, nullable=False),
    Column("occ_symbol", Text, nullable=False),
    Column("qty", Integer, nullable=False),
    Column("multiplier", Integer, nullable=False),
    Column("entry_price", Numeric),
    Column("held_from", AT),
    Column("held_to", AT),
    Column("key_version", BigInteger, nullable=False),
    Index("holdings_by_user", "username", "trade_id"),
    Index("holdings_in_use", "ticker", "occ_symbol", postgresql_where=text("held_to is null")),
)
"""Which contracts are in use, and since when a user holds one: a projection of orders' facts."""

price_snapshots = Table(
    "price_snapshots",
    metadata,
    Column("occ_symbol", Text, nullable=False),
    Column("taken_at", AT, nullable=False),
    Column("bid", Numeric, nullable=False),
    Column("ask", Numeric, nullable=False),
    Column("mark", Numeric, nullable=False),
    Column("delta", Numeric),
    Column("iv", Numeric),
    Column("underlying", Numeric),
    Column("tag", Text),
    Column("source", Text, nullable=False),
    Column("quoted_at", AT, nullable=False),
    Index("price_snapshots_by_contract", "occ_symbol", "taken_at"),
)
"""One row per contract and cycle serves every holder."""

chain_cache = Table(
    "chain_cache",
    metadata,
    Column("ticker", Text, primary_key=True),
    Column("expiry", Date, primary_key=True),
    Column("answer", JSONB, nullable=False),
    Column("as_of", AT, nullable=False),
)
"""The last chain of each expiry; a list of expiries is kept under the ticker's date 0001-01-01."""

request_quota = Table(
    "request_quota",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("opened_at", AT, nullable=False),
    Column("used", Integer, nullable=False),
)
"""How many requests the present minute has seen, over all replicas."""
