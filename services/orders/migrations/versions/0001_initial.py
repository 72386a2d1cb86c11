"""Trades, their broker orders, what is asked of them, and what lives beside them.

`trades` holds what a trade decided; it is never changed again once locked. What may still arrive after the close, or
changes without being a decision, lives in tables beside it.
"""

from __future__ import annotations

from alembic import op

from libs.common import migrate

revision = "0001"
down_revision = None

SCHEMA = "orders"

TABLES = (
    """
    create table orders.trades (
        id text primary key,
        username text not null,
        idempotency_key text not null,
        broker_mode text not null check (broker_mode in ('PAPER', 'TRADIER_SANDBOX', 'TRADIER_LIVE')),
        account_id text not null,
        ticker text not null,
        occ_symbol text not null,
        option_type text not null check (option_type in ('CALL', 'PUT')),
        strike numeric not null,
        expiry date not null,
        multiplier integer not null check (multiplier > 0),
        qty integer not null check (qty > 0),
        entry_type text not null check (entry_type in ('market', 'limit')),
        limit_price numeric,
        entry_duration text not null check (entry_duration in ('day', 'gtc')),
        reference_price numeric,
        filled_qty integer not null default 0 check (filled_qty >= 0),
        entry_price numeric,
        entry_date timestamptz,
        sl_price numeric,
        tp_price numeric,
        strategy text,
        card_score numeric,
        ai_score numeric,
        ai_verdict text,
        gate_verdict text,
        technical_score numeric,
        sentiment_score numeric,
        status text not null check (status in ('OPEN', 'PARTIAL', 'FILLED', 'CLOSING', 'CLOSED')),
        protection text not null check (protection in ('NONE', 'PENDING', 'PROTECTED', 'NAKED', 'SETTLING')),
        naked_since timestamptz,
        naked_s numeric not null default 0,
        close_price numeric,
        close_date timestamptz,
        close_reason text check (close_reason in (
            'TP_HIT', 'SL_HIT', 'MANUAL_CLOSE', 'EXPIRED_OTM', 'EXPIRED_ITM', 'REJECTED', 'CANCELLED',
            'CLOSED_AT_BROKER', 'FLATTENED', 'KILL_SWITCH')),
        trigger_precision text check (trigger_precision in (
            'BROKER_FILL', 'BROKER_HISTORY', 'OFFICIAL_CLOSE', 'ESTIMATED')),
        realized_pnl numeric,
        realized_pnl_pct numeric,
        hold_duration_h numeric,
        override_count integer not null default 0,
        tradier_order_id text,
        tradier_sl_order_id text,
        tradier_tp_order_id text,
        broker_fill_price numeric,
        broker_fill_time timestamptz,
        version bigint not null default 1,
        is_locked boolean not null default false,
        reason text,
        settlement text check (settlement in ('EXERCISED', 'CASH')),
        recovered_from text references orders.trades (id),
        created_at timestamptz not null,
        constraint trades_locked_when_closed check (is_locked = (status = 'CLOSED')),
        constraint trades_reason_when_closed check ((close_reason is not null) = (status = 'CLOSED'))
    )
    """,
    # From intent to CLOSED a contract of an account belongs to one trade; what surfaced late is told apart.
    """
    create unique index trades_one_per_contract on orders.trades (broker_mode, account_id, occ_symbol)
    where status <> 'CLOSED' and recovered_from is null
    """,
    "create index trades_by_user on orders.trades (username, id desc)",
    "create index trades_open_by_user on orders.trades (username, id desc) where status <> 'CLOSED'",
    "create index trades_closed_by_user on orders.trades (username, close_date desc, id desc) where status = 'CLOSED'",
    "create index trades_open_by_contract on orders.trades (occ_symbol) where status <> 'CLOSED'",
    """
    create table orders.trade_views (
        trade_id text primary key references orders.trades (id),
        username text not null,
        key_version bigint not null default 0,
        orders jsonb not null default '[]'::jsonb,
        queued_for_open boolean not null default false,
        account_name text,
        is_watched boolean not null default true,
        changed_at timestamptz not null default now()
    )
    """,
    "create index trade_views_by_user on orders.trade_views (username)",
    "create index trade_views_watched on orders.trade_views (trade_id) where is_watched",
    """
    create table orders.marks (
        trade_id text primary key references orders.trades (id),
        username text not null,
        ticker text not null,
        is_open boolean not null default true,
        current_price numeric,
        price_source text,
        last_updated timestamptz,
        unrealized_pnl numeric,
        max_gain numeric,
        max_drawdown numeric,
        session_date date,
        session_start_pnl numeric
    ) with (fillfactor = 70)
    """,
    "create index marks_by_ticker on orders.marks (ticker) where is_open",
    "create index marks_by_user on orders.marks (username)",
    """
    create table orders.broker_orders (
        id text primary key,
        trade_id text not null references orders.trades (id),
        username text not null,
        role text not null check (role in ('ENTRY', 'STOP_LOSS', 'TAKE_PROFIT', 'CLOSE', 'COVER')),
        tag text not null,
        status text not null check (status in (
            'INTENT', 'SENT', 'WORKING', 'PARTIAL', 'FILLED', 'CANCELLED', 'REJECTED', 'EXPIRED', 'UNKNOWN')),
        sent_as text not null check (sent_as in ('single', 'oco', 'otoco')),
        type text not null check (type in ('market', 'limit', 'stop', 'stop_limit')),
        duration text not null check (duration in ('day', 'gtc')),
        qty integer not null check (qty > 0),
        price numeric,
        stop numeric,
        filled_qty integer not null default 0,
        avg_price numeric,
        broker_order_id text,
        group_order_id text,
        action_id text,
        reason text,
        send_by timestamptz,
        created_at timestamptz not null,
        sent_at timestamptz,
        answered_at timestamptz,
        confirmed_at timestamptz,
        rested_at timestamptz,
        filled_at timestamptz,
        fill_seen_at timestamptz,
        ended_at timestamptz,
        cancel_first_at timestamptz,
        cancel_at timestamptz,
        read_at timestamptz,
        reads integer not null default 0,
        look_at timestamptz,
        looks integer not null default 0,
        constraint broker_orders_one_per_tag unique (tag, role),
        constraint broker_orders_filled check (filled_qty between 0 and qty)
    )
    """,
    "create index broker_orders_by_trade on orders.broker_orders (trade_id)",
    "create index broker_orders_by_user on orders.broker_orders (username)",
    "create index broker_orders_by_broker_id on orders.broker_orders (broker_order_id)",
    """
    create index broker_orders_unsettled on orders.broker_orders (trade_id)
    where status in ('INTENT', 'SENT', 'UNKNOWN')
    """,
    """
    create table orders.actions (
        id text primary key,
        trade_id text not null references orders.trades (id),
        username text not null,
        kind text not null check (kind in ('CLOSE', 'ADJUST')),
        state text not null check (state in ('REQUESTED', 'QUEUED', 'RUNNING', 'DONE', 'FAILED', 'WITHDRAWN')),
        reason text,
        new_sl numeric,
        new_tp numeric,
        words text,
        created_at timestamptz not null,
        begun_at timestamptz,
        due_at timestamptz,
        done_at timestamptz
    )
    """,
    "create unique index actions_one_running on orders.actions (trade_id) where state = 'RUNNING'",
    "create index actions_active on orders.actions (trade_id) where state in ('REQUESTED', 'QUEUED', 'RUNNING')",
    "create index actions_by_user on orders.actions (username)",
    """
    create table orders.flows (
        trade_id text primary key references orders.trades (id),
        username text not null,
        run bigint not null default 0,
        claimed_until timestamptz
    )
    """,
    "create index flows_by_user on orders.flows (username)",
    """
    create table orders.idempotency (
        username text not null,
        key text not null,
        kind text not null,
        body_hash text not null,
        envelope_id text not null,
        trade_id text references orders.trades (id),
        action_id text,
        created_at timestamptz not null default clock_timestamp(),
        answered_at timestamptz,
        primary key (username, key)
    )
    """,
    """
    create table orders.entry_context (
        trade_id text primary key references orders.trades (id),
        username text not null,
        signals_snapshot jsonb,
        ai_reasoning_log jsonb,
        order_book_state jsonb,
        delta_at_entry numeric,
        iv_at_entry numeric,
        captured_at timestamptz not null
    )
    """,
    "create index entry_context_by_user on orders.entry_context (username)",
    """
    create table orders.market_context (
        trade_id text primary key references orders.trades (id),
        username text not null,
        context jsonb not null,
        captured_at timestamptz not null
    )
    """,
    "create index market_context_by_user on orders.market_context (username)",
    """
    create table orders.timeline (
        id bigint generated always as identity primary key,
        trade_id text not null references orders.trades (id),
        username text not null,
        at timestamptz not null default clock_timestamp(),
        kind text not null,
        actor text not null,
        text text not null,
        data jsonb not null default '{}'::jsonb,
        correlation_id text
    )
    """,
    "create index timeline_by_trade on orders.timeline (trade_id, id)",
    "create index timeline_by_user on orders.timeline (username)",
    """
    create table orders.corrections (
        id text primary key,
        trade_id text not null references orders.trades (id),
        username text not null,
        kind text not null,
        amount_usd numeric not null,
        text text not null,
        created_at timestamptz not null default clock_timestamp()
    )
    """,
    "create index corrections_by_trade on orders.corrections (trade_id)",
    "create index corrections_by_user on orders.corrections (username)",
    """
    create table orders.concerns (
        concern_key text primary key,
        username text not null,
        trade_id text references orders.trades (id),
        kind text not null,
        severity text not null,
        text text not null,
        since_at timestamptz not null,
        ended_at timestamptz,
        key_version bigint not null
    )
    """,
    "create index concerns_open_by_trade on orders.concerns (trade_id) where ended_at is null",
    "create index concerns_by_user on orders.concerns (username)",
    """
    create table orders.trading_settings (
        username text primary key,
        settings jsonb not null,
        key_version bigint not null default 1,
        created_at timestamptz not null default clock_timestamp(),
        updated_at timestamptz not null default clock_timestamp()
    )
    """,
    # An account of a venue belongs to one user.
    """
    create table orders.credentials (
        account_key text primary key,
        username text not null,
        broker_mode text not null check (broker_mode in ('PAPER', 'TRADIER_SANDBOX', 'TRADIER_LIVE')),
        account_id text not null,
        account_name text,
        token_ciphertext text not null,
        key_version bigint not null default 1,
        created_at timestamptz not null default clock_timestamp(),
        updated_at timestamptz not null default clock_timestamp()
    )
    """,
    "create index credentials_by_user on orders.credentials (username, broker_mode)",
)

GUARD = """
create function orders.guard_trade() returns trigger language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    if tg_op = 'DELETE' then
        raise exception 'trade % is never deleted', old.id using errcode = 'restrict_violation';
    end if;
    if tg_op = 'INSERT' then
        if new.status <> 'OPEN' and new.recovered_from is null then
            raise exception 'a trade begins OPEN, not %', new.status using errcode = 'check_violation';
        end if;
        return new;
    end if;
    if old.is_locked then
        raise exception 'trade % is locked', old.id using errcode = 'restrict_violation';
    end if;
    if new.status <> old.status and old.status || '>' || new.status not in (
        'OPEN>PARTIAL', 'OPEN>FILLED', 'OPEN>CLOSING', 'OPEN>CLOSED',
        'PARTIAL>FILLED', 'PARTIAL>CLOSING', 'PARTIAL>CLOSED',
        'FILLED>CLOSING', 'FILLED>CLOSED',
        'CLOSING>FILLED', 'CLOSING>CLOSED'
    ) then
        raise exception 'a trade cannot go from % to %', old.status, new.status using errcode = 'check_violation';
    end if;
    return new;
end $$
"""

READ_WRITE = ("select", "insert", "update")
APPEND = ("select", "insert")


def upgrade() -> None:
    """Make everything."""
    migrate.chassis_tables(op, SCHEMA)
    for statement in TABLES:
        op.execute(statement)
    op.execute(GUARD)
    op.execute(
        "create trigger guard_trade before insert or update or delete on orders.trades "
        "for each row execute function orders.guard_trade()"
    )
    changing = ("trades", "trade_views", "marks", "broker_orders", "actions", "flows", "idempotency")
    for name in (*changing, "concerns", "trading_settings", "credentials"):
        migrate.tenant_table(op, name, SCHEMA, tenant=READ_WRITE, worker=READ_WRITE)
    for name in ("entry_context", "market_context", "timeline", "corrections"):
        migrate.tenant_table(op, name, SCHEMA, tenant=APPEND, worker=APPEND)
