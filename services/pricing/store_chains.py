"""The cache of chains and expiries, shared by everybody."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from libs.common.db import Unit
from services.pricing.tables import chain_cache


async def cached(unit: Unit, ticker: str, expiry: date) -> tuple[dict[str, Any], datetime] | None:
    """Return what was kept and as of when."""
    statement = select(chain_cache.c.answer, chain_cache.c.as_of)
    row = await unit.one(statement.where(chain_cache.c.ticker == ticker, chain_cache.c.expiry == expiry))
    return None if row is None else (row.answer, row.as_of)


async def keep(unit: Unit, ticker: str, expiry: date, document: dict[str, Any], at: datetime) -> None:
    """Keep an answer in place of the one before."""
    statement = insert(chain_cache).values(ticker=ticker, expiry=expiry, answer=document, as_of=at)
    newer = {"answer": statement.excluded.answer, "as_of": statement.excluded.as_of}
    await unit.run(statement.on_conflict_do_update(index_elements=["ticker", "expiry"], set_=newer))
