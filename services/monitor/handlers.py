"""What monitor does with facts and ticks: keep the projection, wake the cycles, open and end incidents."""

from __future__ import annotations

from datetime import timedelta

from libs.common.db import Unit
from libs.common.handlers import LATEST, Context, consume, hears
from libs.common.messages.orders import (
    TRADE_FACTS,
    ConcernEnded,
    ConcernRaised,
    CredentialsChanged,
    ListTracked,
    TradeFact,
)
from libs.common.messages.pricing import Marks
from libs.common.messages.trade import TradeRow
from libs.common.messages.vocabulary import TradeStatus
from services.monitor import store, store_accounts, store_findings, store_incidents, store_watch
from services.monitor.deps import Deps
from services.monitor.findings import OF_HOLDINGS
from services.monitor.reconcile import OurTrade, crosses_exit, is_hot, is_over
from services.monitor.store_incidents import Cause
from services.monitor.stream import FOLLOW
from services.monitor.sync import LOOK, ORDERS, PORTFOLIO

MONITOR_ORDERS = "monitor-orders"


@consume(*TRADE_FACTS, durable=MONITOR_ORDERS, accept=LATEST)
async def on_trade(fact: TradeFact, ctx: Context, deps: Deps) -> None:
    """Keep the newest view of a trade and watch its account."""
    async with deps.db.for_user(ctx.user) as unit:
        if await unit.newest(ctx):
            await watch(unit, store.ours(fact), fact.account_name, deps)


async def watch(unit: Unit, trade: OurTrade, account_name: str | None, deps: Deps) -> None:
    """Keep a trade and see to it that its account is read: soon when something is about to happen."""
    key = store_accounts.account_key(trade.broker_mode, trade.account_id)
    said = deps.settings
    hot_for = timedelta(seconds=2 * said.hot_sync_s) if is_hot(trade) else None
    kept = await store_watch.keep(unit, trade, account_name, hot_for=hot_for, followed_by=FOLLOW)
    if is_over(trade) and not kept.is_watched:
        # Late news of an account that was given up must not bring it back.
        return
    if trade.status is TradeStatus.CLOSED:
        await _end_findings(unit, trade, key)
    if kept.is_new:
        await unit.schedule(PORTFOLIO, key, None, user=trade.username, replace=False)
    pause_s = said.hot_sync_s if is_hot(trade) else said.order_sync_s
    await unit.schedule(ORDERS, key, timedelta(seconds=pause_s), user=trade.username, replace=False)
    if not is_over(trade):
        # Whoever follows it now does so again afterwards: nobody has to be woken for that.
        await unit.schedule(FOLLOW, key, None, user=trade.username, replace=False, wakes=not kept.is_followed)
    await unit.schedule(LOOK, key, timedelta(seconds=said.look_s), user=trade.username, replace=False)


async def _end_findings(unit: Unit, trade: OurTrade, key: str) -> None:
    """End what looks found of a trade that is over: the next look may be an hour, or a night, away.

    The account is locked by now: a look that judges it at the same time has told before, or sees that the trade ended.
    """
    causes = [store_findings.cause_key(key, kind, trade.trade_id) for kind in OF_HOLDINGS]
    for cause in await store_incidents.open_among(unit, trade.username, causes):
        await store_incidents.end_incident(unit, trade.username, cause, await unit.now())


@consume(ConcernRaised, durable=MONITOR_ORDERS, accept=LATEST)
async def on_concern_raised(fact: ConcernRaised, ctx: Context, deps: Deps) -> None:
    """Open the incident of what orders found wrong."""
    async with deps.db.for_user(ctx.user) as unit:
        if not await unit.newest(ctx):
            return
        cause = Cause(
            cause_key=fact.concern_key,
            kind=fact.kind,
            severity=fact.severity,
            text=fact.text,
            trade_id=fact.trade_id,
            occ_symbol=fact.occ_symbol,
            broker_mode=fact.broker_mode,
            account_id=fact.account_id,
        )
        await store_incidents.open_incident(unit, ctx.user, cause, fact.since_at)
        if fact.trade_id is not None and fact.broker_mode is not None and fact.account_id is not None:
            # One open incident for one thing: what a look found of the same kind is told by orders now.
            key = store_accounts.account_key(fact.broker_mode, fact.account_id)
            found = store_findings.cause_key(key, fact.kind, fact.trade_id)
            await store_incidents.end_incident(unit, ctx.user, found, fact.since_at)


@consume(ConcernEnded, durable=MONITOR_ORDERS, accept=LATEST)
async def on_concern_ended(fact: ConcernEnded, ctx: Context, deps: Deps) -> None:
    """End the incident of what is right again."""
    async with deps.db.for_user(ctx.user) as unit:
        if await unit.newest(ctx):
            await store_incidents.end_incident(unit, ctx.user, fact.concern_key, fact.ended_at)


@consume(CredentialsChanged, durable=MONITOR_ORDERS, accept=LATEST)
async def on_credentials_changed(fact: CredentialsChanged, ctx: Context, deps: Deps) -> None:
    """Watch a new account, give up a removed one; drop the token that was kept of a changed one."""
    deps.access.forget(fact.account_key)
    async with deps.db.for_user(ctx.user) as unit:
        if not await unit.newest(ctx):
            return
        key = store_accounts.account_key(fact.broker_mode, fact.account_id)
        if fact.removed:
            await store_accounts.drop_account(unit, key)
            return
        await store_accounts.keep_account(unit, ctx.user, fact.broker_mode, fact.account_id, fact.account_name)
        await store_watch.hint(unit, key, hot_for=timedelta(seconds=2 * deps.settings.hot_sync_s))
        for kind in (ORDERS, PORTFOLIO):
            await unit.schedule(kind, key, None, user=ctx.user)


@hears(Marks)
async def on_marks(tick: Marks, ticker: str, deps: Deps) -> None:
    """Make an account hot when a mark stands at or past an exit: the broker has probably acted."""
    marks = {mark.occ_symbol: mark.mark for mark in tick.marks}
    async with deps.db.for_worker() as unit:
        for trade in await store.trades_on(unit, tick.ticker):
            mark = marks.get(trade.occ_symbol)
            if mark is not None and crosses_exit(trade, mark):
                key = store_accounts.account_key(trade.broker_mode, trade.account_id)
                await store_watch.hint(unit, key, hot_for=timedelta(seconds=2 * deps.settings.hot_sync_s))
                await unit.schedule(ORDERS, key, None, user=trade.username)


async def rebuild(deps: Deps) -> None:
    """Ask orders for every trade that must be watched, and keep what is newer than what is here."""
    cursor = None
    while True:
        page = (await deps.bus.ask(ListTracked(cursor=cursor), user="_")).json()
        for given in page["trades"]:
            row = TradeRow.model_validate(given, extra="ignore")
            async with deps.db.for_user(row.username) as unit:
                await watch(unit, store.ours(row), row.account_name, deps)
        cursor = page["next_cursor"]
        if cursor is None:
            return
