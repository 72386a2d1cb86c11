"""What operators count: open incidents by kind."""

from __future__ import annotations

import asyncio
from typing import Final

from libs.common.metrics import METRICS
from services.monitor import store_incidents
from services.monitor.deps import Deps

_OPEN = METRICS.gauge("incidents_open", "Open incidents of all users, as each replica sees them", ["kind"])
COUNT_EVERY_S: Final = 10.0


async def count_incidents(deps: Deps) -> None:
    """Keep the counts current, for ever. Raises: UpstreamUnavailable while the database is away; it is begun again."""
    known: set[str] = set()
    await deps.db.reached()
    while True:
        async with deps.db.for_worker() as unit:
            counts = await store_incidents.open_by_kind(unit)
        known |= counts.keys()
        for kind in known:
            _OPEN.labels(kind).set(counts.get(kind, 0))
        await asyncio.sleep(COUNT_EVERY_S)
