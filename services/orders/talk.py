"""The steps of a flow that talk to the broker: each call outside any transaction, each answer as what it changes.

A write goes out at most once for one intent: it is marked `SENT` and committed before this module is called, and what
comes of it is one of four: received, refused, provably not sent, unknown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from libs.broker.base import BrokerProvider, Priority
from libs.broker.reports import Quote
from libs.broker.venue_clock import market_clock
from libs.common.clock import Clock
from libs.common.errors import (
    AppError,
    Expired,
    InvalidInput,
    LiveNotEnabled,
    OutcomeUnknown,
    UpstreamAuth,
    UpstreamRefused,
    UpstreamUnavailable,
)
from libs.common.ids import new_id, new_tag
from libs.common.messages.vocabulary import CloseReason, OrderRole
from libs.market.clock import MarketClock
from libs.market.options import OccSymbol
from services.orders import (
    asking,
    brackets,
    evidence,
    lifecycle,
    looking,
    mending,
    placement,
    protecting,
    protection,
    repairing,
    sessions,
    sights,
)
from services.orders.brackets import NoMarket, StopPassed
from services.orders.deps import Deps
from services.orders.reading import reports_of
from services.orders.repairing import Looked
from services.orders.steps import (
    Cancel,
    CheckOpen,
    Inspect,
    Look,
    LookAgain,
    Moment,
    Outcome,
    PlaceBracket,
    PlaceCover,
    PlaceSell,
    Question,
    Read,
    ResendEntry,
    Send,
    Talk,
)
from services.orders.store import Loaded
from services.orders.trade import ActionState, Event, View

REFUSALS = (UpstreamRefused, UpstreamAuth, LiveNotEnabled, InvalidInput)
"""How a write ends that provably did not happen, in somebody's words."""


async def perform(step: Talk, loaded: Loaded, deps: Deps, *, claim_ends: float) -> Outcome:
    """Carry out one step. Time: `claim_ends` is when our claim is over, by the monotonic clock."""
    is_entry = isinstance(step, ResendEntry) or (
        isinstance(step, Send) and any(order.role is OrderRole.ENTRY for order in loaded.view.by_tag(step.tag))
    )
    try:
        broker = deps.broker_of(loaded, Priority.ENTRY if is_entry else Priority.EXIT)
    except AppError as error:
        return _stuck(step, error)
    if isinstance(step, Send):
        return await _send(step, loaded, broker, deps.clock, claim_ends)
    if isinstance(step, Cancel):
        return await _cancel(step, broker, deps.clock, claim_ends)
    try:
        return await _asked(step, loaded, broker, deps)
    except AppError as error:
        return _stuck(step, error)


async def _asked(step: Question, loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:  # noqa: PLR0911
    """Ask what a step needs to know. Raises: whatever keeps it from being known; it is tried again."""
    match step:
        case Look():
            return await _look(step, loaded, broker, deps)
        case Read():
            return await _read(step, broker)
        case PlaceBracket():
            return await _bracket(step, loaded, broker, deps)
        case PlaceSell():
            return await _sell(loaded, broker, deps)
        case ResendEntry():
            return await _entry_again(step, loaded, broker, deps)
        case PlaceCover():
            return await _cover(loaded, broker, deps)
        case Inspect():
            return await mending.inspected(step, loaded, broker, deps)
        case LookAgain():
            return await mending.looked_again(loaded, broker, deps)
        case CheckOpen():
            return await _check_open(step, loaded, broker, deps)


# ── writes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _send(step: Send, loaded: Loaded, broker: BrokerProvider, clock: Clock, claim_ends: float) -> Outcome:
    orders = loaded.view.by_tag(step.tag)
    send_by = next((order.send_by for order in orders if order.send_by), None)

    async def last_check() -> None:
        if clock.monotonic() >= claim_ends:
            raise Expired("the claim was over before the order could be sent")
        if send_by is not None and clock.now() >= send_by:
            raise Expired("the time to send it was over")

    try:
        placed = await broker.place(brackets.request_of(loaded.view.trade, orders), before_send=last_check)
    except (UpstreamUnavailable, Expired) as error:
        return _ended(step.tag, lifecycle.not_sent, error.detail)
    except REFUSALS as error:
        return _ended(step.tag, lifecycle.refused, error.detail)
    except OutcomeUnknown as error:
        words = error.detail
        return Outcome(lambda view, moment: lifecycle.unknown(view, step.tag, words, moment.now), is_fact=True)
    return Outcome(lambda v, m: lifecycle.accepted(v, step.tag, placed.id, m.now), is_fact=True, to_read=placed.id)


def _ended(tag: str, settle: Callable[[View, str, str, datetime], View], words: str) -> Outcome:
    """Record how a write ended, unless somebody else settled it meanwhile."""

    def apply(view: View, moment: Moment) -> View:
        return settle(view, tag, words, moment.now) if any(order.is_unanswered for order in view.by_tag(tag)) else view

    return Outcome(apply, is_fact=True)


async def _cancel(step: Cancel, broker: BrokerProvider, clock: Clock, claim_ends: float) -> Outcome:
    async def last_check() -> None:
        if clock.monotonic() >= claim_ends:
            raise Expired("the claim was over before the cancel could be sent")

    try:
        await broker.cancel(step.group_order_id, before_send=last_check)
    except AppError as error:
        event = Event(kind="cancel_unclear", text=f"cancel of {step.group_order_id}: {error.detail}")
        return Outcome(lambda view, _: view.noting(event))
    return Outcome(lambda view, _: view, to_read=step.group_order_id)


# ── reads ────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _look(step: Look, loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    seen = await sights.look(broker, loaded, deps)
    return Outcome(lambda view, moment: evidence.judged(view, step.tag, seen, moment))


async def _read(step: Read, broker: BrokerProvider) -> Outcome:
    report = await broker.order(step.group_order_id)

    def apply(view: View, moment: Moment) -> View:
        found = reports_of(view.orders, report)
        if not found:
            return looking.read_in_vain(view, step.group_order_id, moment.now)
        return lifecycle.applied(view, found, moment.now)

    return Outcome(apply, is_fact=True)


def _stuck(step: Talk, error: AppError) -> Outcome:
    """Note that a call led to nothing, so that the next one waits a little."""
    match step:
        case Look():
            return Outcome(lambda view, moment: looking.looked_in_vain(view, step.tag, moment.now))
        case Read():
            return Outcome(lambda view, moment: looking.read_in_vain(view, step.group_order_id, moment.now))
        case Send():
            return _ended(step.tag, lifecycle.not_sent, error.detail)
        case _:
            return Outcome(lambda view, _: view, pause_s=2.0)


# ── what needs a fresh quote ─────────────────────────────────────────────────────────────────────────────────────────


async def market_of(
    broker: BrokerProvider, symbols: tuple[str, ...], now: datetime, *, greeks: bool = False
) -> tuple[dict[str, Quote], MarketClock]:
    """Take fresh quotes and the venue's clock, at the same time. Raises: UpstreamUnavailable, UpstreamAuth."""
    quotes, clock = await asyncio.gather(broker.quotes(symbols, greeks=greeks), market_clock(broker, now=now))
    return quotes, clock


async def _bracket(step: PlaceBracket, loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    trade = loaded.view.trade
    contract = OccSymbol.parse(trade.occ_symbol)
    quotes, clock, base = await sights.market_of(broker, loaded, deps)
    if not sessions.is_open(deps, clock, trade.broker_mode, contract):
        return Outcome(lambda view, _: view, pause_s=sessions.until_open(deps, clock, contract))
    looked = await mending.looked_before(loaded, broker, deps)
    if isinstance(looked, Outcome):
        return looked
    quote = quotes.get(trade.occ_symbol)
    if step.sl is not None and (quote is None or not quote.has_market):
        return Outcome(lambda view, _: view, pause_s=1.0)
    passed = step.sl is not None and quote is not None and step.sl >= (quote.bid or 0)
    if passed and protecting.refused_sale(loaded.view, deps.moment(loaded)) is not None:
        return Outcome(lambda view, _: view, pause_s=2.0)

    def judge(looked: Looked | None) -> Callable[[View, Moment], View]:
        def apply(view: View, moment: Moment) -> View:
            view = view if looked is None else repairing.known(view, looked, moment, new_id=new_id)
            if looked is not None and not repairing.may_protect(view):
                return view
            made = brackets.bracket_orders(view, step.sl, step.tp, quote, new_id=new_id, tag=new_tag(), now=moment.now)
            if isinstance(made, StopPassed):
                return asking.with_close(
                    view,
                    action_id=new_id(),
                    reason=CloseReason.SL_HIT,
                    state=ActionState.RUNNING,
                    now=moment.now,
                    words=f"the stop {made.stop} is passed, bid {made.bid}",
                )
            return view if isinstance(made, NoMarket) else looking.with_orders(view, evidence.based(view, made, base))

        return apply

    return Outcome(judge(None)) if looked is None else mending.among(judge, looked)


async def _cover(loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    contract = OccSymbol.parse(loaded.view.trade.occ_symbol)
    quotes, clock, base = await sights.market_of(broker, loaded, deps)
    if not sessions.is_open(deps, clock, loaded.view.trade.broker_mode, contract):
        return Outcome(lambda view, _: view, pause_s=sessions.until_open(deps, clock, contract))
    return await mending.covered(loaded, quotes.get(str(contract)), base, broker, deps)


async def _sell(loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    trade = loaded.view.trade
    contract = OccSymbol.parse(trade.occ_symbol)
    quotes, clock, base = await sights.market_of(broker, loaded, deps)
    if not sessions.is_open(deps, clock, trade.broker_mode, contract):
        return Outcome(lambda view, _: view, pause_s=sessions.until_open(deps, clock, contract))
    quote = quotes.get(trade.occ_symbol)
    looked = await mending.looked_before_sale(loaded, broker, deps)

    def judge(looked: Looked | None) -> mending.Judged:
        def apply(view: View, moment: Moment) -> View:
            if looked is not None:
                view = repairing.known(view, looked, moment, new_id=new_id)
                if (unsold := mending.unsold(view, moment)) is not None:
                    return unsold
            made = brackets.sell_order(view, quote, order_id=new_id(), tag=new_tag(), now=moment.now)
            if isinstance(made, NoMarket):
                return view
            return looking.with_orders(view, evidence.based(view, (made,), base))

        return apply

    pause_s = 0.0 if quote is not None and quote.has_market else 1.0
    return Outcome(judge(None), pause_s=pause_s) if looked is None else mending.among(judge, looked, pause_s=pause_s)


async def _entry_again(step: ResendEntry, loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    _, _, base = await sights.market_of(broker, loaded, deps)

    def apply(view: View, moment: Moment) -> View:
        if not (view.entry_is_over and protection.may_resend_entry(view)):
            return view
        due = placement.send_by(view, moment)
        made = brackets.entry_again(view, step.price, new_id=new_id, tag=new_tag(), send_by=due, now=moment.now)
        return looking.with_orders(view, evidence.based(view, made, base))

    return Outcome(apply)


async def _check_open(step: CheckOpen, loaded: Loaded, broker: BrokerProvider, deps: Deps) -> Outcome:
    """See a session open with a two-sided quote, twice, a settling time apart."""
    trade, waits = loaded.view.trade, deps.settings.order_waits
    contract = OccSymbol.parse(trade.occ_symbol)
    quotes, clock = await market_of(broker, (trade.occ_symbol,), deps.clock.now())
    opened = sessions.is_open(deps, clock, trade.broker_mode, contract)
    quote = quotes.get(trade.occ_symbol)
    ready = opened and quote is not None and bool(quote.bid) and bool(quote.ask)
    wait_s = waits.queue_poll_s if opened else sessions.until_open(deps, clock, contract)
    return Outcome(lambda view, moment: looking.queue_checked(view, step.action_id, moment, ready=ready, wait_s=wait_s))
