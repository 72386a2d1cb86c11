"""What bots published, once each, and what became of it."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.tables import metadata

_AT = DateTime(timezone=True)
_IS_OPEN = text("state in ('pending', 'placing')")

signals = Table(
    "signals",
    metadata,
    Column("id", Text, primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("username", "bot")),
    Column("signal_id", Text),
    Column("state", Text, nullable=False),
    Column("body", JSONB),
    Column("body_hash", Text, nullable=False),
    *(Column(name, Text) for name in ("code", "reason")),
    Column("trade_id", Text, ForeignKey("orders.trades.id")),
    *(Column(name, Text) for name in ("broker_mode", "account_id", "via")),
    Column("received_at", _AT, nullable=False),
    *(Column(name, _AT) for name in ("expires_at", "decided_at")),
    Column("key_version", BigInteger, nullable=False),
    UniqueConstraint("username", "bot", "signal_id", name="signals_once"),
    CheckConstraint("state in ('pending', 'placing', 'accepted', 'rejected', 'expired')", name="signals_state_check"),
    Index("signals_newest", "username", text("id desc")),
    Index("signals_recent", "username", "received_at"),
    Index("signals_decided", "decided_at"),
    Index("signals_open", "username", text("id desc"), postgresql_where=_IS_OPEN),
)
"""`signal_id` is null where only a refusal is kept, so that the name stays free for a better body."""
