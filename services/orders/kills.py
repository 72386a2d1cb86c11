"""The kill switch: turned in one transaction, carried out by a job, trade by trade, as long as something is left.

| step     | mark                                       | what undoes it                                   | key      |
|----------|--------------------------------------------|--------------------------------------------------|----------|
| turn     | the switch's row, the trades it takes up   | nothing: releasing only lets new entries be sent | username |
| entries  | a close of each, and its flow              | a fill that is quicker is sold by the same close | trade    |
| holdings | the same, what may lose most first         | the sale is refused: protected, tried again      | trade    |
| confirm  | one order list tells of many cancels       | each flow reads its own order after a while      | account  |
| told     | the fact, when something moved             |                                                  | username |

1. Nothing is sent here: closes are asked for like a person's, and their flows do the rest.
2. Whoever stores an entry or marks it as sent holds the switch's row shared; so none is sent after it is engaged, and
   each sent before is taken up by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from libs.broker.base import BrokerProvider, Priority
from libs.broker.orders import OrderReport
from libs.broker.venue_clock import market_clock
from libs.common import log
from libs.common.db import Unit
from libs.common.errors import AppError, Expired, KillSwitchOn
from libs.common.handlers import Context
from libs.common.ids import new_id
from libs.common.jobs import Job, job
from libs.common.messages.safety import KillRow, KillState, KillSwitchChanged
from libs.market.clock import is_after_last_trade
from libs.market.options import OccSymbol
from services.orders import (
    killing,
    lifecycle,
    saving,
    sessions,
    store,
    store_accounts,
    store_audit,
    store_kills,
    store_signals,
)
from services.orders.deps import Deps
from services.orders.flow import JOB
from services.orders.killing import Doomed
from services.orders.reading import reports_of
from services.orders.steps import Moment
from services.orders.store_requests import Account

_log = log.get(__name__)

Hook = Callable[[Unit, str], Awaitable[None]]


async def _no_more_signals(unit: Unit, username: str) -> None:
    await store_signals.refuse_waiting(unit, username, KillSwitchOn(killing.KILLED))


ENGAGED: tuple[Hook, ...] = (_no_more_signals,)
"""What else ends with the switch, in its own transaction. The switch's row is locked before anything of theirs."""
TURNED = {True: "the kill switch was engaged", False: "the kill switch was released"}


@dataclass(frozen=True, slots=True)
class _Book:
    """What one run begins with. Time: `moment` is the database's."""

    username: str
    switch: store_kills.Switch
    doomed: tuple[Doomed, ...]
    accounts: tuple[Account, ...]
    moment: Moment

    def of(self, account: Account) -> tuple[Doomed, ...]:
        """Return the trades of one account."""
        key = (account.broker_mode, account.account_id)
        return tuple(row for row in self.doomed if (row.broker_mode, row.account_id) == key)

    def with_token(self, account: Account, deps: Deps) -> BrokerProvider:
        """Return the account at its venue, with an exit's right of way."""
        return deps.broker(account.broker_mode, account.account_id, account.token_ciphertext, Priority.EXIT)


# ── turned by a person ───────────────────────────────────────────────────────────────────────────────────────────────


async def turn(deps: Deps, ctx: Context, *, engaged: bool) -> None:
    """Engage or release in one transaction, with all that engaging takes up. Idempotent: yes. Raises: Expired."""
    async with deps.db.for_user(ctx.user) as unit:
        switch = await store_kills.lock(unit, ctx.user)
        if not engaged and ctx.deadline_at is not None and await unit.now() >= ctx.deadline_at:
            # Late, it might undo what somebody engaged since.
            raise Expired("the deadline had passed before the switch was released")
        if switch.engaged is not engaged:
            await store_kills.turn(unit, ctx.user, engaged=engaged)
            kind = "kill_switch_engaged" if engaged else "kill_switch_released"
            await store_audit.audited(unit, ctx.user, kind, TURNED[engaged], via=ctx.via)
        if engaged:
            await store_kills.take(unit, ctx.user, engaged=True)
            for hook in ENGAGED:
                await hook(unit, ctx.user)
        await _tell(unit, ctx.user)
        await unit.schedule(saving.KILL, ctx.user, None, user=ctx.user)


async def state(deps: Deps, username: str) -> KillState:
    """Read where everything stands."""
    async with deps.db.for_user(username) as unit:
        return await _state(unit, username, await store_kills.read(unit, username))


async def first_look(deps: Deps, username: str) -> None:
    """Wait a little until what the accounts hold beside our trades was looked at."""
    try:
        async with asyncio.timeout(deps.settings.order_waits.kill_answer_s):
            while True:
                async with deps.db.for_user(username) as unit:
                    if (await store_kills.read(unit, username)).looked_at is not None:
                        return
                await asyncio.sleep(0.05)
    except TimeoutError:
        return


async def _state(unit: Unit, username: str, switch: store_kills.Switch) -> KillState:
    doomed = await store_kills.doomed(unit, username)
    return killing.shown(doomed, switch.foreign, engaged=switch.engaged, changed_at=switch.changed_at)


async def _tell(unit: Unit, username: str) -> None:
    """Say where everything stands, if that is news. The switch's row is locked."""
    switch = await store_kills.read(unit, username)
    now = await _state(unit, username, switch)
    words = now.model_dump_json()
    if words != switch.told:
        version = await store_kills.told(unit, username, words)
        unit.emit(KillSwitchChanged(username=username, **dict(now)), key_version=version)


# ── carried out ──────────────────────────────────────────────────────────────────────────────────────────────────────


@job(saving.KILL, lease_s=9.0, longest_s=30.0, concurrency=8, retry_s=1.0, retry_max_s=5.0)
async def kill(work: Job, deps: Deps) -> timedelta | None:
    """Go on with one user's switch: begin what may begin, confirm what was cancelled, tell what moved."""
    username, waits = work.user or work.key, deps.settings.order_waits
    async with deps.db.for_user(username) as unit:
        switch = await store_kills.lock(unit, username)
        await store_kills.take(unit, username, engaged=switch.engaged)
        accounts = await store_accounts.accounts_of(unit, username)
        moment = Moment(await unit.now(), waits)
        book = _Book(username, switch, await store_kills.doomed(unit, username), accounts, moment)
    _, *begun = await asyncio.gather(_looked(deps, book), *(_of_account(deps, book, account) for account in accounts))
    async with deps.db.for_user(username) as unit:
        switch = await store_kills.lock(unit, username)
        await _tell(unit, username)
        left = await store_kills.doomed(unit, username)
    if not left and not switch.engaged:
        return None
    moving_s = waits.kill_soon_s if any(begun) else waits.kill_look_s
    return timedelta(seconds=moving_s if any(killing.moves(row) for row in left) else waits.kill_idle_s)


async def _of_account(deps: Deps, book: _Book, account: Account) -> bool:
    """Begin and confirm in one account, and say whether anything was begun.

    What its broker does not answer now is tried again by the next run.
    """
    rows, begun, trouble = book.of(account), 0, None
    if not rows:
        return False
    try:
        broker = book.with_token(account, deps)
        async with asyncio.timeout(deps.settings.order_waits.kill_read_s):
            begun = await _begin(deps, book, account, broker)
            leaving = [row for row in rows if row.has_leaving]
            if leaving:
                await _confirm(deps, book, leaving, await broker.orders())
    except (AppError, TimeoutError) as error:
        _log.warning("kill_waits", account_id=account.account_id, reason=str(error) or type(error).__name__)
        trouble = killing.trouble_of(error)
    if trouble is not None or any(row.trouble for row in rows):
        async with deps.db.for_user(book.username) as unit:
            await store_kills.troubled(unit, [row.trade_id for row in rows], trouble)
    return begun > 0


async def _begin(deps: Deps, book: _Book, account: Account, broker: BrokerProvider) -> int:
    """Ask for the end of what may begin: all entries, then so many holdings as sales can follow. Returns how many."""
    rows = book.of(account)
    entries = killing.entries_first(rows, book.moment)
    for row in entries:
        await _end(deps, book, row, is_open=True)
    begun = len(entries)
    if not killing.holdings(rows, book.moment):
        return begun
    clock, writes_left = await market_clock(broker, now=deps.clock.now()), await broker.writes_left(killing.ROOM_S)
    # A slow broker took its time for that: the sales that left meanwhile made room.
    rows = await _doomed(deps, book, account)
    room = killing.room(rows, writes_left)
    for row in killing.holdings(rows, book.moment):
        contract = OccSymbol.parse(row.occ_symbol)
        if is_after_last_trade(clock, contract, deps.clock.now()):
            continue
        is_open = sessions.is_open(deps, clock, row.broker_mode, contract)
        if is_open and room <= 0:
            continue
        await _end(deps, book, row, is_open=is_open)
        room -= is_open
        begun += 1
    return begun


async def _doomed(deps: Deps, book: _Book, account: Account) -> tuple[Doomed, ...]:
    async with deps.db.for_user(book.username) as unit:
        return replace(book, doomed=await store_kills.doomed(unit, book.username)).of(account)


async def _end(deps: Deps, book: _Book, row: Doomed, *, is_open: bool) -> None:
    """Ask for one trade's end, under its lock."""
    async with deps.db.for_user(book.username) as unit:
        loaded = await store.lock_view(unit, row.trade_id)
        moment = deps.moment(loaded)
        view = killing.begun(loaded.view, moment, is_open=is_open, new_id=new_id)
        if view is not loaded.view:
            await saving.save(unit, loaded.view, view, moment)
            await unit.schedule(JOB, row.trade_id, None, user=book.username, replace=False)


async def _confirm(deps: Deps, book: _Book, rows: list[Doomed], reports: tuple[OrderReport, ...]) -> None:
    """Apply one list to every trade with a cancel under way."""
    for row in rows:
        async with deps.db.for_user(book.username) as unit:
            loaded = await store.lock_view(unit, row.trade_id)
            moment = deps.moment(loaded)
            names = {order.group_order_id for order in loaded.view.orders} | {order.tag for order in loaded.view.orders}
            told = [report for report in reports if {report.id, report.tag} & names]
            found = tuple(one for report in told for one in reports_of(loaded.view.orders, report))
            view = lifecycle.applied(loaded.view, found, moment.now)
            if view.orders != loaded.view.orders:
                await saving.save(unit, loaded.view, view, moment)
                await unit.schedule(JOB, row.trade_id, None, user=book.username, replace=False)


# ── what is not ours ─────────────────────────────────────────────────────────────────────────────────────────────────


async def _looked(deps: Deps, book: _Book) -> None:
    """Look at what the accounts hold beside our trades, now and then; nothing of it is touched."""
    waits = deps.settings.order_waits
    if not book.switch.engaged or book.moment.at(book.switch.looked_at, waits.kill_foreign_s) is not None:
        return
    try:
        async with asyncio.timeout(waits.kill_read_s):
            found = await asyncio.gather(*(_foreign(deps, book, account) for account in book.accounts))
    except (AppError, TimeoutError) as error:
        _log.warning("kill_foreign_unknown", username=book.username, reason=str(error) or type(error).__name__)
        return
    async with deps.db.for_user(book.username) as unit:
        await store_kills.looked(unit, book.username, [row for rows in found for row in rows])


async def _foreign(deps: Deps, book: _Book, account: Account) -> tuple[KillRow, ...]:
    before = await _held(deps, account)
    positions = await book.with_token(account, deps).positions()
    return killing.foreign(account.broker_mode, account.account_id, positions, (before, await _held(deps, account)))


async def _held(deps: Deps, account: Account) -> dict[str, int | None]:
    async with deps.db.for_user(account.username) as unit:
        return await store_kills.held(unit, account.broker_mode, account.account_id)
