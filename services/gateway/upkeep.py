"""What the gateway does by itself: keep the feed running, close feeds whose right is over, forget what is old."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from libs.common.errors import AppError
from libs.common.jobs import Job, job
from services.gateway import store, throttle

if TYPE_CHECKING:
    from services.gateway.deps import Deps

FORGET = "forget"
FORGET_EVERY = timedelta(minutes=10)


async def follow(deps: Deps) -> None:
    """Bring every fact to the live feed."""
    await deps.following.run()


async def keep_awake(deps: Deps) -> None:
    """Give every feed a comment line from time to time."""
    while True:
        await asyncio.sleep(deps.settings.stream_comment_s)
        deps.hub.keep_awake()


async def end_with_us(deps: Deps) -> None:
    """Close every feed when the process begins to stop, so that nothing waits for them."""
    await deps.stopping.wait()
    deps.hub.end_all()


async def check_rights(deps: Deps) -> None:
    """Close the feeds of sessions and keys that ended in another process, or by time. Without a database all stay."""
    while True:
        await asyncio.sleep(deps.settings.stream_check_s)
        open_for = {reader.credential_id for reader in deps.hub.readers()}
        if not open_for:
            continue
        try:
            async with deps.db.for_worker() as unit:
                live = await store.still_live(unit, sorted(open_for))
        except AppError:
            continue
        deps.hub.end(open_for - live)


async def plan(deps: Deps) -> None:
    """See to it that forgetting is planned."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(FORGET, "all", None, replace=False)


@job(FORGET, lease_s=60)
async def forget(_job: Job, deps: Deps) -> timedelta:
    """Drop sessions whose time is over and failed sign-ins that bind nobody any more."""
    async with deps.db.for_worker() as unit:
        await store.drop_ended_sessions(unit)
        await store.forget_failures(unit, throttle.FORGOTTEN_AFTER_S * 2)
    return FORGET_EVERY
