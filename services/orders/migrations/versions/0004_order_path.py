"""What the order path learned: ends without an order of ours, and what an unanswered write is judged by."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"

STATEMENTS = (
    # What an unanswered write is judged by: what the venue showed before it, and what the looks found.
    "alter table orders.broker_orders add column look_qty integer, add column venue_at timestamptz, "
    "add column base_qty numeric, add column base_cost_usd numeric, add column doubt text, "
    "add column odd_since timestamptz",
    "drop index orders.broker_orders_by_user",
    "create index broker_orders_by_user on orders.broker_orders (username, venue_at)",
    "alter table orders.trades add column settled_qty integer not null default 0, add column settling_at timestamptz",
)


def upgrade() -> None:
    """Expand only: whatever ran before goes on."""
    for statement in STATEMENTS:
        op.execute(statement)
