"""What operators count: writes whose outcome nobody knows yet, kill switches and what they have not ended."""

from __future__ import annotations

import asyncio
from typing import Final

from libs.common.metrics import METRICS
from services.orders import store_flows, store_kills
from services.orders.deps import Deps

_UNKNOWN = METRICS.gauge(
    "unknown_orders", "Broker orders whose outcome is unknown, of all users, as each replica sees it"
)
_SWITCHES = METRICS.gauge("kill_switches", "Kill switches that are engaged, of all users, as each replica sees it")
_KILLS = METRICS.gauge("kills_left", "Trades that kill switches have to end and have not, as each replica sees it")
COUNT_EVERY_S: Final = 10.0


async def count_unknown(deps: Deps) -> None:
    """Keep the count current, for ever. Raises: UpstreamUnavailable while the database is away; it is begun again."""
    await deps.db.reached()
    while True:
        async with deps.db.for_worker() as unit:
            _UNKNOWN.set(await store_flows.unknown_orders(unit))
            engaged, left = await store_kills.counted(unit)
        _SWITCHES.set(engaged)
        _KILLS.set(left)
        await asyncio.sleep(COUNT_EVERY_S)
