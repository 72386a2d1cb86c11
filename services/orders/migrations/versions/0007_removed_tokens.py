"""Let an account outlive its token: trades and fills stay its user's, and nobody else's."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Allow a row without a token."""
    op.execute("alter table orders.credentials alter column token_ciphertext drop not null")
