"""What keeps the kill switch from an account, beside each trade it has to end there."""

from __future__ import annotations

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Expand only."""
    op.execute(
        "alter table orders.kills add column trouble text, add column trouble_lasts boolean not null default false"
    )
