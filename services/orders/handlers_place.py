"""Placing: refuse what can be refused, store the intent, and answer once the entry is confirmed.

| step     | mark                                         | what undoes it                     | key             |
|----------|----------------------------------------------|------------------------------------|-----------------|
| checks   | none: a fresh quote and the venue's session  | nothing is stored, nothing is sent | Idempotency-Key |
| intent   | key, trade, entry order, capsule in one unit | `send_by`                          | Idempotency-Key |
| the flow | `flow.drive`, see there and `placement`      |                                    | order tag       |
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from libs.common.errors import (
    ContractInUse,
    Expired,
    InvalidInput,
    KillSwitchOn,
    LimitExceeded,
    NotFound,
)
from libs.common.handlers import Context, Reply, answers
from libs.common.ids import new_id, new_tag
from libs.common.messages.orders import PlaceTrade
from libs.common.messages.vocabulary import OrderStatus
from libs.common.metrics import METRICS
from libs.market import products
from services.orders import (
    accounts,
    brackets,
    checks,
    credentials,
    evidence,
    killing,
    limits,
    modes,
    requests,
    signals,
    store,
    store_evidence,
    store_requests,
    store_signals,
)
from services.orders.capsule import capsule_of
from services.orders.checks import Terms
from services.orders.deps import Deps
from services.orders.flow import JOB, Claim, drive
from services.orders.preferences import TradingSettings
from services.orders.store_requests import Account, Request, Standing
from services.orders.trade import Event, Trade, View

_REFUSED = METRICS.counter("limits_exceeded_total", "Trades refused by a limit, by which", ["limit"])


@dataclass(frozen=True, slots=True)
class _Asked:
    """Who asks for what, in which account."""

    command: PlaceTrade
    ctx: Context
    settings: TradingSettings
    account: Account
    bound: signals.Bound | None = None


@answers(PlaceTrade)
async def place_trade(command: PlaceTrade, ctx: Context, deps: Deps) -> Reply:
    """Place a protected trade. Idempotent: by its key."""
    return await place(command, ctx, deps)


async def place(command: PlaceTrade, ctx: Context, deps: Deps, bound: signals.Bound | None = None) -> Reply:
    """Place what a person asks for, or a bot's signal within its `bound`. Idempotent: by its key."""
    async with deps.db.for_user(ctx.user, ends_later=True) as unit:
        opening = await store_requests.opening(unit, ctx.user, command.idempotency_key)
    if opening.request is not None:
        return await requests.replayed(deps, command, ctx, opening.request)
    if opening.is_killed:
        raise KillSwitchOn(killing.KILLED)
    settings, account = await accounts.of_request(deps, ctx.user, opening, command.account_id)
    credentials.offered(deps, account.broker_mode)
    modes.refuse_unspoken(command, account.broker_mode)
    broker = deps.broker(account.broker_mode, account.account_id, account.token_ciphertext)
    terms = await checks.terms_of(command, settings, broker, deps, previews=True)
    signals.check_price(bound, terms.quote, terms.prices.limit)
    stored = await _intent(_Asked(command, ctx, settings, account, bound), terms, deps)
    if isinstance(stored, Request):
        return await requests.replayed(deps, command, ctx, stored)
    claim, view = stored
    with requests.already_stored(deps, ctx, command.idempotency_key):
        with deps.watches.on(view.trade.id, _entry_is_known) as watch:
            deps.spawn(drive(deps, claim), view)
            await watch.wait(partial(deps.look, view), deps.settings.place_answer_s)
        # Only that it was answered is stored: should that be lost, a repeat waits a little.
        async with deps.db.for_user(ctx.user, waits_for_disk=False, ends_later=True) as unit:
            request = requests.begun(command, ctx, command.idempotency_key, trade_id=view.trade.id, action_id=None)
            return await requests.answer(unit, ctx.user, request)


def _entry_is_known(view: View) -> bool:
    order = view.entry_orders[-1]
    return order.is_terminal or order.status is OrderStatus.UNKNOWN or order.confirmed_at is not None


# ── the intent ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _intent(asked: _Asked, terms: Terms, deps: Deps) -> tuple[Claim, View] | Request:
    """Store key, trade, entry and capsule in one unit under the account's lock; who has the key if it is taken."""
    command, ctx, account = asked.command, asked.ctx, asked.account
    trade_id = new_id()
    lease_s = deps.settings.lease_s
    ends = deps.clock.monotonic() + lease_s
    async with deps.db.for_user(ctx.user) as unit:
        request = requests.begun(command, ctx, command.idempotency_key, trade_id=None, action_id=None)
        if not await store_requests.reserve(unit, ctx.user, request):
            taken = (await store_requests.opening(unit, ctx.user, command.idempotency_key)).request
            assert taken is not None
            return taken
        admission = await store_requests.admit(unit, account)
        if admission.is_killed:
            raise KillSwitchOn(killing.KILLED)
        if not admission.has_account:
            raise NotFound(f"account {account.account_id} is gone")
        standing = await store_requests.standing(unit, account, str(terms.contract), day=terms.day, fresh=terms.fresh)
        if ctx.deadline_at is not None and standing.now >= ctx.deadline_at:
            raise Expired("the deadline had passed before the order was placed")
        settings = _still_allowed(asked, terms, standing)
        terms.still_good(deps)
        trade = _trade(asked, terms, trade_id, standing.now)
        waits = deps.settings.order_waits
        planned, holds_s = standing.now + timedelta(seconds=waits.send_by_s), timedelta(seconds=waits.signal_price_s)
        policy = settings.policy()
        orders = brackets.entry_orders(
            trade,
            policy,
            as_group=settings.otoco == "limit_entries",
            new_id=new_id,
            tag=new_tag(),
            send_by=signals.send_by(planned, asked.bound, standing.now + holds_s),
            now=standing.now,
        )
        text = f"{ctx.user} asks for {trade.qty} {trade.occ_symbol}, {trade.entry_type} entry"
        view = View(trade=trade, policy=policy, account_name=account.account_name).noting(
            Event(kind="asked", actor="user", text=text, data={"via": ctx.via})
        )
        base = terms.base
        if base.holding is not None and base.holding.qty:
            others = (await store_evidence.known(unit, view, base.venue_at)).holdings
            base = replace(base, held_by_others=others.get(trade.occ_symbol, 0))
        view = replace(view, orders=evidence.based(view, orders, base))
        capsule = capsule_of(command, terms.quote)
        # Should this process die now, somebody looks when its claim is over.
        await unit.schedule(JOB, trade_id, standing.now + timedelta(seconds=lease_s + 0.1), user=ctx.user)
        view = await store.insert_trade(unit, view, capsule, key=command.idempotency_key, lease_s=lease_s)
        await store_signals.begin(unit, asked.bound, trade_id)
    await deps.beats.at("orders.place.intent")
    return Claim(trade_id, ctx.user, 1, ends), view


def _still_allowed(asked: _Asked, terms: Terms, standing: Standing) -> TradingSettings:
    """Hold the trade to the settings as they are now. Raises: ContractInUse, LimitExceeded, InvalidInput, Forbidden."""
    settings, account = TradingSettings.model_validate(standing.settings), asked.account
    if settings.broker_mode is not account.broker_mode:
        raise InvalidInput(f"the mode was changed to {settings.broker_mode} meanwhile; nothing was done")
    signals.check_unapproved(asked.bound, settings.signal_mode)
    if standing.contract_in_use:
        raise ContractInUse(f"another open trade has {terms.contract} in account {account.account_id}")
    if terms.live_there:
        raise ContractInUse(f"order {terms.live_there[0]} works in {terms.contract} at the broker")
    try:
        limits.check(settings, standing.exposure, terms.wanted(asked.command))
    except LimitExceeded as error:
        _REFUSED.labels(error.extra["limit"]).inc()
        raise
    return settings


def _trade(asked: _Asked, terms: Terms, trade_id: str, now: datetime) -> Trade:
    command, account = asked.command, asked.account
    return Trade(
        id=trade_id,
        username=asked.ctx.user,
        idempotency_key=command.idempotency_key,
        broker_mode=account.broker_mode,
        account_id=account.account_id,
        ticker=products.underlying_of(terms.contract.root),
        occ_symbol=str(terms.contract),
        option_type=command.option_type,
        strike=command.strike,
        expiry=command.expiry,
        multiplier=terms.multiplier,
        qty=command.qty,
        entry_type=command.entry.type,
        limit_price=terms.prices.limit,
        entry_duration=command.entry.duration,
        reference_price=terms.prices.reference,
        sl_price=terms.prices.sl,
        tp_price=terms.prices.tp,
        strategy=command.strategy,
        card_score=command.card_score,
        ai_score=command.ai_score,
        ai_verdict=command.ai_verdict,
        gate_verdict=command.gate_verdict,
        technical_score=command.technical_score,
        sentiment_score=command.sentiment_score,
        created_at=now,
    )
