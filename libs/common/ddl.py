"""Tables as migrations make them: who may do what through which door, decided at the table's birth.

1. Every table has row level security, enabled and forced, unless `EXEMPT` names it.
2. The tenant's policy compares with the user of the unit, and an empty or missing user equals nobody.
3. Nothing is granted to a login, and nothing to PUBLIC.
"""

from __future__ import annotations

from typing import Protocol

from libs.common.tables import CHASSIS

EXEMPT = frozenset({*CHASSIS, "alembic_version"}) | frozenset(
    {
        # Shared market data, nobody's own:
        "pricing.price_snapshots",
        "pricing.chain_cache",
        "pricing.request_quota",
    }
)
"""Tables without row level security: the chassis' own in every schema, and `schema.name` for each other one."""

TENANT_IS_OWNER = "username = nullif(current_setting('app.current_user', true), '')"

ALL = ("select", "insert", "update", "delete")


class Op(Protocol):
    """What of Alembic's operations is used here."""

    def execute(self, sqltext: str) -> None:
        """Run SQL text."""
        ...


def is_exempt(schema: str, name: str) -> bool:
    """Say whether a table may be without row level security."""
    return name in EXEMPT or f"{schema}.{name}" in EXEMPT


def tenant_table(
    op: Op, name: str, schema: str, *, tenant: tuple[str, ...] = ALL, worker: tuple[str, ...] = ALL
) -> None:
    """Give a table with a column `username` to both doors: each user's own rows, and all rows to the worker.

    `tenant` and `worker` are the verbs granted.
    """
    _force_rls(op, name, schema)
    op.execute(
        f"create policy tenant on {schema}.{name} to {schema}_tenant "
        f"using ({TENANT_IS_OWNER}) with check ({TENANT_IS_OWNER})"
    )
    _worker_policy(op, name, schema)
    _grant(op, name, schema, tenant=tenant, worker=worker)


def worker_table(op: Op, name: str, schema: str, *, worker: tuple[str, ...] = ALL) -> None:
    """Give a table to the worker's door only: tenants see no row of it."""
    _force_rls(op, name, schema)
    _worker_policy(op, name, schema)
    _grant(op, name, schema, tenant=(), worker=worker)


def shared_table(
    op: Op, name: str, schema: str, *, tenant: tuple[str, ...] = ("select",), worker: tuple[str, ...] = ALL
) -> None:
    """Give a table of `EXEMPT` to both doors, without row level security. Raises: ValueError when it is not listed."""
    if not is_exempt(schema, name):
        message = f"{schema}.{name} is not in EXEMPT: without row level security only what is listed"
        raise ValueError(message)
    _grant(op, name, schema, tenant=tenant, worker=worker)


def chassis_tables(op: Op, schema: str) -> None:
    """Make outbox, inbox, latest, jobs and relay_state in `schema`, with today's partitions and their keepers."""
    for statement in (*_CHASSIS, *_CHASSIS_GRANTS):
        op.execute(statement.format(s=schema))
    op.execute(_MAKE_PARTITIONS.replace("{s}", schema))
    op.execute(_DROP_PARTITIONS.replace("{s}", schema))
    for function in ("make_partitions()", "drop_partitions()"):
        op.execute(f"revoke all on function {schema}.{function} from public")
        op.execute(f"grant execute on function {schema}.{function} to {schema}_worker")
    op.execute(f"select {schema}.make_partitions()")


def _force_rls(op: Op, name: str, schema: str) -> None:
    op.execute(f"alter table {schema}.{name} enable row level security")
    op.execute(f"alter table {schema}.{name} force row level security")


def _worker_policy(op: Op, name: str, schema: str) -> None:
    op.execute(f"create policy worker on {schema}.{name} to {schema}_worker using (true) with check (true)")


def _grant(op: Op, name: str, schema: str, *, tenant: tuple[str, ...], worker: tuple[str, ...]) -> None:
    for door, verbs in (("tenant", tenant), ("worker", worker)):
        if not set(verbs) <= set(ALL):
            message = f"verbs are {', '.join(ALL)}, not {verbs}"
            raise ValueError(message)
        if verbs:
            op.execute(f"grant {', '.join(verbs)} on {schema}.{name} to {schema}_{door}")
        if "insert" in verbs:
            # A bigserial's or an own sequence; identity columns need none.
            op.execute(f"grant usage on all sequences in schema {schema} to {schema}_{door}")


_CHASSIS = (
    # CACHE 1: numbers drawn in advance by a session would come out of order.
    "create sequence {s}.outbox_id as bigint cache 1",
    """
    create table {s}.outbox (
        id bigint not null default nextval('{s}.outbox_id'),
        occurred_at timestamptz not null default clock_timestamp(),
        fact_id text not null,
        subject text not null,
        username text not null,
        key text not null,
        key_version bigint,
        correlation_id text not null,
        causation_id text,
        data text not null,
        published_at timestamptz,
        primary key (id, occurred_at)
    ) partition by range (occurred_at)
    """,
    "create index outbox_unpublished on {s}.outbox (id) where published_at is null",
    "create table {s}.outbox_rest partition of {s}.outbox default",
    """
    create table {s}.inbox (
        consumer text not null,
        day date not null,
        message_id text not null,
        seen_at timestamptz not null default clock_timestamp(),
        primary key (consumer, day, message_id)
    ) partition by range (day)
    """,
    # Facts older than any partition, such as a dead letter replayed weeks later, are remembered here.
    "create table {s}.inbox_rest partition of {s}.inbox default",
    """
    create table {s}.latest (
        consumer text not null,
        username text not null,
        key text not null,
        key_version bigint not null,
        primary key (consumer, username, key)
    )
    """,
    """
    create table {s}.jobs (
        kind text not null,
        key text not null,
        username text,
        data jsonb not null default '{{}}'::jsonb,
        due_at timestamptz not null,
        run bigint not null default 0,
        claimed_until timestamptz,
        tries integer not null default 0,
        last_error text,
        primary key (kind, key)
    )
    """,
    "create index jobs_due on {s}.jobs (kind, due_at)",
    """
    create table {s}.relay_state (
        sole boolean primary key default true constraint relay_state_sole check (sole),
        epoch timestamptz not null
    )
    """,
)

_CHASSIS_GRANTS = (
    "grant usage on sequence {s}.outbox_id to {s}_tenant, {s}_worker",
    "grant select, insert, update, delete on {s}.outbox, {s}.inbox, {s}.latest, {s}.jobs to {s}_worker",
    "grant select, insert, update, delete on {s}.relay_state to {s}_worker",
    # The tenant says facts and never reads them.
    "grant insert on {s}.outbox to {s}_tenant",
    "grant insert, select (consumer, day, message_id) on {s}.inbox to {s}_tenant",
    "grant insert, select, update (key_version) on {s}.latest to {s}_tenant",
    # The tenant plans jobs and finishes the run it holds; neither their data nor their users can be read.
    "grant insert (kind, key, username, data, due_at), select (kind, key, run, due_at, claimed_until), "
    "update (username, data, due_at, claimed_until, tries, last_error) on {s}.jobs to {s}_tenant",
)

# Both run as their owner: making and dropping tables is nobody's right. A day whose rows already went to the rest
# partition stays there. Attaching, unlike PARTITION OF, lets reads and writes of the parent go on.
_MAKE_PARTITIONS = """
create function {s}.make_partitions() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    parent text;
    number integer;
    day date;
    name text;
    made integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('{s}.partitions'));
    foreach parent in array array['outbox', 'inbox'] loop
        for number in -1..3 loop
            day := (now() at time zone 'UTC')::date + number;
            name := parent || '_' || to_char(day, 'YYYYMMDD');
            continue when to_regclass('{s}.' || name) is not null;
            begin
                execute format('create table {s}.%I (like {s}.%I including all)', name, parent);
                if parent = 'outbox' then
                    execute format(
                        'alter table {s}.outbox attach partition {s}.%I for values from (%L) to (%L)',
                        name, day || ' 00:00:00+00', day + 1 || ' 00:00:00+00');
                else
                    execute format(
                        'alter table {s}.inbox attach partition {s}.%I for values from (%L) to (%L)',
                        name, day, day + 1);
                end if;
                made := made + 1;
            exception when check_violation then
                null;
            end;
        end loop;
    end loop;
    return made;
end $$
"""

# Published facts stay 8 days (EVENTS keeps 7), what was seen 9; in the rest partition longer than DEAD's 30 days.
_DROP_PARTITIONS = """
create function {s}.drop_partitions() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
    today date := (now() at time zone 'UTC')::date;
    part record;
    held boolean;
    dropped integer := 0;
begin
    perform pg_advisory_xact_lock(hashtext('{s}.partitions'));
    for part in
        select child.relname as name, parent.relname as parent, to_date(right(child.relname, 8), 'YYYYMMDD') as day
        from pg_inherits
        join pg_class child on child.oid = inhrelid
        join pg_class parent on parent.oid = inhparent
        where parent.oid in ('{s}.outbox'::regclass, '{s}.inbox'::regclass) and child.relname ~ '_[0-9]{8}$'
    loop
        continue when part.day >= today - case part.parent when 'outbox' then 8 else 9 end;
        execute format('lock table {s}.%I in access exclusive mode', part.name);
        if part.parent = 'outbox' then
            execute format('select exists (select from {s}.%I where published_at is null)', part.name) into held;
            continue when held;
        end if;
        execute format('drop table {s}.%I', part.name);
        dropped := dropped + 1;
    end loop;
    delete from {s}.outbox_rest where published_at is not null and occurred_at < now() - interval '8 days';
    delete from {s}.inbox_rest where seen_at < now() - interval '40 days';
    return dropped;
end $$
"""
