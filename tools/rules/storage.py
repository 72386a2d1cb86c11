"""Rules about the database: who commits, where SQL is written, who uses the worker's door, what a unit may wait for."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.rules.source import Finding, Source, calls, chain, own_nodes
from tools.rules.worker_sites import WORKER_SITES

CHASSIS = frozenset(
    f"libs/common/{name}.py"
    for name in (
        "db", "db_errors", "ddl", "driver", "inbox", "job_rows", "jobs", "migrate", "opening", "outbox", "outbox_rows",
        "pool", "roles", "schema", "tables", "testing", "unit",
    )
)  # fmt: skip
"""What the chassis builds its own transactions of."""

MIGRATION_ENV = "libs/common/migration_env/"

_SQL = re.compile(
    r"^\s*(select\s+(distinct\s+)?(\*|[\w{}.\"]+\s*,|\w+\(|[\w{}.\"]+\s+from\s+[\w{}.\"]+\s*($|where\s|join\s|order\s|limit\s|for\s))"
    r"|insert\s+into\s|update\s+\S+\s+set\s|delete\s+from\s"
    r"|with\s+\w+(\s*\([^)]*\))?\s+as\s+(materialized\s+|not\s+materialized\s+)?\(|(create|alter|drop)\s+(table|index|role|schema)\s"
    r"|truncate\s|copy\s+\S+\s|begin;|commit;?$|rollback;?$|lock\s+table\s)",
    re.IGNORECASE | re.DOTALL,
)

FORBIDDEN_IN_UNIT = frozenset({"bus", "http", "broker", "streams", "provider", "brokers"})
FORBIDDEN_CALLS = frozenset({"ask", "tick", "sleep"})


def no_commit_outside_db(source: Source) -> Iterator[Finding]:
    """Find commits and rollbacks outside the unit of work."""
    if source.path in CHASSIS or source.is_test or source.path.startswith(("simulator/", MIGRATION_ENV)):
        return
    for names, call in calls(source.tree):
        if len(names) > 1 and names[-1] in {"commit", "rollback"}:
            yield source.found(call, "no-commit", "a unit commits by ending; there is no commit to call")


def no_sql_outside_store(source: Source) -> Iterator[Finding]:
    """Find SQL as text outside stores, tables, migrations and the chassis' own storage."""
    parts = source.path.split("/")
    is_home = source.name.startswith("store") or source.name.startswith("tables") or "migrations" in parts
    if is_home or source.path in CHASSIS or parts[0] in {"tests", "deploy", "tools", "simulator"}:
        return
    if source.path.startswith(MIGRATION_ENV):
        return
    for line, text in source.texts():
        if _SQL.match(text):
            yield source.found(line, "no-sql", f"SQL belongs into store.py: {' '.join(text.split())[:50]!r}")


def worker_door_by_list(source: Source) -> Iterator[Finding]:
    """Find uses of the door to every user's rows that are not on the list."""
    if source.is_test:
        return
    allowed = WORKER_SITES.get(source.path, frozenset())
    for name, function in source.functions():
        for node in own_nodes(function):
            if isinstance(node, ast.Call) and chain(node.func)[-1:] == ["for_worker"] and name not in allowed:
                says = f"{name} opens the worker's door and is not in tools/rules/worker_sites.py"
                yield source.found(node, "worker-door", says)


def no_io_in_a_unit(source: Source) -> Iterator[Finding]:
    """Find waits for anything but the database while a transaction is open."""
    if source.path in CHASSIS or source.is_test:
        return
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.AsyncWith) or not any(_opens_unit(item) for item in node.items):
            continue
        for inner in (part for statement in node.body for part in ast.walk(statement)):
            if not isinstance(inner, ast.Await):
                continue
            names = chain(inner.value)
            if FORBIDDEN_IN_UNIT & set(names[:-1]) or (len(names) > 1 and names[-1] in FORBIDDEN_CALLS):
                yield source.found(inner, "no-io-in-unit", f"{'.'.join(names)} waits inside a transaction")


def _opens_unit(item: ast.withitem) -> bool:
    return chain(item.context_expr)[-1:] in (["for_user"], ["for_worker"])
