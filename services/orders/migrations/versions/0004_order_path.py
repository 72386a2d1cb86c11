"""What the order path learned: ends without an order of ours."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    "alter table orders.trades add column settled_qty integer not null default 0, add column settling_at timestamptz",
)


def upgrade() -> None:
    """Expand only: whatever ran before goes on."""
    for statement in STATEMENTS:
        op.execute(statement)
