"""What people and rules ask of a placed trade: closes, adjusts, their beginnings and ends. Pure.

1. At most one action of a trade runs; a close that meets a running flow waits for its next safe mark.
2. A close ends whatever adjust was going on; an adjust never starts beside another action.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from libs.common.messages.orders import RepairTrade
from libs.common.messages.vocabulary import CloseReason
from services.orders import lifecycle
from services.orders.trade import Action, ActionKind, ActionState, Event, View

WITHDRAWN = "withdrawn"
"""The words of a close that its user took back while nobody bid."""


def with_close(
    view: View, *, action_id: str, reason: CloseReason, state: ActionState, now: datetime, words: str | None = None
) -> View:
    """Store a close: running at once, requested for the next safe mark, or queued for the open.

    One that is at work, or asked for while its flow was at the broker, stays the only one. So does a trade's end.
    """
    asked = view.close_action
    if view.trade.is_locked or (asked is not None and asked.state is not ActionState.QUEUED):
        return view
    action = Action(
        id=action_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        kind=ActionKind.CLOSE,
        state=ActionState.REQUESTED if state is ActionState.RUNNING else state,
        reason=reason,
        words=words,
        created_at=now,
        due_at=now if state is ActionState.QUEUED else None,
    )
    told = {ActionState.REQUESTED: "is requested", ActionState.QUEUED: "waits for the open"}.get(state, "begins")
    why = f": {words}" if words else ""
    view = view.with_action(action).noting(Event(kind="close", text=f"a close ({reason}) {told}{why}"))
    return begun(view, action_id, now) if state is ActionState.RUNNING else view


def with_adjust(
    view: View,
    *,
    action_id: str,
    sl: Decimal | None,
    tp: Decimal | None,
    state: ActionState,
    now: datetime,
) -> View:
    """Store an adjust with prices that were checked."""
    action = Action(
        id=action_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        kind=ActionKind.ADJUST,
        state=state,
        new_sl=sl,
        new_tp=tp,
        created_at=now,
        begun_at=now if state is ActionState.RUNNING else None,
        due_at=now if state is ActionState.QUEUED else None,
    )
    told = "waits for the open" if state is ActionState.QUEUED else "begins"
    event = Event(kind="adjust", text=f"an adjust to stop {sl} and target {tp} {told}")
    return lifecycle.settled(view.with_action(action).noting(event), now)


def with_repair(view: View, asked: RepairTrade, *, action_id: str, now: datetime) -> View:
    """Store a look at the broker for the next safe mark."""
    action = Action(
        id=action_id,
        trade_id=view.trade.id,
        username=view.trade.username,
        kind=ActionKind.REPAIR,
        state=ActionState.REQUESTED,
        finding=asked.finding,
        named=" ".join(asked.broker_order_ids) or None,
        successor_occ=asked.successor_occ,
        created_at=now,
    )
    event = Event(kind="finding", text=f"found at odds with the broker: {asked.finding}; to be looked at again")
    return view.with_action(action).noting(event)


def acted(view: View) -> View:
    """Raise the version: a person did something."""
    return replace(view, trade=replace(view.trade, version=view.trade.version + 1))


def begun(view: View, action_id: str, now: datetime) -> View:
    """Start a stored action; a close moves the trade, ends an adjust that runs and whatever waits for the open."""
    action = _action(view, action_id)
    if view.trade.is_locked:
        return view  # it ended while the session was looked at; what was asked for ends by itself
    if action.kind is ActionKind.ADJUST:
        view = view.with_action(replace(action, state=ActionState.RUNNING, begun_at=now))
        return lifecycle.settled(view.noting(Event(kind="adjust", text="the queued adjust begins")), now)
    ends = {ActionState.RUNNING: ActionState.FAILED, ActionState.QUEUED: ActionState.WITHDRAWN}
    for other in view.actions:
        if other.id != action.id and other.state in ends:
            view = ended(view, other.id, ends[other.state], now, words="a close came first")
    view = view.with_action(replace(action, state=ActionState.RUNNING, begun_at=now))
    return lifecycle.begun_closing(view, now)


def taken_back(view: View, action_id: str) -> View:
    """Note that a close whose sale nobody bids for is not wanted any more; its flow cancels the sale first."""
    return acted(view.with_action(replace(_action(view, action_id), words=WITHDRAWN)))


def failed(view: View, action_id: str, words: str, now: datetime) -> View:
    """End a close that could not sell, or was taken back: the trade holds again."""
    state = ActionState.WITHDRAWN if words == WITHDRAWN else ActionState.FAILED
    view = ended(view, action_id, state, now, words=words)
    return lifecycle.failed_closing(view, now)


def ended(view: View, action_id: str, state: ActionState, now: datetime, *, words: str | None = None) -> View:
    """End an action."""
    action = _action(view, action_id)
    view = view.with_action(replace(action, state=state, done_at=now, words=words or action.words))
    told = f"{action.kind.lower()} {state.lower()}" + (f": {words}" if words else "")
    return lifecycle.settled(view.noting(Event(kind="action", text=told)), now)


def repriced(view: View, action_id: str, sl: Decimal | None, tp: Decimal | None, now: datetime) -> View:
    """End an adjust whose new exits rest."""
    trade = replace(view.trade, override_count=view.trade.override_count + 1)
    view = ended(replace(view, trade=trade), action_id, ActionState.DONE, now)
    return lifecycle.repriced(view, sl, tp, now)


def restored(view: View, sl: Decimal | None, tp: Decimal | None, words: str, now: datetime) -> View:
    """Take back an adjust whose exits the broker refused after all."""
    text = f"the broker refused the new exits: {words}; stop {sl} and target {tp} are asked for again"
    return lifecycle.repriced(view.noting(Event(kind="adjust", text=text)), sl, tp, now)


def postponed(view: View, action_id: str, until: datetime, now: datetime) -> View:
    """Let a queued action wait on."""
    return view.with_action(replace(_action(view, action_id), due_at=max(until, now)))


def _action(view: View, action_id: str) -> Action:
    return next(action for action in view.actions if action.id == action_id)
