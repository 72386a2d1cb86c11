"""Resolve: what a person says of a write that evidence could not settle, checked at the broker before it counts.

| step  | mark                          | what undoes it                                    | key             |
|-------|-------------------------------|---------------------------------------------------|-----------------|
| read  | none: the order by its id, or the lists and positions | what does not fit is refused | Idempotency-Key |
| store | adopted, or never placed      | nothing: what the broker shows later counts       | Idempotency-Key |
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace

from libs.broker.base import BrokerProvider, Priority
from libs.broker.orders import OrderReport
from libs.common.errors import Expired, InvalidInput, NotFound
from libs.common.handlers import Context, Reply, answers
from libs.common.ids import new_id
from libs.common.messages.orders import ResolveTrade
from libs.common.messages.vocabulary import OrderStatus
from services.orders import (
    asking,
    gone,
    mending,
    requests,
    resolving,
    saving,
    sights,
    store,
    store_contract,
    store_evidence,
    store_requests,
)
from services.orders.deps import Deps
from services.orders.evidence import Seen
from services.orders.flow import JOB
from services.orders.repairing import Looked
from services.orders.resolving import Asker
from services.orders.steps import Moment
from services.orders.store import Loaded
from services.orders.store_requests import Request
from services.orders.trade import View

MAX_ID_DIGITS = 20


@dataclass(frozen=True, slots=True)
class _Found:
    """What the broker shows: the named order and whose it is by our rows, or everything."""

    report: OrderReport | None = None
    owner: tuple[str, str] | None = None
    seen: tuple[Seen, ...] = ()
    looks: tuple[Looked, Looked] | None = None
    """Of a trade without an unknown write: what it holds may be gone."""


@answers(ResolveTrade)
async def resolve_trade(command: ResolveTrade, ctx: Context, deps: Deps) -> Reply:
    """Settle an unknown write by what a person found at the broker. Idempotent: by its key."""
    async with deps.db.for_user(ctx.user) as unit:
        first = (await store_requests.opening(unit, ctx.user, command.idempotency_key)).request
        loaded = await store.read_view(unit, command.trade_id) if first is None else None
    if first is not None or loaded is None:
        assert first is not None
        return await requests.replayed(deps, command, ctx, first)
    found = await (_found if _has_unknown(loaded.view) else _looked)(command, loaded, deps)
    _judged(command, loaded.view, found, ctx, deps.moment(loaded))
    taken = await _store(command, ctx, deps, found)
    if taken is not None:
        return await requests.replayed(deps, command, ctx, taken)
    with requests.already_stored(deps, ctx, command.idempotency_key):
        return await requests.present(deps, ctx, command.idempotency_key)


def _has_unknown(view: View) -> bool:
    return any(order.status is OrderStatus.UNKNOWN for order in view.orders)


async def _looked(command: ResolveTrade, loaded: Loaded, deps: Deps) -> _Found:
    """Look at the contract, twice where no order is named. Raises: IllegalTransition, UpstreamUnavailable."""
    gone.check_holds(loaded.view)
    broker = deps.broker_of(loaded, Priority.EXIT)
    first = again = await mending.look(loaded.view, _number(command), broker, deps)
    if command.broker_order_id is None:
        await asyncio.sleep(deps.settings.order_waits.look_gap_exit_s)
        again = await mending.look(loaded.view, None, broker, deps)
    return _Found(looks=(first, again))


def _number(command: ResolveTrade) -> str | None:
    named = command.broker_order_id
    if named is not None and (not named.isdecimal() or len(named) > MAX_ID_DIGITS):
        raise InvalidInput(f"an order of the broker is named by its number, was {named[:40]!r}")
    return named


async def _found(command: ResolveTrade, loaded: Loaded, deps: Deps) -> _Found:
    """Ask the broker. Raises: InvalidInput, UpstreamUnavailable, UpstreamAuth."""
    broker = deps.broker_of(loaded, Priority.EXIT)
    named = _number(command)
    if named is None:
        seen = await _seen(loaded, broker, deps)
        if not resolving.is_short_of(loaded.view, seen, deps.moment(loaded)):
            return _Found(seen=(seen,))
        await asyncio.sleep(deps.settings.order_waits.look_gap_exit_s)
        return _Found(seen=(seen, await _seen(loaded, broker, deps)))
    try:
        report = await broker.order(named)
    except NotFound:
        raise InvalidInput(f"the broker knows no order {named} in account {loaded.view.trade.account_id}") from None
    async with deps.db.for_user(loaded.view.trade.username) as unit:
        owner = await store_evidence.owner_of(unit, loaded.view.trade, report.id)
    return _Found(report=report, owner=owner)


async def _seen(loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Seen:
    seen = await sights.look(broker, loaded, deps)
    earlier = await mending.sold_earlier(loaded.view, await deps.beside(loaded.view), broker, deps)
    return replace(seen, orders=(*seen.orders, *earlier))


def _judged(command: ResolveTrade, view: View, found: _Found, ctx: Context, moment: Moment) -> View:
    """Check what was said against what was found, and settle. Raises: IllegalTransition, InvalidInput."""
    asker = resolving.Asker(ctx.user, ctx.via)
    if found.looks is not None:
        settled = _gone(command, view, found.looks, asker, moment)
    elif found.report is not None:
        tag = resolving.named(view, found.report, found.owner, moment)
        settled = resolving.as_named(view, tag, found.report, asker, moment)
    else:
        missing = resolving.check_none(view, found.seen, moment)
        settled = resolving.as_none(view, asker, moment, missing=missing)
    return settled if view.trade.is_locked else asking.acted(settled)


def _gone(command: ResolveTrade, view: View, looks: tuple[Looked, Looked], by: Asker, moment: Moment) -> View:
    if _has_unknown(view):
        raise InvalidInput("an order of this trade has just become unknown; ask again")
    if command.broker_order_id is None:
        return gone.as_gone(view, looks, by, moment, new_id=new_id)
    return gone.as_sold(view, command.broker_order_id, looks[1], by, moment, new_id=new_id)


async def _store(command: ResolveTrade, ctx: Context, deps: Deps, found: _Found) -> Request | None:
    """Judge again under the trade's lock and store it with its key; who has the key if it is taken."""
    key = command.idempotency_key
    async with deps.db.for_user(ctx.user) as unit:
        loaded = await store.lock_view(unit, command.trade_id)
        request = requests.begun(command, ctx, key, trade_id=command.trade_id, action_id=None)
        if not await store_requests.reserve(unit, ctx.user, request):
            return (await store_requests.opening(unit, ctx.user, key)).request
        if ctx.deadline_at is not None and loaded.now >= ctx.deadline_at:
            raise Expired("the deadline had passed before anything was done")
        if found.report is not None:
            # Somebody else may have adopted it since it was read.
            found = replace(found, owner=await store_evidence.owner_of(unit, loaded.view.trade, found.report.id))
        if found.looks is not None:
            # Nor is one sale the end of two trades: what others have taken is read again.
            taken = await store_contract.beside(unit, loaded.view.trade, locks=True)
            found = replace(found, looks=(found.looks[0].beside_of(taken), found.looks[1].beside_of(taken)))
        moment = deps.moment(loaded)
        view = _judged(command, loaded.view, found, ctx, moment)
        await saving.save(unit, loaded.view, view, moment)
        await unit.schedule(JOB, view.trade.id, None, user=ctx.user)
    await deps.beats.at("orders.resolve.stored")
    return None
