"""The broker's account stream, as a hint to read now. Polling stays the net."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from libs.common.errors import AppError
from libs.common.jobs import Job, extend, job
from services.monitor import store
from services.monitor.deps import Deps
from services.monitor.sync import ORDERS

FOLLOW = "follow_account"
LEASE_S = 30.0

log = structlog.get_logger(__name__)


@job(FOLLOW, lease_s=LEASE_S, concurrency=1000)
async def follow_account(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Follow one account's stream while it has live trades; one replica at a time, by the job's claim."""
    if not deps.settings.event_stream:
        return None
    async with deps.db.for_user(work.user or "") as unit:
        account = await store.account(unit, work.key)
        trades = await store.trades_of(unit, work.key, over_within=timedelta(0))
    if account is None or not trades:
        return None
    listening = asyncio.ensure_future(_listen(work, account, deps))
    try:
        while not listening.done():
            await asyncio.wait([listening], timeout=LEASE_S / 3)
            if not await extend(deps.db, work, LEASE_S) or not await _has_live_trades(work, deps):
                return timedelta(seconds=deps.settings.order_sync_s)
        error = listening.exception()
        if error is not None and not isinstance(error, AppError):
            raise error
        log.info("account_stream_ended", account=work.key, reason=str(error) if error else "closed by the broker")
        return timedelta(seconds=deps.settings.hot_sync_s)
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


async def _has_live_trades(work: Job, deps: Deps) -> bool:
    async with deps.db.for_user(work.user or "") as unit:
        return bool(await store.trades_of(unit, work.key, over_within=timedelta(0)))


async def _listen(work: Job, account: store.Account, deps: Deps) -> None:
    broker = await deps.access.broker(account)
    async for _ in broker.events():
        # The hint's content is no evidence: whatever it says, the order list is read.
        await asyncio.sleep(deps.settings.hint_delay_s)
        async with deps.db.for_user(account.username) as unit:
            await store.hint(unit, work.key, hot_for=timedelta(seconds=2 * deps.settings.hot_sync_s))
            await unit.schedule(ORDERS, work.key, None, user=account.username)
