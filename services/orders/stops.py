"""Jobs of stops with a limit behind them: see them passed, and have sold what their limit does not sell.

A mark only says which trades to look at; what is decided follows from a fresh quote and the broker's own order. Nothing
is sent here: the close is asked for like a person's, and its flow does the rest.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from libs.broker.base import Priority
from libs.broker.orders import OrderReport
from libs.common import log
from libs.common.errors import AppError
from libs.common.ids import new_id
from libs.common.jobs import Job, job
from libs.common.messages.vocabulary import CloseReason
from libs.market.options import OccSymbol
from services.orders import asking, lifecycle, saving, sessions, store, store_flows, talk, triggers
from services.orders.deps import Deps
from services.orders.flow import JOB
from services.orders.plan import is_running
from services.orders.reading import reports_of
from services.orders.steps import Moment
from services.orders.trade import ActionState, View

FIND = "stop_limits"
LOOK = "stop_limit"
_log = log.get(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the venue said around a stop. `report` is its group, asked for only when the stop is reached."""

    bid: Decimal | None
    report: OrderReport | None
    is_open: bool


@job(FIND, lease_s=5.0, concurrency=1)
async def find(work: Job, deps: Deps) -> timedelta:
    """Make due the stops with a limit that the market is near; all of them while nobody brings marks."""
    async with deps.db.for_worker() as unit:
        for trade_id, username in await store_flows.stop_limits(unit, all_of_them=not deps.bus.connected):
            await unit.schedule(LOOK, trade_id, None, user=username, replace=False)
    return timedelta(seconds=deps.settings.order_waits.stop_look_s)


@job(LOOK, lease_s=10.0, concurrency=4, retry_s=1.0, retry_max_s=15.0)
async def look(work: Job, deps: Deps) -> datetime | None:
    """Look at one: note that it is reached, or ask for the sale that its limit missed; returns when to look again."""
    async with deps.db.for_user(work.user or "") as unit:
        loaded = await store.read_view(unit, work.key)
    order, trade = triggers.resting(loaded.view), loaded.view.trade
    if order is None or order.group_order_id is None or order.stop is None:
        return None
    try:
        priority = Priority.POLL if order.triggered_at is None else Priority.EXIT
        broker = deps.broker_of(loaded, priority)
        quotes, clock = await talk.market_of(broker, (trade.occ_symbol,), deps.clock.now())
        quote = quotes.get(trade.occ_symbol)
        bid = None if quote is None or not quote.has_market else quote.bid
        is_open = sessions.is_open(deps, clock, trade.broker_mode, OccSymbol.parse(trade.occ_symbol))
        reached = is_open and bid is not None and bid <= order.stop
        report = await broker.order(order.group_order_id) if reached else None
    except AppError as error:
        _log.info("stop_not_seen", trade_id=trade.id, code=error.code)
        return None
    return await _stored(work, _Seen(bid, report, is_open), deps)


async def _stored(work: Job, seen: _Seen, deps: Deps) -> datetime | None:
    async with deps.db.for_user(work.user or "") as unit:
        loaded = await store.lock_view(unit, work.key)
        moment = deps.moment(loaded)
        view = _judged(loaded.view, seen, moment)
        if view is not loaded.view:
            view = await saving.save(unit, loaded.view, view, moment)
            await unit.schedule(JOB, work.key, None, user=work.user, replace=False)
    return triggers.next_look(view, moment)


def _judged(view: View, seen: _Seen, moment: Moment) -> View:
    if seen.report is not None:
        view = lifecycle.applied(view, reports_of(view.orders, seen.report), moment.now)
    view = triggers.judged(view, seen.bid, moment, is_open=seen.is_open)
    if seen.report is None or not triggers.is_missed(view, seen.bid, moment):
        return view
    state = ActionState.REQUESTED if is_running(view, moment) else ActionState.RUNNING
    words = "the stop was reached and its limit did not fill"
    reason = CloseReason.SL_HIT
    return asking.with_close(view, action_id=new_id(), reason=reason, state=state, now=moment.now, words=words)


async def plan_jobs(deps: Deps) -> None:
    """See that the standing job exists, due at once. Idempotent: yes."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(FIND, "all", None, replace=False)
