"""Remember how often nothing lived in an account, and the group an order belongs to."""

from alembic import op

revision = "0002_looks"
down_revision = "0001_initial"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two columns; an account that was watched before has everything to look at again."""
    op.execute("ALTER TABLE monitor.accounts ADD COLUMN quiet_looks INTEGER DEFAULT 0 NOT NULL")
    op.execute("ALTER TABLE monitor.seen_orders ADD COLUMN parent_broker_order_id TEXT")
