"""The kill switch: one row a user, and the trades that it has to end."""

from __future__ import annotations

from alembic import op

from libs.common import migrate

revision = "0006"
down_revision = "0005"

SCHEMA = "orders"

TABLES = (
    # Whoever stores or sends an entry holds the row shared; whoever engages waits for him and is then seen by all.
    """
    create table orders.kill_switches (
        username text primary key,
        engaged boolean not null default false,
        changed_at timestamptz,
        key_version bigint not null default 0,
        foreign_found jsonb not null default '[]'::jsonb,
        looked_at timestamptz,
        told text not null default ''
    )
    """,
    """
    create table orders.kills (
        trade_id text primary key references orders.trades (id),
        username text not null,
        taken_at timestamptz not null default clock_timestamp(),
        withdrawn_at timestamptz
    )
    """,
    "create index kills_by_user on orders.kills (username)",
)

# An intent that is stored already needs the row that its sender will hold.
KNOWN_USERS = "insert into orders.kill_switches (username) select username from orders.trading_settings"


def upgrade() -> None:
    """Expand only: whatever ran before goes on."""
    for statement in TABLES:
        op.execute(statement)
    for name in ("kill_switches", "kills"):
        verbs = ("select", "insert", "update")
        migrate.tenant_table(op, name, SCHEMA, tenant=verbs, worker=verbs)
    with migrate.as_worker(op, SCHEMA):
        op.execute(KNOWN_USERS)
