"""Waiting for whatever comes first."""

from __future__ import annotations

import asyncio


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
