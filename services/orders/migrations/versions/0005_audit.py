"""Keep who changed which rule of an account, when and from where: settings, limits, modes, credentials."""

from __future__ import annotations

from alembic import op

from libs.common import migrate

revision = "0005"
down_revision = "0004"

SCHEMA = "orders"
APPEND = ("select", "insert")

TABLE = """
create table orders.audit (
    id text primary key,
    username text not null,
    at timestamptz not null default clock_timestamp(),
    kind text not null,
    actor text not null,
    text text not null,
    data jsonb not null default '{}'::jsonb,
    via text
)
"""


def upgrade() -> None:
    """Make the table; through no door can a line be changed or taken away."""
    op.execute(TABLE)
    op.execute("create index audit_by_user on orders.audit (username, at desc, id desc)")
    migrate.tenant_table(op, "audit", SCHEMA, tenant=APPEND, worker=APPEND)
