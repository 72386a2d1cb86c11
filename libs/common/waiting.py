"""Waiting for whatever comes first, and not waiting for what nobody needs."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def first_of(*events: asyncio.Event, within_s: float) -> None:
    """Wait until one of the events is set or the time is over. Units: seconds."""
    if any(event.is_set() for event in events):
        # Let others run: a loop around this must not keep the process to itself.
        await asyncio.sleep(0)
        return
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()


class Loose:
    """Short work that nobody waits for, and that fails by itself where it must; kept until it is done."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let it run."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def settle(self, within_s: float = 2.0) -> None:
        """Wait for what still runs, and stop what does not end. Units: seconds."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=within_s)
            for task in left:
                task.cancel()
