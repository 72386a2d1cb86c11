"""The steps of a flow that only change what we know. Pure but for the ids it is handed."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from services.orders import asking, brackets, lifecycle, looking, placement
from services.orders.steps import (
    BeginClose,
    Decide,
    EndAction,
    FailClose,
    GiveUpEntry,
    MarkUnknown,
    Moment,
    Reprice,
    RequestClose,
    Restore,
    Void,
)
from services.orders.trade import ActionState, View


def decided(  # noqa: PLR0911 - one answer per step
    view: View, step: Decide, moment: Moment, *, new_id: Callable[[], str], new_tag: Callable[[], str]
) -> View:
    """Carry out one step."""
    now = moment.now
    match step:
        case MarkUnknown(tag):
            return lifecycle.unknown(view, tag, "the sender was interrupted", now)
        case Void(tag):
            return lifecycle.void(view, tag, now)
        case GiveUpEntry(price):
            return _given_up(view, price, moment, new_id, new_tag())
        case BeginClose(action_id):
            return asking.begun(view, action_id, now)
        case RequestClose(reason, words):
            return asking.with_close(
                view, action_id=new_id(), reason=reason, state=ActionState.RUNNING, now=now, words=words
            )
        case FailClose(action_id, words):
            return asking.failed(view, action_id, words, now)
        case EndAction(action_id, state, words):
            return asking.ended(view, action_id, state, now, words=words)
        case Reprice(action_id, sl, tp):
            return asking.repriced(view, action_id, sl, tp, now)
        case Restore(sl, tp, words):
            return asking.restored(view, sl, tp, words, now)


def _given_up(view: View, price: Decimal, moment: Moment, new_id: Callable[[], str], tag: str) -> View:
    """End the trade by an entry that was to be sent once more, and never was."""
    due = placement.send_by(view, moment)
    made = brackets.entry_again(view, price, new_id=new_id, tag=tag, send_by=due, now=moment.now)
    return lifecycle.void(looking.with_orders(view, made), tag, moment.now)
