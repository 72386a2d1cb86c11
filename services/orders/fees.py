"""Jobs of fees: on the days after its close, learn from the account's history what a trade cost in commissions.

Nothing is decided of a position here. What cannot be read is read again at the next look, for two weeks.
"""

from __future__ import annotations

from datetime import date, timedelta

from libs.broker.base import BrokerProvider, Priority
from libs.broker.reports import PastTrade
from libs.broker.venue_clock import market_clock
from libs.common import log
from libs.common.errors import AppError
from libs.common.jobs import Job, job
from libs.market import calendar
from services.orders import charging, saving, store, store_contract, store_fees
from services.orders.deps import Deps
from services.orders.store import Loaded

FIND = "fees"
READ = "fees_of_account"
_log = log.get(__name__)


@job(FIND, lease_s=20.0, concurrency=1)
async def find(work: Job, deps: Deps) -> timedelta:
    """Make due the accounts with trades whose commissions nobody has read."""
    async with deps.db.for_worker() as unit:
        for account_key, username in await store_fees.unread_accounts(unit):
            await unit.schedule(READ, account_key, None, user=username, replace=False)
    return timedelta(seconds=deps.settings.order_waits.fees_look_s)


@job(READ, lease_s=9.0, longest_s=60.0, concurrency=1)
async def read(work: Job, deps: Deps) -> None:
    """Read the history of one account, once for all its trades, and book what it tells of each."""
    async with deps.db.for_user(work.user or "") as unit:
        loaded = [await store.read_view(unit, trade_id) for trade_id in await store_fees.unread(unit, work.key)]
    if not loaded:
        return
    try:
        told, today = await _told(loaded, deps.broker_of(loaded[0], Priority.POLL), deps)
    except AppError as error:
        _log.info("fees_not_read", account=work.key, code=error.code)
        return
    for one in loaded:
        await _booked(one, told, today, deps)


async def _told(loaded: list[Loaded], broker: BrokerProvider, deps: Deps) -> tuple[tuple[PastTrade, ...], date]:
    """Return the history since the first of the trades that are due, and the venue's day. Raises: UpstreamError."""
    now = deps.clock.now()
    today = calendar.new_york_date((await market_clock(broker, now=now)).market_at(now))
    days = [charging.first_day(one.view) for one in loaded if charging.is_over(one.view, today)]
    since = min((day for day in days if day is not None), default=None)
    return (() if since is None else await broker.history(since)), today


async def _booked(one: Loaded, told: tuple[PastTrade, ...], today: date, deps: Deps) -> None:
    trade = one.view.trade
    async with deps.db.for_user(trade.username) as unit:
        loaded = await store.lock_view(unit, trade.id)
        ours = (await store_contract.beside(unit, trade)).fills
        fees_usd = charging.told_usd(loaded.view, told, ours, today)
        if fees_usd is not None:
            moment = deps.moment(loaded)
            await saving.save(unit, loaded.view, charging.booked(loaded.view, fees_usd, moment.now), moment)


async def plan_jobs(deps: Deps) -> None:
    """See that the standing job exists, due at once. Idempotent: yes."""
    async with deps.db.for_worker() as unit:
        await unit.schedule(FIND, "all", None, replace=False)
