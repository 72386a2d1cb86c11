"""Pricing's first tables: who holds what, price history, chains and the quota."""

from alembic import op

from libs.common.migrate import chassis_tables, shared_table, tenant_table

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "pricing"

TABLES = (
    """
    CREATE TABLE pricing.holdings (
        trade_id TEXT NOT NULL,
        username TEXT NOT NULL,
        ticker TEXT NOT NULL,
        occ_symbol TEXT NOT NULL,
        qty INTEGER NOT NULL,
        multiplier INTEGER NOT NULL,
        entry_price NUMERIC,
        held_from TIMESTAMP WITH TIME ZONE,
        held_to TIMESTAMP WITH TIME ZONE,
        key_version BIGINT NOT NULL,
        PRIMARY KEY (trade_id)
    )
    """,
    "CREATE INDEX holdings_by_user ON pricing.holdings (username, trade_id)",
    "CREATE INDEX holdings_in_use ON pricing.holdings (ticker, occ_symbol) WHERE held_to is null",
    """
    CREATE TABLE pricing.price_snapshots (
        occ_symbol TEXT NOT NULL,
        taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
        bid NUMERIC NOT NULL,
        ask NUMERIC NOT NULL,
        mark NUMERIC NOT NULL,
        delta NUMERIC,
        iv NUMERIC,
        underlying NUMERIC,
        tag TEXT,
        source TEXT NOT NULL,
        quoted_at TIMESTAMP WITH TIME ZONE NOT NULL
    )
    """,
    "CREATE INDEX price_snapshots_by_contract ON pricing.price_snapshots (occ_symbol, taken_at)",
    """
    CREATE TABLE pricing.chain_cache (
        ticker TEXT NOT NULL,
        expiry DATE NOT NULL,
        answer JSONB NOT NULL,
        as_of TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (ticker, expiry)
    )
    """,
    """
    CREATE TABLE pricing.request_quota (
        vendor TEXT NOT NULL,
        opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        used INTEGER NOT NULL,
        PRIMARY KEY (vendor)
    )
    """,
)


def upgrade() -> None:
    """Make the tables and say who may do what."""
    chassis_tables(op, SCHEMA)
    for statement in TABLES:
        op.execute(statement)
    tenant_table(op, "holdings", SCHEMA)
    for name in (
        "price_snapshots",
        "chain_cache",
        "request_quota",
    ):
        shared_table(op, name, SCHEMA)
