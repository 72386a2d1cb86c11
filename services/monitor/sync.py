"""The cycles: an account's orders every minute or every few seconds, its money and holdings at their own pace.

Claimed from the jobs table, so that any replica does the work and the bus is not needed for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

import structlog

from libs.broker.base import BrokerProvider
from libs.broker.orders import OrderReport
from libs.common import jobs
from libs.common.errors import (
    AppError,
    InvalidInput,
    InvariantBroken,
    NotFound,
    UpstreamAuth,
    UpstreamRefused,
    UpstreamUnavailable,
)
from libs.common.jobs import Job, job
from libs.common.messages.monitor import SyncProgress
from services.monitor import portfolio, store, store_accounts, store_portfolio, store_watch
from services.monitor.banners import is_stale, say_banners
from services.monitor.cadence import Paces, Watch, is_worth_reading, next_read_at, next_visit_at
from services.monitor.deps import Deps
from services.monitor.reconcile import OurTrade, reconcile, to_ask
from services.monitor.store_accounts import Account

ORDERS = "sync_orders"
PORTFOLIO = "sync_portfolio"
LOOK = "look"
LATE_NEWS = timedelta(hours=24)
"""How long after its end a trade is read in every cycle; later, only when an order of it is seen executed."""

UNPRICED_S = 0.5
"""How soon a fill is read again that is shown before its price is."""

log = structlog.get_logger(__name__)


@job(ORDERS, lease_s=9, longest_s=45, concurrency=16)
async def sync_orders(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Read one account's orders once and tell what changed."""
    user = work.user or ""
    async with deps.db.for_user(user) as unit:
        sight = await store_watch.sight(unit, work.key, over_within=LATE_NEWS)
    account, trades, parents = sight.account, sight.trades, sight.parents
    if account is None:
        return None
    try:
        broker = await deps.access.broker(account)
        await deps.venues.read(broker)
        watch = watch_of(account, trades, deps)
        if not is_first_or_broken(account) and not is_worth_reading(watch, deps.clock.now()):
            return next_read_at(watch, paces(deps), deps.clock.now())
        most = deps.settings.asks_per_cycle
        most = max(1, most // 3) if watch.is_kept_hot(deps.clock.now()) else most
        ask = partial(to_ask, trades, parents=parents, most=most, turn=work.run)
        if account.doubtful_since is not None:
            ask = partial(_ask_all, trades, parents, most, work.run)
        listed, asked = await read_orders(broker, ask)
        # What cannot be believed is not told: while in doubt only what was read by its id is.
        reports = asked if account.doubtful_since is not None else (*listed, *asked)
    except AppError as error:
        await note_failure(account, error, deps)
        now = deps.clock.now()
        # Tried again at any hour: what is wrong must not be shown until the market opens.
        return min(next_read_at(watch_of(account, trades, deps), paces(deps), now), now + paces(deps).usual)
    return await store_orders(work, account, reports, deps)


def watch_of(account: Account, trades: Sequence[OurTrade], deps: Deps) -> Watch:
    """Describe what the account's pace depends on."""
    return Watch(
        clock=deps.venues.known(account.broker_mode),
        trades=trades,
        hot_until=account.hot_until,
        quiet_looks=account.quiet_looks,
        force_open=deps.settings.force_market_open,
    )


def paces(deps: Deps) -> Paces:
    """Return the pauses that the settings say."""
    said = deps.settings
    return Paces(
        usual=timedelta(seconds=said.order_sync_s),
        hot=timedelta(seconds=said.hot_sync_s),
        idle=timedelta(seconds=max(said.idle_sync_s, said.order_sync_s)),
    )


def is_first_or_broken(account: Account) -> bool:
    """Say whether an account is to be read at any hour: never read yet, or not read when it last should have been."""
    return account.orders_synced_at is None or account.portfolio_synced_at is None or account.problem is not None


def _ask_all(
    trades: Sequence[OurTrade], parents: dict[str, str], most: int, turn: int, _: frozenset[str]
) -> tuple[str, ...]:
    """Ask for every living order of ours by its id, whatever a list says of it."""
    return to_ask(trades, frozenset(), parents, most=most, turn=turn)


async def read_orders(
    broker: BrokerProvider, ask: Callable[[frozenset[str]], tuple[str, ...]]
) -> tuple[tuple[OrderReport, ...], tuple[OrderReport, ...]]:
    """Read the list, and by id whatever of ours it left out. Raises: UpstreamError."""
    listed = await broker.orders()
    reported = frozenset(order.id for report in listed for order in (report, *report.flat()))
    asked = await asyncio.gather(*(_by_id(broker, order_id) for order_id in ask(reported)))
    return listed, tuple(report for report in asked if report is not None)


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
        sight = await store_watch.sight(unit, account.account_key, over_within=LATE_NEWS, lock=True)
        current, trades = sight.account, sight.trades
        if current is None:
            return now
        late = await store.late_owners(unit, account.account_key, trades, reports)
        seen = sight.seen | (await store.seen_of(unit, account.account_key, late) if late else {})
        findings = reconcile((*trades, *late), seen, reports, now)
        again = current.hints != account.hints
        watch = watch_of(current, trades, deps)
        usual = next_read_at(watch, paces(deps), now)
        due = now if again else min(usual, now + timedelta(seconds=UNPRICED_S)) if findings.unpriced else usual
        if not await jobs.finish(unit, work, due):
            return due
        known = await store_portfolio.filled_before(unit, account.account_key, _executed(reports))
        await store_portfolio.keep_executions(unit, account, portfolio.new_executions(known, reports, now))
        is_well = await store_accounts.orders_synced(unit, account.account_key, now, is_quiet=not watch.living)
        told = await store_watch.tell(unit, account.username, account.account_key, findings.changed)
    if told or findings.stale:
        log.info("orders_told", account=account.account_key, told=told, stale=findings.stale)
    await _say_better(account, PORTFOLIO, deps, is_well=is_well)
    await _say_progress(account, "orders", deps)
    return due


def _executed(reports: Iterable[OrderReport]) -> list[str]:
    return [order.id for report in reports for order in report.flat() if order.exec_qty]


@job(PORTFOLIO, lease_s=9, longest_s=45, concurrency=8)
async def sync_portfolio(work: Job, deps: Deps) -> datetime | timedelta | None:
    """Read one account's money and holdings and replace what is cached, at once."""
    user = work.user or ""
    async with deps.db.for_user(user) as unit:
        account = await store_accounts.account(unit, work.key)
        trades = await store.trades_of(unit, work.key, over_within=timedelta(0))
    if account is None:
        return None
    every = timedelta(seconds=deps.settings.portfolio_sync_s)
    try:
        broker = await deps.access.broker(account)
        await deps.venues.read(broker)
        watch = watch_of(account, trades, deps)
        now = deps.clock.now()
        if not is_first_or_broken(account) and not watch.is_open(now) and not watch.is_kept_hot(now):
            return next_visit_at(watch, every, now)
        balance, positions = await asyncio.gather(broker.balances(), broker.positions())
    except AppError as error:
        await note_failure(account, error, deps)
        return every
    now = deps.clock.now()
    due = next_visit_at(watch, every, now)
    is_well: bool | None = None
    async with deps.db.for_user(user) as unit:
        is_watched = await store_accounts.account(unit, work.key, lock=True) is not None
        if is_watched and await jobs.finish(unit, work, due):
            await store_portfolio.keep_status(unit, account, portfolio.status_of(balance), now)
            moved = await store_portfolio.keep_holdings(unit, account, portfolio.holdings(positions, now), now)
            if moved and trades:
                # What moved a position has to do with orders: both are asked for at once.
                for kind in (ORDERS, LOOK):
                    await unit.schedule(kind, account.account_key, None, user=user, replace=False)
            is_well = await store_accounts.portfolio_synced(unit, account.account_key, now)
    if is_well is not None:
        await _say_better(account, ORDERS, deps, is_well=is_well)
    await _say_progress(account, "portfolio", deps)
    return due


async def _say_better(account: Account, other: str, deps: Deps, *, is_well: bool) -> None:
    """Say that nothing is wrong any more; while something is, ask for the other feed, whose read alone can end it."""
    if not is_well:
        async with deps.db.for_user(account.username) as unit:
            await unit.schedule(other, account.account_key, None, user=account.username, replace=False)
    elif account.problem is not None or is_stale(account, deps):
        await say_banners(account.username, deps)


async def note_failure(account: Account, error: AppError, deps: Deps) -> None:
    """Note why an account could not be read, whatever it was: no account may stop the cycle of another."""
    if isinstance(error, UpstreamUnavailable) and "retry_after_s" in error.extra and "paused_until" not in error.extra:
        # Our request budget (or the broker's) says later: nothing is wrong with the account, its feed only grows older.
        log.info("account_read_waits", account=account.account_key, detail=error.detail)
        if is_stale(account, deps):
            await say_banners(account.username, deps)
        return
    problem = problem_of(error)
    if isinstance(error, UpstreamAuth):
        problem = "re_authenticate" if await _token_is_refused(account, deps) else problem
        deps.access.forget(account.account_key)
    async with deps.db.for_user(account.username) as unit:
        is_new = await store_accounts.note_problem(unit, account.account_key, problem, error.detail)
    if is_new:
        log.warning("account_unreadable", account=account.account_key, problem=problem, detail=error.detail)
        await say_banners(account.username, deps)


def problem_of(error: AppError) -> str:
    """Name the problem an error means. Only a refused profile means that the token is no good."""
    if isinstance(error, UpstreamRefused):
        return "blocked" if error.extra.get("blocked") else "broker_refuses"
    if isinstance(error, NotFound):
        return "no_credentials"
    if isinstance(error, InvariantBroken):
        return "credentials_unreadable"
    return "mode_unavailable" if isinstance(error, InvalidInput) else "broker_unavailable"


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
