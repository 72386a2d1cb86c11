"""The full look at an account: positions, then every order, then ours by id; findings told, and repairs asked for.

Nothing is repaired here: orders reads again by itself before it acts. A bus that is away loses nothing, the next look
asks again.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import structlog

from libs.broker.base import BrokerProvider
from libs.broker.orders import OrderReport
from libs.broker.reports import PositionReport
from libs.common import jobs
from libs.common.db import Unit
from libs.common.errors import AppError, NotFound
from libs.common.jobs import Job, job
from libs.common.messages.orders import RepairTrade
from libs.common.messages.vocabulary import Finding
from libs.market.clock import market_date
from services.monitor import account_view, findings, store, store_accounts, store_findings, store_incidents
from services.monitor.account_view import Broker
from services.monitor.cadence import next_visit_at
from services.monitor.deps import Deps
from services.monitor.findings import REPAIRED, Found, Looked, Standing
from services.monitor.reconcile import OurTrade, Owners, is_over, to_ask
from services.monitor.store_accounts import Account
from services.monitor.store_incidents import Cause
from services.monitor.sync import LATE_NEWS, LOOK, watch_of

SHORTFALL = "shortfall"
"""The incident of orders: contracts of a trade are not at the broker, and its own looks found nothing that says how."""
AT_ONCE = 4
"""Orders asked for by id at the same time: what waits in line at the broker would be taken for its silence."""
RAREST = 60
"""A repair that changes nothing is asked for this many times more rarely in the end: it also writes a story."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Before:
    """Our rows as they were before the first read."""

    trades: tuple[OurTrade, ...]
    parents: dict[str, str]

    def resting(self, now: Iterable[OurTrade]) -> frozenset[str]:
        """Name the trades whose rows are still the same, and have been for a while."""
        before = {trade.trade_id: trade.key_version for trade in self.trades if trade.rests}
        return frozenset(trade.trade_id for trade in now if before.get(trade.trade_id) == trade.key_version)


@job(LOOK, lease_s=9, longest_s=45, concurrency=8)
async def look_at(work: Job, deps: Deps) -> datetime | None:
    """Look at one account in full, tell what stands, and ask for its repair."""
    rests_s = deps.settings.position_lag_s
    async with deps.db.for_user(work.user or "") as unit:
        account = await store_accounts.account(unit, work.key)
        trades = await store.trades_of(unit, work.key, over_within=LATE_NEWS, rests_s=rests_s)
        parents = await store.parents_of(unit, work.key, trades)
    if account is None or not trades:
        return None
    try:
        broker = await deps.access.broker(account)
        await deps.venues.read(broker)
        if not _is_worth_it(account, trades, deps):
            return next_visit_at(watch_of(account, trades, deps), timedelta(seconds=deps.settings.look_s), _now(deps))
        before = _Before(trades, parents)
        shown = await _read(broker, account, before, work.run, deps)
    except AppError as error:
        # The order cycle tells what is wrong with the account; without a full read nothing is judged.
        log.info("look_not_possible", account=account.account_key, code=error.code)
        return _now(deps) + timedelta(seconds=deps.settings.look_s)
    repairs, due = await _stored(work, account, shown, before, deps)
    await _ask(account, repairs, deps)
    return due


def _now(deps: Deps) -> datetime:
    return deps.clock.now()


def _is_worth_it(account: Account, trades: Sequence[OurTrade], deps: Deps) -> bool:
    watch = watch_of(account, trades, deps)
    now = _now(deps)
    return account.doubtful_since is not None or watch.is_open(now) or watch.is_kept_hot(now)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _read(broker: BrokerProvider, account: Account, before: _Before, turn: int, deps: Deps) -> Broker:
    """Read positions, then the list, then by id what it left out. Raises: UpstreamError."""
    trades, parents = before.trades, before.parents
    positions = _by_symbol(await broker.positions())
    # Before the list: one read before midnight must not count as the new day's, whose list begins empty.
    today = market_date(deps.venues.known(account.broker_mode), _now(deps))
    listed = await broker.orders()
    ids = frozenset(order.id for report in listed for order in (report, *report.flat()))
    shown = Broker(
        orders=listed,
        listed=ids,
        positions=positions,
        market_date=today,
    )
    wanted = set(to_ask(trades, ids, parents, most=deps.settings.asks_per_cycle, turn=turn))
    wanted |= _unexplained(before, shown, doubtful=account.doubtful_since is not None)
    names = sorted(wanted)
    slots = asyncio.Semaphore(AT_ONCE)
    asked = dict(zip(names, await asyncio.gather(*(_by_id(broker, name, slots) for name in names)), strict=True))
    found = tuple(report for report in asked.values() if report is not None)
    unknown = _unknown(trades, parents, {name for name, report in asked.items() if report is None})
    return replace(shown, orders=(*listed, *found), unknown=unknown)


def _by_symbol(reports: Iterable[PositionReport]) -> dict[str, Decimal]:
    held: dict[str, Decimal] = defaultdict(Decimal)
    for report in reports:
        held[report.symbol] += report.qty
    return dict(held)


def _groups(trade: OurTrade, parents: dict[str, str]) -> set[str]:
    """Name what to ask for to see every order of a trade: the group of a leg, else the order."""
    ids = {order.broker_order_id for order in trade.orders if order.broker_order_id}
    return {parents.get(one, one) for one in ids}


def _unexplained(before: _Before, shown: Broker, *, doubtful: bool) -> set[str]:
    """List every unlisted order of the trades whose contracts are short of what is held; in doubt of all that live."""
    trades = before.trades
    orders = account_view.shown(trades, shown, Owners(trades))
    held: dict[str, int] = defaultdict(int)
    for trade in trades:
        held[trade.occ_symbol] += account_view.held_of(trade, orders[trade.trade_id])
    # In doubt, not of trades that are over: a day's worth of them would ask more than the broker lets anybody ask.
    lacking = {t.occ_symbol for t in trades if shown.positions.get(t.occ_symbol, Decimal(0)) < held[t.occ_symbol]}
    asked = [t for t in trades if t.occ_symbol in lacking or (doubtful and not is_over(t))]
    return {one for trade in asked for one in _groups(trade, before.parents)} - shown.listed


def _unknown(trades: Sequence[OurTrade], parents: dict[str, str], not_found: set[str]) -> frozenset[str]:
    """Name the trades of whose orders the broker knows none."""
    groups = {trade.trade_id: _groups(trade, parents) for trade in trades}
    return frozenset(trade_id for trade_id, asked in groups.items() if asked and asked <= not_found)


async def _by_id(broker: BrokerProvider, order_id: str, slots: asyncio.Semaphore) -> OrderReport | None:
    async with slots:
        try:
            return await broker.order(order_id)
        except NotFound:
            return None


# ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _stored(
    work: Job, account: Account, shown: Broker, before: _Before, deps: Deps
) -> tuple[list[RepairTrade], datetime]:
    """Judge and store under the account's lock; returns what to ask for, and when to look again."""
    now = _now(deps)
    key = account.account_key
    async with deps.db.for_user(account.username) as unit:
        # Locked first: a trade that ends meanwhile is either seen here, or ends what is told of it here.
        current = await store_accounts.account(unit, key, lock=True)
        if current is None:
            return [], now
        trades = await store.trades_of(unit, key, over_within=LATE_NEWS)
        by_orders = await store_findings.told_by_orders(unit)
        looked = findings.look(
            trades,
            shown,
            await store_findings.standing_of(unit, key),
            store_findings.doubt_of(current),
            resting=before.resting(trades),
            listed_before=current.listed_on == shown.market_date,
            now=now,
            short_known=frozenset(trade_id for kind, trade_id in by_orders if kind == SHORTFALL),
        )
        pace_s = deps.settings.hot_sync_s if looked.doubt or _is_young(looked) else deps.settings.look_s
        due = next_visit_at(watch_of(current, trades, deps), timedelta(seconds=pace_s), now)
        if not await jobs.finish(unit, work, due):
            return [], due
        await store_findings.keep_standing(unit, account, looked.standing)
        await store_findings.keep_look(unit, key, looked.doubt, shown.market_date if shown.listed else None)
        await store_findings.keep_foreign(unit, account, _foreign(trades, shown))
        await _tell(unit, account, looked, by_orders, now)
        chosen = _due(looked, now, deps)
        await store_findings.asked(unit, key, [one for one, _ in chosen], now)
    return [_repair(found) for _, found in chosen], due


def _is_young(looked: Looked) -> bool:
    """Say whether something was found for the first time: the second look comes soon."""
    return any(not one.stands for one in looked.standing)


def _foreign(trades: Sequence[OurTrade], shown: Broker) -> list[OrderReport]:
    owners = Owners(trades)
    return [order for report in shown.orders for order in report.flat() if owners.of(order, report) is None]


async def _tell(
    unit: Unit, account: Account, looked: Looked, by_orders: frozenset[tuple[str, str]], now: datetime
) -> None:
    """Open the incidents of what stands and end those of what is right again; doubt ends none."""
    key = account.account_key
    is_open = await store_findings.open_findings(unit, key)
    if looked.doubt is not None:
        name = account.account_name or account.account_id
        text = f"What the broker shows of {name} cannot be right ({looked.doubt.reason}); nothing is changed by it"
        doubt = Found(kind=Finding.DOUBTFUL, subject="account", text=text, occ_symbol="")
        await store_incidents.open_incident(unit, account.username, _cause(account, doubt), now)
        return
    standing = {(one.kind, one.subject) for one in looked.standing if one.stands}
    wanted: set[str] = set()
    for found in looked.found:
        # A trade that is in doubt by itself is told by orders, as a shortfall.
        is_told = found.kind is Finding.DOUBTFUL or (found.kind.value, found.trade_id) in by_orders
        if found.key not in standing or is_told:
            continue
        cause = _cause(account, found)
        wanted.add(cause.cause_key)
        await store_incidents.open_incident(unit, account.username, cause, now)
    for gone in sorted(is_open - wanted):
        await store_incidents.end_incident(unit, account.username, gone, now)


def _cause(account: Account, found: Found) -> Cause:
    return Cause(
        cause_key=store_findings.cause_key(account.account_key, found.kind, found.subject),
        kind=found.kind.value,
        severity=found.severity,
        text=found.text,
        trade_id=found.trade_id,
        occ_symbol=found.occ_symbol or None,
        broker_mode=account.broker_mode,
        account_id=account.account_id,
    )


# ── repairs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _due(looked: Looked, now: datetime, deps: Deps) -> list[tuple[Standing, Found]]:
    """Choose the repairs to ask for: of what stands, ever more rarely while asking changes nothing."""
    found = {one.key: one for one in looked.found}
    pause_s = deps.settings.repair_ask_s
    chosen = []
    for one in looked.standing:
        pause = timedelta(seconds=min(pause_s * max(one.looks - 1, 1), pause_s * RAREST))
        if one.stands and one.kind in REPAIRED and (one.asked_at is None or now - one.asked_at >= pause):
            chosen.append((one, found[one.kind, one.subject]))
    return chosen


def _repair(found: Found) -> RepairTrade:
    return RepairTrade(
        trade_id=found.trade_id or "",
        finding=found.kind,
        seen_key_version=found.key_version,
        broker_order_ids=found.broker_order_ids,
        successor_occ=found.successor_occ,
    )


async def _ask(account: Account, repairs: Iterable[RepairTrade], deps: Deps) -> None:
    for repair in repairs:
        try:
            answer = await deps.bus.ask(repair, user=account.username)
        except AppError as error:
            log.warning("repair_not_asked", trade_id=repair.trade_id, finding=repair.finding, code=error.code)
        else:
            log.info("repair_asked", trade_id=repair.trade_id, finding=repair.finding, answer=answer.json())
