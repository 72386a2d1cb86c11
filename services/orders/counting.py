"""What operators count: writes whose outcome nobody knows yet."""

from __future__ import annotations

import asyncio
from typing import Final

from libs.common.metrics import METRICS
from services.orders import store_flows
from services.orders.deps import Deps

_UNKNOWN = METRICS.gauge(
    "unknown_orders", "Broker orders whose outcome is unknown, of all users, as each replica sees it"
)
COUNT_EVERY_S: Final = 10.0


async def count_unknown(deps: Deps) -> None:
    """Keep the count current, for ever. Raises: UpstreamUnavailable while the database is away; it is begun again."""
    await deps.db.reached()
    while True:
        async with deps.db.for_worker() as unit:
            _UNKNOWN.set(await store_flows.unknown_orders(unit))
        await asyncio.sleep(COUNT_EVERY_S)
