"""Drives one trade: load under the lock, ask what is next, do it, record it, until there is something to wait for.

One transaction per broker call: it records the last answer, decides, and marks the next call. Whoever drives holds a
claim by the database's time; a crash at any mark leaves stored state from which the next claimant goes on.

| mark      | committed before                     | a crash after it                                    |
|-----------|--------------------------------------|-----------------------------------------------------|
| intent    | anything is sent                     | the intent is sent, or voided when its time is over |
| sent      | the socket is written                | unknown: settled by evidence                        |
| answered  | nothing: the call is over            | unknown: settled by evidence                        |
| recorded  | the next step                        | the next step                                       |
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from libs.common.db import Unit
from libs.common.errors import InvariantBroken, NotFound
from libs.common.ids import new_id, new_tag
from libs.common.messages.vocabulary import BrokerMode, OrderRole
from services.orders import (
    closing,
    concerns,
    deciding,
    killing,
    lifecycle,
    saving,
    store,
    store_accounts,
    store_contract,
    store_kills,
    talk,
)
from services.orders.ahead import Ahead
from services.orders.deps import Deps
from services.orders.plan import next_step, once_cancelled
from services.orders.steps import Cancel, Moment, Outcome, Question, Read, Send, Step, Talk, Wait
from services.orders.store import Loaded
from services.orders.trade import Event, View

JOB = saving.ADVANCE
MAX_DECISIONS = 20
"""More decisions without a call or a wait between them are a loop, which is our bug."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What one transaction led to: a call to make, or a pause until `due_at` (None: until news)."""

    loaded: Loaded
    call: Talk | None = None
    ends: float = 0.0
    due_at: datetime | None = None
    again: bool = False
    nap_s: float = 0.0
    """How long to wait under the same claim; 0: not."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to drive a trade. Time: `ends` by the monotonic clock, taken before the database was asked.

    `first` is what was decided in the transaction of the claim itself.
    """

    trade_id: str
    username: str
    run: int
    ends: float
    first: Turn | None = None


async def drive(deps: Deps, claim: Claim) -> datetime | None:
    """Drive a claimed trade until it waits; returns when to look next. Raises: UpstreamUnavailable, OutcomeUnknown."""
    ahead = Ahead(deps)
    turn = claim.first
    try:
        while True:
            turn = turn or await _turn(deps, claim, None, ahead)
            deps.watches.saw(turn.loaded.view)
            await deps.beats.at(f"orders.{_beat(turn)}")
            if turn.call is not None:
                outcome = await _called(deps, turn, turn.call, ahead)
                await deps.beats.at(f"orders.{_name(turn.call)}.answered")
                if isinstance(turn.call, Read):
                    await ahead.guessed(deps.settings.order_waits.nap_s)
                turn = await _turn(deps, claim, outcome, ahead)
                continue
            if not turn.again and not turn.nap_s:
                return turn.due_at
            await asyncio.sleep(turn.nap_s)
            turn = None
    finally:
        ahead.let_go()


async def _called(deps: Deps, turn: Turn, call: Talk, ahead: Ahead) -> Outcome:
    """Make the call of a turn, unless it was begun early; what the broker has received or is to cancel is read next."""
    outcome = await ahead.outcome(call, turn.loaded.view)
    if outcome is None:
        outcome = await talk.perform(call, turn.loaded, deps, claim_ends=turn.ends)
    if outcome.to_read is not None and not (isinstance(call, Cancel) and closing.reads_a_list(turn.loaded.view)):
        _begin(deps, Read(outcome.to_read), turn.loaded, ahead)
        if isinstance(call, Cancel):
            _guess(deps, call, turn.loaded, ahead)
    return outcome


def _guess(deps: Deps, call: Cancel, loaded: Loaded, ahead: Ahead) -> None:
    """Ask for the market beside the cancel's confirmation, where an order is to follow."""
    step = once_cancelled(loaded.view, call.group_order_id, deps.moment(loaded))
    if step is not None:
        ahead.guess(step, talk.perform(step, loaded, deps, claim_ends=0.0), loaded.view)


def _begin(deps: Deps, step: Question, loaded: Loaded, ahead: Ahead) -> None:
    """Begin a step that only reads, so that it need not wait for the transaction it follows."""
    if not ahead.has(step, loaded.view):
        # Its claim is not asked: only writes look at that.
        ahead.begin(step, talk.perform(step, loaded, deps, claim_ends=0.0), loaded.view)


async def take_over(deps: Deps, trade_id: str, username: str) -> datetime | None:
    """Claim a trade and drive it; when somebody else does, returns when their claim ends at the latest."""
    ends = deps.clock.monotonic() + deps.settings.lease_s
    async with deps.db.for_user(username) as unit:
        try:
            loaded = await store.lock_view(unit, trade_id)
        except NotFound:
            return None
        claim = await begin(unit, deps, loaded, loaded.view, ends)
        if claim is None:
            return loaded.view.flow.claim_ends(loaded.now)
    return await drive(deps, claim)


async def begin(unit: Unit, deps: Deps, loaded: Loaded, view: View, ends: float) -> Claim | None:
    """Claim a locked trade, store `view`, decide and mark the first call; None when somebody else drives it.

    Claims are changed under the trade's lock only, so what was loaded under it says whether one can be taken.
    """
    held = loaded.view.flow
    if held.claim_ends(loaded.now) is not None:
        return None
    flow = replace(held, run=held.run + 1)
    first = await _next(_Scene(deps, unit, loaded, deps.moment(loaded), ends), replace(view, flow=flow), 0.0)
    return Claim(view.trade.id, view.trade.username, flow.run, ends, first)


@dataclass(frozen=True, slots=True)
class _Scene:
    """One transaction of a flow: the trade as loaded and locked, and until when our claim holds."""

    deps: Deps
    unit: Unit
    loaded: Loaded
    moment: Moment
    ends: float
    ahead: Ahead | None = None

    async def store(self, view: View, *, lease_s: float | None) -> Loaded:
        """Store the view and return it as loaded again."""
        stored = await saving.save(self.unit, self.loaded.view, view, self.moment, lease_s=lease_s)
        return Loaded(stored, self.loaded.now, self.loaded.token_ciphertext)


async def _turn(deps: Deps, claim: Claim, outcome: Outcome | None, ahead: Ahead) -> Turn:
    """Record the last answer, decide, and mark the next call, in one transaction."""
    ends = deps.clock.monotonic() + deps.settings.lease_s
    async with deps.db.for_user(claim.username) as unit:
        loaded = await store.lock_view(unit, claim.trade_id)
        scene = _Scene(deps, unit, loaded, deps.moment(loaded), ends, ahead)
        flow = loaded.view.flow
        is_ours = flow.run == claim.run and flow.claimed_until is not None and flow.claimed_until > loaded.now
        view = loaded.view
        if outcome is not None and (is_ours or outcome.is_fact):
            if outcome.among is not None:
                outcome = outcome.among(await store_contract.beside(unit, view.trade, locks=True))
            view = outcome.apply(view, scene.moment)
        if not is_ours:
            await unit.schedule(JOB, claim.trade_id, None, user=claim.username, replace=False)
            stored = await scene.store(view, lease_s=None)
            return Turn(stored, due_at=flow.claimed_until)
        return await _next(scene, view, 0.0 if outcome is None else outcome.pause_s)


async def _next(scene: _Scene, view: View, pause_s: float) -> Turn:
    stored = {order.id for order in scene.loaded.view.orders}
    lease_s = scene.deps.settings.lease_s
    step: Step = Wait()
    for _ in range(MAX_DECISIONS):
        if {order.id for order in view.orders} != stored:
            # An intent is a mark of its own: committed before anything is sent.
            return Turn(await scene.store(view, lease_s=lease_s), again=True)
        step = next_step(view, scene.moment)
        if isinstance(step, Wait):
            return await _rest(scene, view, step, pause_s)
        if isinstance(step, Send) and await _must_not_leave(scene.unit, view, step):
            view = killing.refused_entry(view, scene.moment, new_id=new_id)
            continue
        if isinstance(step, Send) and await _was_left(scene.unit, view, step):
            left = Event(kind="mode_left", text="the settings left TRADIER_LIVE before it was sent")
            view = lifecycle.void(view.noting(left), step.tag, scene.moment.now)
            continue
        if isinstance(step, Talk):
            known = None if scene.ahead is None or pause_s else scene.ahead.known(step, view)
            if known is None:
                break
            view = known.apply(view, scene.moment)
            continue
        view = deciding.decided(view, step, scene.moment, new_id=new_id, new_tag=new_tag)
    else:
        raise InvariantBroken(f"trade {view.trade.id} decides in circles, last {step}")
    if pause_s:
        return await _rest(scene, view, Wait(), pause_s)
    marked = _marked(view, step, scene.moment.now)
    # Whoever waits for this state is answered before the next question costs time.
    if scene.ahead is not None and isinstance(step, Question) and not scene.deps.watches.is_awaited(marked):
        _begin(scene.deps, step, Loaded(view, scene.loaded.now, scene.loaded.token_ciphertext), scene.ahead)
    return Turn(await scene.store(marked, lease_s=lease_s), call=step, ends=scene.ends)


async def _must_not_leave(unit: Unit, view: View, step: Send) -> bool:
    """Say whether a write is an entry and the kill switch is engaged; else it stays as it is until this is marked."""
    is_entry = any(order.role is OrderRole.ENTRY for order in view.by_tag(step.tag))
    return is_entry and await store_kills.is_engaged(unit, view.trade.username)


async def _was_left(unit: Unit, view: View, step: Send) -> bool:
    """Say whether a write is an entry with real money and its user trades in another mode by now."""
    mode = view.trade.broker_mode
    is_entry = any(order.role is OrderRole.ENTRY for order in view.by_tag(step.tag))
    if mode is not BrokerMode.TRADIER_LIVE or not is_entry:
        return False
    return await store_accounts.held_mode(unit, view.trade.username) != mode


async def _rest(scene: _Scene, view: View, step: Wait, pause_s: float) -> Turn:
    """Give the claim back; the job looks again when there is something to do. A short wait is waited out under it."""
    until = scene.moment.now + timedelta(seconds=pause_s) if pause_s else step.until
    due_at = _sooner(until, concerns.next_look(view, scene.moment))
    wait_s = None if due_at is None else (due_at - scene.moment.now).total_seconds()
    if wait_s is not None and 0 < wait_s <= scene.moment.waits.nap_s:
        return Turn(await scene.store(view, lease_s=scene.deps.settings.lease_s), nap_s=wait_s)
    if due_at is not None:
        await scene.unit.schedule(JOB, view.trade.id, due_at, user=view.trade.username)
    return Turn(await scene.store(view, lease_s=0.0), due_at=due_at)


def _marked(view: View, step: Talk, now: datetime) -> View:
    """Mark a write before it leaves."""
    match step:
        case Send(tag):
            return lifecycle.sent(view, tag, now)
        case Cancel(group_order_id):
            return lifecycle.cancel_asked(view, group_order_id, now)
        case _:
            return view


def _sooner(one: datetime | None, other: datetime | None) -> datetime | None:
    known = [at for at in (one, other) if at is not None]
    return min(known, default=None)


def _name(call: Talk) -> str:
    return type(call).__name__.lower()


def _beat(turn: Turn) -> str:
    if turn.again:
        return "intent"
    return f"{_name(turn.call)}.marked" if turn.call is not None else "rest"
