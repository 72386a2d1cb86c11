"""The broker's account stream, as a hint to read now. Polling stays the net."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from datetime import datetime, timedelta
from typing import Any, cast

import structlog

from libs.common.errors import AppError, UpstreamError, UpstreamRefused, UpstreamUnavailable
from libs.common.jobs import Job, extend, job
from services.monitor import store, store_accounts, store_watch
from services.monitor.deps import Deps
from services.monitor.hints import Gathered, is_urgent
from services.monitor.sync import ORDERS

FOLLOW = "follow_account"
LEASE_S = 30.0

log = structlog.get_logger(__name__)


@job(FOLLOW, lease_s=LEASE_S, concurrency=1000, endless=True)
async def follow_account(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Follow one account's stream while it has live trades; one replica at a time, by the job's claim."""
    if not deps.settings.event_stream:
        return None
    async with deps.db.for_user(work.user or "") as unit:
        account = await store_accounts.account(unit, work.key)
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
        log.info("account_stream_ended", account=work.key, reason=error.detail if error else "closed by the broker")
        return timedelta(seconds=_again_s(error, deps))
    finally:
        listening.cancel()
        await asyncio.gather(listening, return_exceptions=True)


def _again_s(error: AppError | None, deps: Deps) -> float:
    """Return when to connect again: soon, unless only a person can change what was refused."""
    is_passing = isinstance(error, UpstreamUnavailable) or error is None
    if is_passing or (isinstance(error, UpstreamError) and not isinstance(error, UpstreamRefused)):
        return deps.settings.hot_sync_s
    return deps.settings.order_sync_s


async def _has_live_trades(work: Job, deps: Deps) -> bool:
    async with deps.db.for_user(work.user or "") as unit:
        return bool(await store.trades_of(unit, work.key, over_within=timedelta(0)))


async def _listen(work: Job, account: store_accounts.Account, deps: Deps) -> None:
    """Turn the stream into reads until it ends. What happened before it was open is read once it is."""
    broker = await deps.access.broker(account)
    gathered = Gathered(deps.settings.hint_delay_s, deps.settings.calm_hint_delay_s)

    async def read() -> bool:
        try:
            async with deps.db.for_user(account.username) as unit:
                await store_watch.hint(unit, work.key, hot_for=timedelta(seconds=2 * deps.settings.hot_sync_s))
                await unit.schedule(ORDERS, work.key, None, user=account.username, replace=False)
        except AppError as error:
            log.warning("hint_waits", account=work.key, reason=error.detail)
            return False
        return True

    telling = asyncio.ensure_future(gathered.tell(read))
    try:
        async with aclosing(cast("Any", broker.events(on_connected=gathered.note))) as events:
            async for hint in events:
                # The hint's content is no evidence: whatever it says, the order list is read; only how soon it tells.
                gathered.note(is_urgent=is_urgent(hint.status))
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
