"""Signals: what bots published, once each, and what became of it."""

from __future__ import annotations

from alembic import op

from libs.common import migrate

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    """
    create table orders.signals (
        id text primary key,
        username text not null,
        bot text not null,
        signal_id text,
        state text not null check (state in ('pending', 'placing', 'accepted', 'rejected', 'expired')),
        body jsonb,
        body_hash text not null,
        code text,
        reason text,
        trade_id text references orders.trades (id),
        broker_mode text check (broker_mode in ('PAPER', 'TRADIER_SANDBOX', 'TRADIER_LIVE')),
        account_id text,
        via text,
        received_at timestamptz not null,
        expires_at timestamptz,
        decided_at timestamptz,
        key_version bigint not null,
        constraint signals_once unique (username, bot, signal_id)
    )
    """,
    "create index signals_newest on orders.signals (username, id desc)",
    "create index signals_recent on orders.signals (username, received_at)",
    """
    create index signals_open on orders.signals (username, id desc) where state in ('pending', 'placing')
    """,
)


def upgrade() -> None:
    """Expand only."""
    for statement in STATEMENTS:
        op.execute(statement)
    migrate.tenant_table(op, "signals", "orders", tenant=("select", "insert", "update"), worker=("select",))
