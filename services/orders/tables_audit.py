"""What was changed of an account's rules, and by whom: append only, by grant."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, Index, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.tables import metadata

audit = Table(
    "audit",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False, server_default=text("clock_timestamp()")),
    *(Column(name, Text, nullable=False) for name in ("kind", "actor", "text")),
    Column("data", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("via", Text),
    Index("audit_by_user", "username", text("at desc"), text("id desc")),
)
"""Settings, limits, modes, credentials, the kill switch, approvals. Never a token, nor a part of one."""
