"""The gateway's tables: people, their sessions and keys, display settings, the inbox, sign-in counts and the audit."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from libs.common.tables import chassis

SCHEMA = "gateway"

metadata = MetaData(schema=SCHEMA)
CHASSIS = chassis(metadata, SCHEMA)


def _at(name: str, *, optional: bool = False) -> Column[object]:
    if optional:
        return Column(name, DateTime(timezone=True))
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


USERS = Table(
    "users",
    metadata,
    Column("username", Text, primary_key=True),
    Column("password_hash", Text, nullable=False),
    Column("is_admin", Boolean, nullable=False, server_default=text("false")),
    _at("created_at"),
    _at("password_changed_at"),
    CheckConstraint("username ~ '^[a-z0-9][a-z0-9_-]{2,31}$'", name="username_shape"),
)

SESSIONS = Table(
    "sessions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("token_hash", Text, nullable=False, unique=True),
    Column("user_agent", Text, nullable=False, server_default=""),
    _at("created_at"),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Index("sessions_of_user", "username"),
    Index("sessions_by_end", "expires_at"),
)

API_KEYS = Table(
    "api_keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("key_hash", Text, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    _at("created_at"),
    _at("last_used_at", optional=True),
    _at("revoked_at", optional=True),
    CheckConstraint(
        "scopes <@ array['read', 'trade', 'signal', 'admin'] and cardinality(scopes) between 1 and 4",
        name="scopes_known",
    ),
    Index("api_keys_of_user", "username", "created_at"),
)

DISPLAY_SETTINGS = Table(
    "display_settings",
    metadata,
    Column("username", Text, primary_key=True),
    Column("auto_refresh", Boolean, nullable=False, server_default=text("true")),
    Column("sounds", Boolean, nullable=False, server_default=text("true")),
    Column("channels", ARRAY(Text), nullable=False, server_default=text("array['page']")),
    Column("quiet_hours", JSONB),
    _at("created_at"),
    _at("updated_at"),
)

TRADE_NOTIFICATIONS = Table(
    "trade_notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("username", Text, nullable=False),
    Column("cause", Text, nullable=False),
    _at("created_at"),
    _at("read_at", optional=True),
    Column("data", JSONB, nullable=False),
    Index("trade_notifications_newest", "username", "id"),
    Index("trade_notifications_cause", "username", "cause", unique=True),
    Index("trade_notifications_unread", "username", "id", postgresql_where=text("read_at is null")),
)

# An empty username counts an address as a whole, an empty address an account as a whole.
LOGIN_FAILURES = Table(
    "login_failures",
    metadata,
    Column("username", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_failed_at", DateTime(timezone=True), nullable=False),
    Index("login_failures_by_age", "last_failed_at"),
)

KNOWN_ADDRESSES = Table(
    "known_addresses",
    metadata,
    Column("username", Text, primary_key=True),
    Column("address", Text, primary_key=True),
    _at("last_seen_at"),
)

AUDIT = Table(
    "audit",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("username", Text, nullable=False),
    _at("at"),
    Column("action", Text, nullable=False),
    Column("detail", JSONB, nullable=False),
    Column("via", Text),
    Index("audit_of_user", "username", "at"),
)

OWN = (USERS, SESSIONS, API_KEYS, DISPLAY_SETTINGS, TRADE_NOTIFICATIONS, LOGIN_FAILURES, KNOWN_ADDRESSES, AUDIT)
"""Every table that is not the chassis'."""
