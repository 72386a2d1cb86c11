"""Monitor's first tables: what is tracked, seen, cached and wrong."""

from alembic import op

from libs.common.migrate import chassis_tables, tenant_table

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "monitor"

TABLES = (
    """
    CREATE TABLE monitor.tracked (
        trade_id TEXT NOT NULL,
        username TEXT NOT NULL,
        account_key TEXT NOT NULL,
        broker_mode TEXT NOT NULL,
        account_id TEXT NOT NULL,
        ticker TEXT NOT NULL,
        occ_symbol TEXT NOT NULL,
        status TEXT NOT NULL,
        sl_price NUMERIC,
        tp_price NUMERIC,
        orders JSONB NOT NULL,
        key_version BIGINT NOT NULL,
        changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        is_over BOOLEAN DEFAULT false NOT NULL,
        PRIMARY KEY (trade_id)
    )
    """,
    "CREATE INDEX tracked_by_account ON monitor.tracked (account_key) WHERE not is_over",
    "CREATE INDEX tracked_by_ticker ON monitor.tracked (ticker) WHERE not is_over",
    "CREATE INDEX tracked_by_user ON monitor.tracked (username, account_key)",
    """
    CREATE TABLE monitor.accounts (
        account_key TEXT NOT NULL,
        username TEXT NOT NULL,
        broker_mode TEXT NOT NULL,
        account_id TEXT NOT NULL,
        account_name TEXT,
        hints BIGINT DEFAULT 0 NOT NULL,
        hot_until TIMESTAMP WITH TIME ZONE,
        orders_synced_at TIMESTAMP WITH TIME ZONE,
        portfolio_synced_at TIMESTAMP WITH TIME ZONE,
        problem TEXT,
        problem_detail TEXT,
        problem_since TIMESTAMP WITH TIME ZONE,
        key_version BIGINT DEFAULT 0 NOT NULL,
        PRIMARY KEY (account_key)
    )
    """,
    "CREATE INDEX accounts_by_user ON monitor.accounts (username)",
    """
    CREATE TABLE monitor.seen_orders (
        order_key TEXT NOT NULL,
        username TEXT NOT NULL,
        account_key TEXT NOT NULL,
        trade_id TEXT NOT NULL,
        role TEXT NOT NULL,
        status TEXT NOT NULL,
        filled_qty INTEGER NOT NULL,
        avg_fill_price NUMERIC,
        key_version BIGINT NOT NULL,
        seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (order_key)
    )
    """,
    "CREATE INDEX seen_orders_by_account ON monitor.seen_orders (account_key)",
    "CREATE INDEX seen_orders_by_user ON monitor.seen_orders (username)",
    """
    CREATE TABLE monitor.account_status_cache (
        account_key TEXT NOT NULL,
        username TEXT NOT NULL,
        net_liquidation NUMERIC,
        buying_power NUMERIC,
        excess_liquidity NUMERIC,
        maint_margin NUMERIC,
        unrealized_pnl NUMERIC,
        realized_pnl NUMERIC,
        timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (account_key)
    )
    """,
    "CREATE INDEX account_status_cache_by_user ON monitor.account_status_cache (username)",
    """
    CREATE TABLE monitor.active_positions_cache (
        account_key TEXT NOT NULL,
        symbol TEXT NOT NULL,
        username TEXT NOT NULL,
        quantity NUMERIC NOT NULL,
        avg_price NUMERIC,
        market_value NUMERIC,
        dte INTEGER,
        instrument_type TEXT NOT NULL,
        timestamp TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (account_key, symbol)
    )
    """,
    "CREATE INDEX active_positions_cache_by_user ON monitor.active_positions_cache (username)",
    """
    CREATE TABLE monitor.trade_executions (
        account_key TEXT NOT NULL,
        broker_execution_id TEXT NOT NULL,
        username TEXT NOT NULL,
        broker TEXT NOT NULL,
        account_id TEXT NOT NULL,
        symbol TEXT NOT NULL,
        side TEXT NOT NULL,
        quantity NUMERIC NOT NULL,
        price NUMERIC NOT NULL,
        commission NUMERIC,
        execution_time TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (account_key, broker_execution_id)
    )
    """,
    """
    CREATE INDEX trade_executions_by_user ON monitor.trade_executions (username, execution_time, broker_execution_id)
    """,
    """
    CREATE TABLE monitor.incidents (
        id TEXT NOT NULL,
        username TEXT NOT NULL,
        cause_key TEXT NOT NULL,
        kind TEXT NOT NULL,
        severity TEXT NOT NULL,
        text TEXT NOT NULL,
        trade_id TEXT,
        occ_symbol TEXT,
        broker_mode TEXT,
        account_id TEXT,
        opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
        ended_at TIMESTAMP WITH TIME ZONE,
        key_version BIGINT NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX incidents_by_user ON monitor.incidents (username, opened_at, id)",
    """
    CREATE UNIQUE INDEX incidents_one_open_by_cause ON monitor.incidents (username, cause_key) WHERE ended_at is null
    """,
)


def upgrade() -> None:
    """Make the tables and say who may do what."""
    chassis_tables(op, SCHEMA)
    for statement in TABLES:
        op.execute(statement)
    for name in (
        "tracked",
        "accounts",
        "seen_orders",
        "account_status_cache",
        "active_positions_cache",
        "trade_executions",
        "incidents",
    ):
        tenant_table(op, name, SCHEMA)
