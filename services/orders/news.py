"""Whether anybody brings us news of what works at the broker. While nobody does, orders reads its entries itself.

Monitor is asked whether it is there. One that ended is known at once, one that is stuck after a while; one that is only
slow costs a few reads that were not needed.
"""

from __future__ import annotations

import asyncio

from libs.common import log
from libs.common.bus import Bus
from libs.common.errors import AppError
from libs.common.messages.base import SYSTEM_USER
from libs.common.messages.monitor import GetMonitorStatus

ANSWER_S = 2.0

_log = log.get(__name__)


class News:
    """What this process knows of it. Units: `every_s` seconds."""

    def __init__(self, bus: Bus, *, every_s: float) -> None:
        self._bus = bus
        self._every_s = every_s
        self._is_brought = True

    @property
    def is_away(self) -> bool:
        """Whether nobody brings any: the bus is away, or monitor does not answer."""
        return not (self._bus.connected and self._is_brought)

    async def follow(self) -> None:
        """Ask monitor now and then, for ever. Without a bus there is nothing to ask."""
        while True:
            if self._bus.connected:
                self._note(await self._is_monitor_there())
            await asyncio.sleep(self._every_s)

    async def _is_monitor_there(self) -> bool:
        try:
            await self._bus.ask(GetMonitorStatus(), user=SYSTEM_USER, timeout_s=ANSWER_S)
        except AppError:
            return False
        return True

    def _note(self, is_brought: bool) -> None:
        if is_brought != self._is_brought:
            self._is_brought = is_brought
            _log.info("news_is_back") if is_brought else _log.warning("news_is_away", detail="monitor does not answer")
