"""Say in words from where somebody signed in, changed a password or made a key."""

from __future__ import annotations

from alembic import op

revision = "0002_audit"
down_revision = "0001_initial"


def upgrade() -> None:
    """Add the column; earlier lines keep the address in their detail."""
    op.execute("alter table gateway.audit add column via text")
