"""The tables that every service's schema has for the chassis, as SQLAlchemy Core."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

CHASSIS = ("outbox", "inbox", "latest", "jobs", "relay_state")
"""Their names, the same in every schema."""

_NOW = text("clock_timestamp()")


@dataclass(frozen=True)
class ChassisTables:
    """The chassis tables of one schema. Services use them through `Unit` and jobs, hardly ever by hand."""

    outbox: Table
    inbox: Table
    latest: Table
    jobs: Table
    relay_state: Table


def chassis(metadata: MetaData, schema: str) -> ChassisTables:
    """Declare the chassis tables of `schema` in `metadata`; `ddl.chassis_tables` makes them."""
    return ChassisTables(
        outbox=_outbox(metadata, schema),
        inbox=Table(
            "inbox",
            metadata,
            Column("consumer", Text, primary_key=True),
            Column("day", Date, primary_key=True),
            Column("message_id", Text, primary_key=True),
            Column("seen_at", DateTime(timezone=True), nullable=False, server_default=_NOW),
            schema=schema,
            postgresql_partition_by="RANGE (day)",
        ),
        latest=Table(
            "latest",
            metadata,
            Column("consumer", Text, primary_key=True),
            Column("username", Text, primary_key=True),
            Column("key", Text, primary_key=True),
            Column("key_version", BigInteger, nullable=False),
            schema=schema,
        ),
        jobs=_jobs(metadata, schema),
        relay_state=Table(
            "relay_state",
            metadata,
            Column("sole", Boolean, primary_key=True, server_default=text("true")),
            Column("epoch", DateTime(timezone=True), nullable=False),
            CheckConstraint("sole", name="relay_state_sole"),
            schema=schema,
        ),
    )


def _outbox(metadata: MetaData, schema: str) -> Table:
    return Table(
        "outbox",
        metadata,
        Column("id", BigInteger, primary_key=True, server_default=text(f"nextval('{schema}.outbox_id')")),
        Column("occurred_at", DateTime(timezone=True), primary_key=True, server_default=_NOW),
        Column("fact_id", Text, nullable=False),
        Column("subject", Text, nullable=False),
        Column("username", Text, nullable=False),
        Column("key", Text, nullable=False),
        Column("key_version", BigInteger),
        Column("correlation_id", Text, nullable=False),
        Column("causation_id", Text),
        Column("data", Text, nullable=False),
        Column("published_at", DateTime(timezone=True)),
        Index("outbox_unpublished", "id", postgresql_where=text("published_at is null")),
        schema=schema,
        postgresql_partition_by="RANGE (occurred_at)",
    )


def _jobs(metadata: MetaData, schema: str) -> Table:
    return Table(
        "jobs",
        metadata,
        Column("kind", Text, primary_key=True),
        Column("key", Text, primary_key=True),
        Column("username", Text),
        Column("data", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
        Column("due_at", DateTime(timezone=True), nullable=False),
        Column("run", BigInteger, nullable=False, server_default=text("0")),
        Column("claimed_until", DateTime(timezone=True)),
        Column("tries", Integer, nullable=False, server_default=text("0")),
        Column("last_error", Text),
        Index("jobs_due", "kind", "due_at"),
        schema=schema,
    )
