"""What operators count: writes whose outcome nobody knows yet, kill switches and what they have not ended."""

from __future__ import annotations

import asyncio
from typing import Final

from libs.common.errors import InvariantBroken
from libs.common.metrics import METRICS
from services.orders import store_accounts, store_flows, store_kills
from services.orders.deps import Deps

_UNKNOWN = METRICS.gauge(
    "unknown_orders", "Broker orders whose outcome is unknown, of all users, as each replica sees it"
)
_SWITCHES = METRICS.gauge("kill_switches", "Kill switches that are engaged, of all users, as each replica sees it")
_KILLS = METRICS.gauge("kills_left", "Trades that kill switches have to end and have not, as each replica sees it")
_UNREADABLE = METRICS.gauge(
    "tokens_unreadable", "Stored broker tokens that no key at hand opens, of all users, as each replica sees it"
)
COUNT_EVERY_S: Final = 10.0
OPEN_EVERY_S: Final = 600.0
OPENED_AT_ONCE: Final = 500


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


async def count_unreadable(deps: Deps) -> None:
    """Try every stored token at the start and now and then. Raises: UpstreamUnavailable; it is begun again."""
    await deps.db.reached()
    while True:
        _UNREADABLE.set(await unreadable(deps))
        await asyncio.sleep(OPEN_EVERY_S)


async def unreadable(deps: Deps) -> int:
    """Count the stored tokens that do not open."""
    count, last = 0, ""
    while True:
        async with deps.db.for_worker() as unit:
            page = await store_accounts.sealed_after(unit, last, OPENED_AT_ONCE)
        for key, cipher in page:
            try:
                deps.vault.open(cipher, key)
            except InvariantBroken:
                count += 1
        if len(page) < OPENED_AT_ONCE:
            return count
        last = page[-1][0]
        await asyncio.sleep(0)
