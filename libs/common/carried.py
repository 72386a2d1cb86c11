"""What a unit stores besides its own statements, facts and planned jobs, carried by one statement with or without one.

A round trip to the server costs more than most of these statements do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common import job_rows, outbox_rows
from libs.common.errors import InvariantBroken
from libs.common.job_rows import Planned
from libs.common.outbox_rows import Emitted


def carrying(
    sql: str, args: Sequence[Any], said: Sequence[Emitted], planned: Sequence[Planned], *, schema: str
) -> tuple[str, list[Any]]:
    """Return a statement that begins with `with`, and its arguments, which also stores what is said and planned.

    Raises: InvariantBroken when the statement begins otherwise.
    """
    head, begins, rest = sql.partition("with ")
    if head.strip() or not begins:
        raise InvariantBroken("only a statement that begins with `with` can carry others")
    parts, values = _parts(list(args), said, planned, schema)
    return f"with {', '.join((*parts, rest))}" if parts else sql, values


def alone(said: Sequence[Emitted], planned: Sequence[Planned], *, schema: str) -> tuple[str, list[Any]]:
    """Return a statement, and its arguments, that stores what is said and planned and nothing else."""
    parts, values = _parts([], said, planned, schema)
    return f"with {', '.join(parts)} select ''", values


def _parts(
    args: list[Any], said: Sequence[Emitted], planned: Sequence[Planned], schema: str
) -> tuple[list[str], list[Any]]:
    parts = []
    if said:
        parts.append(f"told as ({outbox_rows.telling(schema, len(args))})")
        args += outbox_rows.columns(said)
    statements, values = job_rows.planning(planned, schema, len(args))
    parts += [f"planned_{nth} as ({statement})" for nth, statement in enumerate(statements)]
    return parts, args + values
