"""The gateway's first tables: people, their ways in, their settings and their inbox."""

from alembic import op

from libs.common.migrate import chassis_tables, tenant_table, worker_table

revision = "0001_initial"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "gateway"

TABLES = (
    """
    CREATE TABLE gateway.users (
        username TEXT NOT NULL,
        password_hash TEXT NOT NULL,
        is_admin BOOLEAN DEFAULT false NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        password_changed_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (username),
        CONSTRAINT username_shape CHECK (username ~ '^[a-z0-9][a-z0-9_-]{2,31}$')
    )
    """,
    """
    CREATE TABLE gateway.sessions (
        id TEXT NOT NULL,
        username TEXT NOT NULL,
        token_hash TEXT NOT NULL,
        user_agent TEXT DEFAULT '' NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (id),
        UNIQUE (token_hash)
    )
    """,
    "CREATE INDEX sessions_by_end ON gateway.sessions (expires_at)",
    "CREATE INDEX sessions_of_user ON gateway.sessions (username)",
    """
    CREATE TABLE gateway.api_keys (
        id TEXT NOT NULL,
        username TEXT NOT NULL,
        name TEXT NOT NULL,
        key_hash TEXT NOT NULL,
        scopes TEXT[] NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        last_used_at TIMESTAMP WITH TIME ZONE,
        revoked_at TIMESTAMP WITH TIME ZONE,
        PRIMARY KEY (id),
        CONSTRAINT scopes_known CHECK (
            scopes <@ array['read', 'trade', 'signal', 'admin'] and cardinality(scopes) between 1 and 4
        ),
        UNIQUE (key_hash)
    )
    """,
    "CREATE INDEX api_keys_of_user ON gateway.api_keys (username, created_at)",
    """
    CREATE TABLE gateway.display_settings (
        username TEXT NOT NULL,
        auto_refresh BOOLEAN DEFAULT true NOT NULL,
        sounds BOOLEAN DEFAULT true NOT NULL,
        channels TEXT[] DEFAULT array['page'] NOT NULL,
        quiet_hours JSONB,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        updated_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (username)
    )
    """,
    """
    CREATE TABLE gateway.trade_notifications (
        id TEXT NOT NULL,
        username TEXT NOT NULL,
        cause TEXT NOT NULL,
        created_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        read_at TIMESTAMP WITH TIME ZONE,
        data JSONB NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE UNIQUE INDEX trade_notifications_cause ON gateway.trade_notifications (username, cause)",
    "CREATE INDEX trade_notifications_newest ON gateway.trade_notifications (username, id)",
    "CREATE INDEX trade_notifications_unread ON gateway.trade_notifications (username, id) WHERE read_at is null",
    """
    CREATE TABLE gateway.login_failures (
        username TEXT NOT NULL,
        address TEXT NOT NULL,
        failures INTEGER NOT NULL,
        last_failed_at TIMESTAMP WITH TIME ZONE NOT NULL,
        PRIMARY KEY (username, address)
    )
    """,
    "CREATE INDEX login_failures_by_age ON gateway.login_failures (last_failed_at)",
    """
    CREATE TABLE gateway.known_addresses (
        username TEXT NOT NULL,
        address TEXT NOT NULL,
        last_seen_at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        PRIMARY KEY (username, address)
    )
    """,
    """
    CREATE TABLE gateway.audit (
        id BIGINT GENERATED ALWAYS AS IDENTITY,
        username TEXT NOT NULL,
        at TIMESTAMP WITH TIME ZONE DEFAULT now() NOT NULL,
        action TEXT NOT NULL,
        detail JSONB NOT NULL,
        PRIMARY KEY (id)
    )
    """,
    "CREATE INDEX audit_of_user ON gateway.audit (username, at)",
)

READ_AND_WRITE = ("select", "insert", "update")
APPEND = ("select", "insert")


def upgrade() -> None:
    """Make the chassis' tables and the gateway's own, and say who may do what."""
    chassis_tables(op, SCHEMA)
    for statement in TABLES:
        op.execute(statement)
    tenant_table(op, "users", SCHEMA, tenant=READ_AND_WRITE, worker=READ_AND_WRITE)
    tenant_table(op, "sessions", SCHEMA)
    tenant_table(op, "api_keys", SCHEMA, tenant=READ_AND_WRITE, worker=("select", "update"))
    tenant_table(op, "display_settings", SCHEMA, tenant=READ_AND_WRITE, worker=("select",))
    tenant_table(op, "trade_notifications", SCHEMA, tenant=READ_AND_WRITE, worker=("select", "delete"))
    tenant_table(op, "known_addresses", SCHEMA, tenant=READ_AND_WRITE, worker=("select", "delete"))
    tenant_table(op, "audit", SCHEMA, tenant=APPEND, worker=APPEND)
    worker_table(op, "login_failures", SCHEMA)
