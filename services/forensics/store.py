"""Forensics' rows. One purpose a function."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from services.forensics.outcomes import Outcome
from services.forensics.tables import outcomes


async def keep_outcome(unit: Unit, outcome: Outcome) -> bool:
    """Store a trade's outcome once; only a newer version of the trade replaces it. False when nothing changed."""
    values = asdict(outcome)
    statement = insert(outcomes).values(values)
    statement = statement.on_conflict_do_update(
        index_elements=[outcomes.c.trade_id],
        set_={name: statement.excluded[name] for name in values if name not in ("trade_id", "username")},
        where=outcomes.c.key_version < statement.excluded.key_version,
    )
    return await unit.run(statement) > 0


async def outcome(unit: Unit, trade_id: str) -> dict[str, Any] | None:
    """Read one outcome as it is answered."""
    row = await unit.one(select(outcomes).where(outcomes.c.trade_id == trade_id))
    return None if row is None else {name: value for name, value in row._asdict().items() if name != "username"}


async def last_recorded_at(unit: Unit) -> datetime | None:
    """Tell when the user's last outcome was recorded."""
    found: datetime | None = await unit.scalar(select(func.max(outcomes.c.recorded_at)))
    return found
