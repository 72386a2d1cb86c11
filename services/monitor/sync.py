"""The cycles: an account's orders every minute or every few seconds, its money and holdings at their own pace.

Claimed from the jobs table, so that any replica does the work and the bus is not needed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

import structlog

from libs.broker.base import BrokerProvider
from libs.broker.orders import OrderReport
from libs.common import jobs
from libs.common.errors import AppError, NotFound, UpstreamAuth, UpstreamError
from libs.common.jobs import Job, job
from libs.common.messages.monitor import SyncProgress
from services.monitor import portfolio, store, store_portfolio
from services.monitor.banners import say_banners
from services.monitor.deps import Deps
from services.monitor.reconcile import OurTrade, is_hot, reconcile, to_ask
from services.monitor.store import Account

ORDERS = "sync_orders"
PORTFOLIO = "sync_portfolio"
LATE_NEWS = timedelta(hours=1)
"""How long after its end a trade still owns what the broker says of its orders."""

UNPRICED_S = 0.5
"""How soon a fill is read again that is shown before its price is."""

log = structlog.get_logger(__name__)


@job(ORDERS, lease_s=45, concurrency=16)
async def sync_orders(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Read one account's orders once and tell what changed."""
    user = work.user or ""
    async with deps.db.for_user(user) as unit:
        account = await store.account(unit, work.key)
        trades = await store.trades_of(unit, work.key, over_within=LATE_NEWS)
    if account is None:
        return None
    pause = pace(account, trades, deps)
    try:
        broker = await deps.access.broker(account)
        reports = await read_orders(broker, trades, deps.settings.asks_per_cycle)
    except AppError as error:
        await note_failure(account, error, deps)
        return pause
    return await store_orders(work, account, reports, deps)


async def read_orders(broker: BrokerProvider, trades: Iterable[OurTrade], most_asks: int) -> tuple[OrderReport, ...]:
    """Read the list, then by id whatever of ours it left out. Raises: UpstreamError."""
    listed = await broker.orders()
    reported = frozenset(order.id for report in listed for order in (report, *report.legs))
    missing = to_ask(trades, reported)[:most_asks]
    asked = await asyncio.gather(*(_by_id(broker, order_id) for order_id in missing))
    return (*listed, *(report for report in asked if report is not None))


async def _by_id(broker: BrokerProvider, order_id: str) -> OrderReport | None:
    try:
        return await broker.order(order_id)
    except NotFound:
        # Absence is no evidence: orders decides what an order is that nobody knows.
        log.warning("order_not_found_by_id", broker_order_id=order_id)
        return None


async def store_orders(work: Job, account: Account, reports: tuple[OrderReport, ...], deps: Deps) -> datetime:
    """Tell what changed, in one transaction; returns when to read next: at once when something happened meanwhile."""
    now = deps.clock.now()
    async with deps.db.for_user(account.username) as unit:
        # Read again: a trade placed while the list was on its way must find its order in it.
        trades = await store.trades_of(unit, account.account_key, over_within=LATE_NEWS)
        seen = await store.seen_of(unit, account.account_key, [trade.trade_id for trade in trades])
        findings = reconcile(trades, seen, reports, now)
        current = await store.account(unit, account.account_key)
        again = current is not None and current.hints != account.hints
        soon = timedelta(seconds=UNPRICED_S) if findings.unpriced else pace(account, trades, deps)
        due = now if again else now + soon
        if not await jobs.finish(unit, work, due):
            return due
        known = await store_portfolio.filled_before(unit, account.account_key, _executed(reports))
        await store_portfolio.keep_executions(unit, account, portfolio.new_executions(known, reports, now))
        await store.orders_synced(unit, account.account_key, now)
        told = await store.tell(unit, account.username, account.account_key, findings.changed)
    if told or findings.stale:
        log.info("orders_told", account=account.account_key, told=told, stale=findings.stale)
    if account.problem is not None:
        await say_banners(account.username, deps)
    await _say_progress(account, "orders", deps)
    return due


def _executed(reports: Iterable[OrderReport]) -> list[str]:
    return [order.id for report in reports for order in report.flat() if order.exec_qty]


def pace(account: Account, trades: Iterable[OurTrade], deps: Deps) -> timedelta:
    """Return the pause until the next read: short while something is about to happen."""
    is_kept_hot = account.hot_until is not None and account.hot_until > deps.clock.now()
    hot = is_kept_hot or any(is_hot(trade) for trade in trades)
    return timedelta(seconds=deps.settings.hot_sync_s if hot else deps.settings.order_sync_s)


@job(PORTFOLIO, lease_s=45, concurrency=8)
async def sync_portfolio(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Read one account's money and holdings and replace what is cached, at once."""
    user = work.user or ""
    async with deps.db.for_user(user) as unit:
        account = await store.account(unit, work.key)
    if account is None:
        return None
    try:
        broker = await deps.access.broker(account)
        balance, positions = await asyncio.gather(broker.balances(), broker.positions())
    except AppError as error:
        await note_failure(account, error, deps)
        return timedelta(seconds=deps.settings.portfolio_sync_s)
    now = deps.clock.now()
    due = now + timedelta(seconds=deps.settings.portfolio_sync_s)
    async with deps.db.for_user(user) as unit:
        if await jobs.finish(unit, work, due):
            await store_portfolio.keep_status(unit, account, portfolio.status_of(balance), now)
            await store_portfolio.keep_holdings(unit, account, portfolio.holdings(positions, now), now)
            await store.portfolio_synced(unit, account.account_key, now)
    await _say_progress(account, "portfolio", deps)
    return due


async def note_failure(account: Account, error: AppError, deps: Deps) -> None:
    """Note why an account could not be read. Only a refused profile means that the token is no good."""
    problem = "broker_unavailable"
    if isinstance(error, UpstreamAuth):
        problem = "re_authenticate" if await _token_is_refused(account, deps) else problem
        deps.access.forget(account.account_key)
    elif isinstance(error, NotFound):
        problem = "no_credentials"
    elif not isinstance(error, UpstreamError):
        raise error
    async with deps.db.for_user(account.username) as unit:
        is_new = await store.note_problem(unit, account.account_key, problem, error.detail)
    if is_new:
        log.warning("account_unreadable", account=account.account_key, problem=problem, detail=error.detail)
        await say_banners(account.username, deps)


async def _token_is_refused(account: Account, deps: Deps) -> bool:
    try:
        await (await deps.access.broker(account)).profile()
    except UpstreamAuth:
        return True
    except AppError:
        return False
    return False


async def _say_progress(account: Account, step: str, deps: Deps) -> None:
    tick = SyncProgress(account_id=account.account_id, step=step, done=1, total=1, synced_at=deps.clock.now())
    if deps.bus.connected:
        await deps.bus.tick(tick, account.username)
