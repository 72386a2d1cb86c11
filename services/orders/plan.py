"""What to do next about a trade, from all that is known of it: pure, so that a crash at any mark loses nothing.

1. The next step follows from stored state alone; whoever holds the claim takes it.
2. An asked close goes before everything else at the first safe mark: no write of the trade without its answer.
3. A queued action starts nothing before its session.
4. A look that was asked for waits until nothing else is due: it is taken beside no other action.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from libs.common.messages.vocabulary import OrderStatus, TradeStatus
from services.orders import adjusting, aftermath, closing, expiring, lifecycle, placement, protecting
from services.orders.steps import (
    CheckOpen,
    EndAction,
    Inspect,
    LookAgain,
    Moment,
    PlaceBracket,
    PlaceSell,
    Step,
    Void,
    Wait,
    cancel_or_read,
    unanswered,
)
from services.orders.trade import ActionKind, ActionState, View

IDLE = (Wait, LookAgain)
"""Steps beside which no flow runs: whatever is asked of the trade begins at once."""


def next_step(view: View, moment: Moment) -> Step:
    """Return the next step of whatever flow the trade is in, or the wait."""
    step = _of_flow(view, moment)
    repair = view.repair
    if repair is not None and isinstance(step, IDLE) and not any(order.is_unanswered for order in view.orders):
        return Inspect(repair.id)
    queued, close = view.queued, view.close_action
    if queued is None or not isinstance(step, IDLE):
        return step
    if close is not None and close.state is not ActionState.QUEUED:
        return step
    step = Wait() if isinstance(step, LookAgain) else step
    return sooner(step, moment.at(queued.due_at, 0)) or CheckOpen(queued.id)


def once_cancelled(view: View, group_order_id: str, moment: Moment) -> PlaceBracket | PlaceSell | None:
    """Guess what follows a cancel that is confirmed with nothing executed: an order made of the market alone."""
    guess = lifecycle.as_if_cancelled(view, group_order_id)
    step = next_step(guess, moment)
    if not isinstance(step, PlaceBracket | PlaceSell) or protecting.was_sale_refused(guess):
        return None
    return None if isinstance(step, PlaceBracket) and protecting.is_repair(guess) else step


def sooner(step: Wait, until: datetime | None) -> Wait | None:
    """Return the earlier of two waits; None when the second is over."""
    if until is None:
        return None
    return Wait(until if step.until is None else min(until, step.until))


def is_running(view: View, moment: Moment) -> bool:
    """Say whether a flow runs: a write is unanswered, an action runs, or a step is due now."""
    if view.running is not None or any(order.is_unanswered for order in view.orders):
        return True
    if any(order.status is OrderStatus.INTENT for order in view.orders):
        return True
    unqueued = replace(view, actions=tuple(a for a in view.actions if a.state is not ActionState.QUEUED))
    return not isinstance(next_step(unqueued, moment), IDLE)


def _of_flow(view: View, moment: Moment) -> Step:
    if view.trade.status is TradeStatus.CLOSED:
        return _end_of_actions(view) or aftermath.plan(view, moment)
    if view.trade.settling_at is not None:
        return expiring.plan(view, moment)
    close = view.close_action
    if close is not None and close.state is not ActionState.QUEUED:
        return closing.plan(view, close, moment)
    if not view.entry_is_over or not view.trade.filled_qty:
        return _yielding(view, moment) or placement.plan(view, moment)
    running = view.running
    if running is not None and running.kind is ActionKind.ADJUST:
        return adjusting.plan(view, running, moment)
    return _yielded(view) or protecting.plan(view, moment)


def _end_of_actions(view: View) -> Step | None:
    """End what was asked of a trade that is over: a close has what it wanted, an adjust came too late."""
    asked = (action for action in view.actions if action.is_active and action.kind is not ActionKind.REPAIR)
    action = next(asked, None)
    if action is None:
        return None
    if action.kind in (ActionKind.CLOSE, ActionKind.YIELD):
        return EndAction(action.id, ActionState.DONE)
    return EndAction(action.id, ActionState.FAILED, "the position ended meanwhile")


def _yielding(view: View, moment: Moment) -> Step | None:
    """Take down what still works of the entry, where what surfaced of another trade is to be sold."""
    live = next((order for order in view.entry_orders if not order.is_terminal), None)
    if view.yielding is None or live is None:
        return None
    if live.status is OrderStatus.INTENT:
        return Void(live.tag)
    return unanswered(view.entry_orders, moment) or cancel_or_read(live, moment)


def _yielded(view: View) -> Step | None:
    return None if view.yielding is None else EndAction(view.yielding.id, ActionState.DONE)
