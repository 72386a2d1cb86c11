"""Forensics' first table: one outcome a trade."""

from alembic import op

from libs.common.migrate import chassis_tables, tenant_table

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "forensics"

TABLES = (
    """
    CREATE TABLE forensics.outcomes (
        trade_id TEXT NOT NULL,
        username TEXT NOT NULL,
        account_id TEXT NOT NULL,
        broker_mode TEXT NOT NULL,
        ticker TEXT NOT NULL,
        occ_symbol TEXT NOT NULL,
        strategy TEXT,
        was_held BOOLEAN NOT NULL,
        qty INTEGER NOT NULL,
        multiplier INTEGER NOT NULL,
        entry_price NUMERIC,
        entry_date TIMESTAMP WITH TIME ZONE,
        close_price NUMERIC,
        close_date TIMESTAMP WITH TIME ZONE NOT NULL,
        close_reason TEXT NOT NULL,
        trigger_precision TEXT,
        realized_pnl NUMERIC,
        realized_pnl_pct NUMERIC,
        hold_duration_h NUMERIC,
        max_gain NUMERIC,
        max_drawdown NUMERIC,
        override_count INTEGER NOT NULL,
        key_version BIGINT NOT NULL,
        recorded_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (trade_id)
    )
    """,
    "CREATE INDEX outcomes_by_user ON forensics.outcomes (username, close_date)",
)


def upgrade() -> None:
    """Make the tables and say who may do what."""
    chassis_tables(op, SCHEMA)
    for statement in TABLES:
        op.execute(statement)
    tenant_table(op, "outcomes", SCHEMA)
