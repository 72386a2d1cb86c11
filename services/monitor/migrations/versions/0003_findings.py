"""Remember what a full look found and doubted, and which orders of an account are not ours."""

from alembic import op

from libs.common.migrate import tenant_table

revision = "0003_findings"
down_revision = "0002_looks"
branch_labels = None
depends_on = None

SCHEMA = "monitor"

STATEMENTS = (
    "ALTER TABLE monitor.tracked ADD COLUMN protection TEXT DEFAULT 'NONE' NOT NULL",
    """
    ALTER TABLE monitor.accounts
        ADD COLUMN doubtful_since TIMESTAMP WITH TIME ZONE,
        ADD COLUMN doubt_reason TEXT,
        ADD COLUMN doubt_digest TEXT,
        ADD COLUMN listed_on DATE
    """,
    """
    CREATE TABLE monitor.standing (
        account_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        username TEXT NOT NULL,
        key_version BIGINT NOT NULL,
        looks INTEGER NOT NULL,
        asked_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (account_key, kind, subject)
    )
    """,
    "CREATE INDEX standing_by_user ON monitor.standing (username)",
    """
    CREATE TABLE monitor.foreign_orders (
        account_key TEXT NOT NULL,
        broker_order_id TEXT NOT NULL,
        username TEXT NOT NULL,
        occ_symbol TEXT,
        symbol TEXT,
        side TEXT,
        type TEXT,
        status TEXT NOT NULL,
        qty INTEGER NOT NULL,
        filled_qty INTEGER NOT NULL,
        price NUMERIC,
        stop NUMERIC,
        created_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (account_key, broker_order_id)
    )
    """,
    "CREATE INDEX foreign_orders_by_user ON monitor.foreign_orders (username)",
)


def upgrade() -> None:
    """Expand only; what was tracked before tells its protection with its next fact."""
    for statement in STATEMENTS:
        op.execute(statement)
    for name in ("standing", "foreign_orders"):
        tenant_table(op, name, SCHEMA)
