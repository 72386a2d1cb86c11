"""The tables of the kill switch: whether it is engaged, and which trades it has to end."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, DateTime, ForeignKey, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.tables import SCHEMA, metadata

_AT = DateTime(timezone=True)

kill_switches = Table(
    "kill_switches",
    metadata,
    Column("username", Text, primary_key=True),
    Column("engaged", Boolean, nullable=False, server_default=text("false")),
    Column("changed_at", _AT),
    Column("key_version", BigInteger, nullable=False, server_default=text("0")),
    Column("foreign_found", JSONB, nullable=False, server_default=text("'[]'::jsonb")),
    Column("looked_at", _AT),
    Column("told", Text, nullable=False, server_default=text("''")),
)
"""One row a user, held shared by whoever stores an entry or marks one as sent."""

kills = Table(
    "kills",
    metadata,
    Column("trade_id", Text, ForeignKey(f"{SCHEMA}.trades.id"), primary_key=True),
    Column("username", Text, nullable=False),
    Column("taken_at", _AT, nullable=False, server_default=text("clock_timestamp()")),
    Column("withdrawn_at", _AT),
    Column("trouble", Text),
    Column("trouble_lasts", Boolean, nullable=False, server_default=text("false")),
    Index("kills_by_user", "username"),
)
"""Each trade that was open, or came to light, while the switch was engaged.

`trouble` keeps the switch from its account, in words; when it lasts, only a person ends it.
"""
