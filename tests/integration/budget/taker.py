"""A process of its own that takes requests for exits, a few each second, until it is stopped."""

from __future__ import annotations

import asyncio
import sys

from libs.broker.base import Priority
from libs.broker.budget import RateClass
from libs.broker.budget_entries import SharedEntries
from libs.broker.budget_shared import budget_over
from libs.common.bus import Bus
from libs.common.streams import Streams


async def take(address: str, password: str, token_hash: str) -> None:
    """Take requests for ever."""
    bus = Bus(address, name="orders", password=password)
    await bus.connect()
    async with budget_over(SharedEntries(Streams(bus, service="orders"))) as budget:
        while True:
            await budget.take(token_hash, RateClass.TRADING, Priority.EXIT)
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    asyncio.run(take(*sys.argv[1:4]))
