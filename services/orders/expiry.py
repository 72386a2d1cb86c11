"""Jobs of expiry: find what expires at each venue, sell it before, and learn from the broker how it ended.

Nothing here is sent: closes are asked for like a person's, and their flow does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from libs.broker.base import BrokerProvider, Priority
from libs.broker.orders import OrderReport
from libs.broker.reports import PositionReport, Quote
from libs.broker.venue_clock import market_clock
from libs.common import log
from libs.common.errors import AppError
from libs.common.ids import new_id
from libs.common.jobs import Job, job
from libs.common.messages.vocabulary import BrokerMode, CloseReason
from libs.market import calendar, products
from libs.market.options import OccSymbol
from services.orders import (
    asking,
    concerns,
    expiring,
    lifecycle,
    oversold,
    repairing,
    saving,
    store,
    store_contract,
    store_flows,
    talk,
)
from services.orders.contract import holding_of
from services.orders.deps import Deps
from services.orders.expiring import Phase, Truth
from services.orders.flow import JOB
from services.orders.plan import is_running
from services.orders.repairing import Looked
from services.orders.steps import Moment
from services.orders.trade import ActionState, View

MOST_ASKED = 3
"""Accounts of a venue that are asked for its time in one look; the next look asks others."""
FIND = "expiries"
SETTLE = "expiry"
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a venue said of one trade. `truth` is only asked for once the contract trades no more."""

    market_at: datetime
    price: Decimal | None
    """The underlying's."""
    last_trade_at: datetime | None
    """When the venue reaches it, in real time."""
    truth: Truth | None = None
    positions: tuple[PositionReport, ...] = ()


@job(FIND, lease_s=20.0, concurrency=1)
async def find(work: Job, deps: Deps) -> timedelta:
    """Make due what expires at each venue, by that venue's own time."""
    async with deps.db.for_worker() as unit:
        accounts = await store_flows.one_of_each_account(unit)
    for mode, trades in accounts.items():
        # One account that cannot be asked must not keep the others' contracts from being sold.
        for trade_id, username in trades[:MOST_ASKED]:
            at = await _time_of(deps, trade_id, username)
            if at is not None:
                await _make_due(deps, mode, at)
                break
    return timedelta(seconds=deps.settings.order_waits.expiry_look_s)


async def _time_of(deps: Deps, trade_id: str, username: str) -> datetime | None:
    """Return a venue's market time; None while it cannot be asked."""
    try:
        async with deps.db.for_user(username) as unit:
            loaded = await store.read_view(unit, trade_id)
        clock = await market_clock(deps.broker_of(loaded, Priority.EXIT), now=deps.clock.now())
    except AppError as error:
        _log.info("venue_time_unknown", trade_id=trade_id, code=error.code)
        return None
    return clock.market_at(deps.clock.now())


async def _make_due(deps: Deps, mode: BrokerMode, at: datetime) -> None:
    async with deps.db.for_worker() as unit:
        # AM-settled series trade for the last time on the session before, which may lie days back.
        until = calendar.new_york_date(at) + timedelta(days=5)
        for trade_id, username, occ_symbol, minutes in await store_flows.expiring(unit, mode, until):
            if at >= expiring.begins_at(OccSymbol.parse(occ_symbol), minutes):
                await unit.schedule(SETTLE, trade_id, None, user=username, replace=False)


@job(SETTLE, lease_s=9.0, longest_s=30.0, concurrency=4)
async def settle(work: Job, deps: Deps) -> datetime | None:
    """Do what one expiring trade needs now: sell it, note that it settles, or end it by what the broker shows."""
    async with deps.db.for_user(work.user or "") as unit:
        loaded = await store.read_view(unit, work.key)
    try:
        seen = await _seen(loaded.view, deps.broker_of(loaded, Priority.EXIT), deps)
    except AppError as error:
        _log.info("expiry_not_seen", trade_id=work.key, code=error.code)
        return expiring.next_look(loaded.view, deps.moment(loaded))
    return await _stored(work, seen, deps)


async def _stored(work: Job, seen: _Seen, deps: Deps) -> datetime | None:
    """Decide under the lock; returns when to look again."""
    async with deps.db.for_user(work.user or "") as unit:
        loaded = await store.lock_view(unit, work.key)
        moment = deps.moment(loaded)
        if seen.truth is not None:
            # One sale is the end of one trade, whoever else looked at the same time.
            taken = await store_contract.beside(unit, loaded.view.trade, locks=True)
            seen = replace(seen, truth=replace(seen.truth, beside=taken))
        view = _done(loaded.view, seen, moment)
        if view is not loaded.view:
            view = await saving.save(unit, loaded.view, view, moment)
            due_at = concerns.next_look(view, moment) if view.trade.is_locked else None
            await unit.schedule(JOB, work.key, due_at, user=work.user, replace=False)
    if expiring.phase(view, seen.market_at, seen.price) is Phase.FAR:
        return None
    return expiring.next_look(view, moment, seen.last_trade_at)


async def _seen(view: View, broker: BrokerProvider, deps: Deps) -> _Seen:
    """Ask the venue. Raises: UpstreamError."""
    now = deps.clock.now()
    quotes, clock = await talk.market_of(broker, (view.trade.ticker,), now)
    quote = quotes.get(view.trade.ticker)
    market_at, price = clock.market_at(now), None if quote is None else quote.last
    last_trade_at = clock.real_at_of(products.last_trade_at(expiring.contract_of(view)))
    seen = _Seen(market_at, price, last_trade_at)
    if expiring.phase(view, market_at, price) is not Phase.SETTLING:
        return seen
    orders, positions = await broker.orders(), await broker.positions()
    truth = _truth(view, positions, quote, orders)
    return replace(seen, truth=truth, positions=positions)


def _truth(
    view: View, positions: tuple[PositionReport, ...], quote: Quote | None, orders: tuple[OrderReport, ...]
) -> Truth:
    return Truth(
        contract_qty=holding_of(positions, view.trade.occ_symbol).qty,
        share_qty=holding_of(positions, view.trade.ticker).qty,
        quote=quote,
        orders=tuple(flat for report in orders for flat in report.flat()),
    )


def _done(view: View, seen: _Seen, moment: Moment) -> View:
    if expiring.to_flatten(view, seen.market_at, seen.price, moment):
        return _flattened(view, moment)
    where = expiring.phase(view, seen.market_at, seen.price)
    if where is Phase.OVER and expiring.can_settle(view):
        return lifecycle.settling(view, moment.now)
    if where is Phase.SETTLING and seen.truth is not None:
        if oversold.is_short(view):
            return _short_ended(view, seen, seen.truth, moment)
        ending = expiring.judged(view, seen.truth, seen.market_at)
        return view if ending is None else lifecycle.ended_without_order(view, ending, moment.now)
    return view


def _short_ended(view: View, seen: _Seen, truth: Truth, moment: Moment) -> View:
    """End a sale beyond the holding: by who bought it back after all, else by what the contract was worth."""
    looked = Looked(seen.positions, truth.orders, beside=truth.beside)
    view = repairing.known(view, looked, moment, new_id=new_id)
    ending = expiring.judged_short(view, truth, seen.market_at)
    return view if ending is None else oversold.settled(view, ending, order_id=new_id(), now=moment.now)


def _flattened(view: View, moment: Moment) -> View:
    """Ask for the close that expiry calls for; what waits for an open that comes too late is withdrawn."""
    queued = view.queued
    if queued is not None:
        view = asking.ended(view, queued.id, ActionState.WITHDRAWN, moment.now, words="the contract expires first")
    state = ActionState.REQUESTED if is_running(view, moment) else ActionState.RUNNING
    return asking.with_close(
        view,
        action_id=new_id(),
        reason=CloseReason.FLATTENED,
        state=state,
        now=moment.now,
        words="the contract expires",
    )


async def plan_jobs(deps: Deps) -> None:
    """See that the standing job exists, due at once. Idempotent: yes."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(FIND, "all", None, replace=False)
