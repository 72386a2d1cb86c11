"""Close, adjust and withdraw: what a person asks of a placed trade, by the version they saw."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import orjson

from libs.broker.base import Priority
from libs.broker.reports import Quote
from libs.common.db import Unit
from libs.common.errors import Expired, FlowRunning, IllegalTransition, KillSwitchOn, StaleVersion
from libs.common.handlers import Context, Reply, answers
from libs.common.ids import new_id
from libs.common.messages.orders import AdjustTrade, CloseTrade, WithdrawTrade
from libs.common.messages.vocabulary import CloseReason, Protection, TradeStatus
from libs.market.clock import is_after_last_trade
from libs.market.options import OccSymbol
from services.orders import (
    asking,
    brackets,
    closing,
    requests,
    saving,
    sessions,
    store,
    store_kills,
    store_lists,
    store_requests,
    talk,
)
from services.orders.deps import Deps
from services.orders.flow import JOB, Claim, begin, drive
from services.orders.plan import is_running
from services.orders.steps import Moment
from services.orders.store import Loaded
from services.orders.store_requests import Request
from services.orders.trade import ActionState, Event, View

Asked = CloseTrade | AdjustTrade | WithdrawTrade


@dataclass(frozen=True, slots=True)
class _Market:
    """The contract's market around a request. `is_open` is None where nobody needed to ask."""

    is_open: bool | None = None
    is_over: bool = False
    quote: Quote | None = None


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the request led to: a claimed flow to drive here, or nothing to wait for."""

    view: View
    action_id: str | None
    claim: Claim | None = None


@answers(CloseTrade)
async def close_trade(command: CloseTrade, ctx: Context, deps: Deps) -> Reply:
    """Sell what is held, or cancel what works. Idempotent: by its key."""
    return await _carried_out(command, ctx, deps)


@answers(AdjustTrade)
async def adjust_trade(command: AdjustTrade, ctx: Context, deps: Deps) -> Reply:
    """Replace the bracket. Idempotent: by its key."""
    return await _carried_out(command, ctx, deps)


@answers(WithdrawTrade)
async def withdraw_trade(command: WithdrawTrade, ctx: Context, deps: Deps) -> Reply:
    """Take back an action that waits for the open. Idempotent: by its key."""
    return await _carried_out(command, ctx, deps)


async def _carried_out(command: Asked, ctx: Context, deps: Deps) -> Reply:
    async with deps.db.for_user(ctx.user, ends_later=True) as unit:
        first = await store.read_asked(unit, command.trade_id, ctx.user, command.idempotency_key)
        if isinstance(first, Loaded):
            await _check_version(unit, command, first.view)
    if isinstance(first, Request):
        return await requests.replayed(deps, command, ctx, first)
    market = await _market(deps, command, first)
    stored = await _store(command, ctx, deps, market)
    if isinstance(stored, Request):
        return await requests.replayed(deps, command, ctx, stored)
    with requests.already_stored(deps, ctx, command.idempotency_key):
        await _waited(deps, stored)
        # Only that it was answered is stored: should that be lost, a repeat waits a little.
        async with deps.db.for_user(ctx.user, waits_for_disk=False, ends_later=True) as unit:
            key = command.idempotency_key
            request = requests.begun(command, ctx, key, trade_id=command.trade_id, action_id=stored.action_id)
            return await requests.answer(unit, ctx.user, request)


async def _waited(deps: Deps, stored: _Stored) -> None:
    """Drive what began, and wait for its end for a while; what is only stored is answered at once."""
    action = stored.view.running
    own_id = action.id if action is not None and action.id == stored.action_id else None
    with deps.watches.on(stored.view.trade.id, lambda view: own_id not in {a.id for a in view.actions}) as watch:
        if stored.claim is not None:
            deps.spawn(drive(deps, stored.claim), stored.view)
        if own_id is not None:
            await watch.wait(partial(deps.look, stored.view), deps.settings.action_answer_s)


async def _check_version(unit: Unit, command: Asked, view: View) -> None:
    """Compare what the caller saw with what is. Raises: StaleVersion with the current trade."""
    if isinstance(command, WithdrawTrade) or command.version == view.trade.version:
        return
    current: Any = orjson.loads(await store_lists.detail(unit, view.trade.id) or b"null")
    detail = f"the trade is at version {view.trade.version}, the request saw {command.version}"
    raise StaleVersion(detail, current=current)


async def _market(deps: Deps, command: Asked, loaded: Loaded) -> _Market:
    """Take quote and session where the request depends on them."""
    trade = loaded.view.trade
    if isinstance(command, WithdrawTrade) or loaded.view.held_qty <= 0:
        return _Market()
    contract = OccSymbol.parse(trade.occ_symbol)
    broker = deps.broker_of(loaded, Priority.EXIT)
    broker.will_write()
    quotes, clock = await talk.market_of(broker, (trade.occ_symbol,), deps.clock.now())
    return _Market(
        is_open=sessions.is_open(deps, clock, trade.broker_mode, contract),
        is_over=is_after_last_trade(clock, contract, deps.clock.now()),
        quote=quotes.get(trade.occ_symbol),
    )


async def _store(command: Asked, ctx: Context, deps: Deps, market: _Market) -> _Stored | Request:
    """Decide under the trade's lock and store what was asked, with its key."""
    ends = deps.clock.monotonic() + deps.settings.lease_s
    async with deps.db.for_user(ctx.user) as unit:
        loaded = await store.lock_view(unit, command.trade_id)
        action_id = None if isinstance(command, WithdrawTrade) else new_id()
        key = command.idempotency_key
        request = requests.begun(command, ctx, key, trade_id=command.trade_id, action_id=action_id)
        if not await store_requests.reserve(unit, ctx.user, request):
            taken = (await store_requests.opening(unit, ctx.user, key)).request
            assert taken is not None
            return taken
        if ctx.deadline_at is not None and loaded.now >= ctx.deadline_at:
            raise Expired("the deadline had passed before anything was done")
        if isinstance(command, WithdrawTrade):
            await _let_live(unit, loaded.view)
        await _check_version(unit, command, loaded.view)
        view = _decided(command, _Case(loaded.view, market, action_id or "", deps.moment(loaded), ctx.via))
        begins = view.running is not None and view.running != loaded.view.running
        begins = begins and loaded.view.flow.claim_ends(loaded.now) is None
        await _plan_next(unit, deps, loaded, view, claimed=begins)
        # What runs now is stored with what comes first of it.
        claim = await begin(unit, deps, loaded, view, ends) if begins else None
        if claim is None or claim.first is None:
            stored = await saving.save(unit, loaded.view, view, deps.moment(loaded))
        else:
            stored = claim.first.loaded.view
    return _Stored(stored, action_id, claim)


async def _let_live(unit: Unit, view: View) -> None:
    """Let a sale of the kill switch be taken back once that is released. Raises: KillSwitchOn while it is engaged."""
    close = view.close_action
    if close is not None and close.reason is CloseReason.KILL_SWITCH:
        if await store_kills.is_engaged(unit, view.trade.username):
            raise KillSwitchOn("the kill switch sells this; it can be taken back once the switch is released")
        await store_kills.withdrawn(unit, view.trade.id)


async def _plan_next(unit: Unit, deps: Deps, loaded: Loaded, view: View, *, claimed: bool) -> None:
    if claimed:
        due_at = loaded.now + timedelta(seconds=deps.settings.lease_s + 0.1)
    elif view.queued is not None:
        due_at = view.queued.due_at or loaded.now
    else:
        due_at = loaded.now
    await unit.schedule(JOB, view.trade.id, due_at, user=view.trade.username, replace=False)


# ── decisions under the lock ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class _Case:
    """A trade under its lock, the market around it, and the id the action would have."""

    view: View
    market: _Market
    action_id: str
    moment: Moment
    via: str | None


def _decided(command: Asked, case: _Case) -> View:
    trade = case.view.trade
    if trade.status is TradeStatus.CLOSED:
        raise IllegalTransition(f"the trade is over: {trade.close_reason}")
    event = Event(kind="asked", actor="user", text=_words(command), data={"via": case.via})
    case = replace(case, view=case.view.noting(event))
    match command:
        case WithdrawTrade():
            return _withdrawn(case)
        case CloseTrade():
            return _closing(case)
        case AdjustTrade():
            return _adjusting(case, command)


def _words(command: Asked) -> str:
    if isinstance(command, AdjustTrade):
        moved = (("stop", command.new_sl), ("target", command.new_tp))
        return "asked to move " + " and ".join(f"the {name} to {price}" for name, price in moved if price is not None)
    return "asked to close" if isinstance(command, CloseTrade) else "asked to withdraw what waits"


def _withdrawn(case: _Case) -> View:
    queued = case.view.queued
    if queued is None:
        unbid = closing.unbid(case.view)
        if unbid is None:
            raise IllegalTransition("nothing of this trade waits for the open or for a bid")
        return asking.taken_back(case.view, unbid.id)
    return asking.acted(asking.ended(case.view, queued.id, ActionState.WITHDRAWN, case.moment.now))


def _closing(case: _Case) -> View:
    view, now = case.view, case.moment.now
    if case.market.is_over:
        raise IllegalTransition(f"{view.trade.occ_symbol} trades no more; the trade settles by itself")
    if view.queued is not None:
        view = asking.ended(view, view.queued.id, ActionState.WITHDRAWN, now, words="a close came")
    if view.close_action is not None:
        raise FlowRunning("this trade is being closed already")
    if view.held_qty > 0 and case.market.is_open is False:
        state = ActionState.QUEUED
    else:
        state = ActionState.REQUESTED if is_running(view, case.moment) else ActionState.RUNNING
    if view.trade.protection is Protection.PROTECTED:
        view = replace(view, trade=replace(view.trade, override_count=view.trade.override_count + 1))
    reason = CloseReason.MANUAL_CLOSE
    return asking.with_close(asking.acted(view), action_id=case.action_id, reason=reason, state=state, now=now)


def _adjusting(case: _Case, command: AdjustTrade) -> View:
    view, market, now = case.view, case.market, case.moment.now
    if market.is_over:
        raise IllegalTransition(f"{view.trade.occ_symbol} trades no more; its exits cannot be moved")
    if view.queued is not None or view.close_action is not None or is_running(view, case.moment):
        raise FlowRunning("another action on this trade is running")
    sl, tp = brackets.adjust_prices(view, command.new_sl, command.new_tp, market.quote)
    state = ActionState.QUEUED if market.is_open is False else ActionState.RUNNING
    asked = asking.with_adjust(asking.acted(view), action_id=case.action_id, sl=sl, tp=tp, state=state, now=now)
    if view.held_qty > 0 and view.entry_is_over:
        return asked
    # No exits rest yet: those that will be placed are what the trade says.
    return asking.repriced(asked, case.action_id, sl, tp, now)
