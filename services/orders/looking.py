"""Small changes of a view between a call and its decision: reads in vain, new intents, the queue's watch. Pure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from libs.common.messages.vocabulary import OrderStatus
from services.orders import asking, lifecycle
from services.orders.steps import Moment
from services.orders.trade import ActionState, Event, Order, View

MOST_IN_VAIN = 5
"""So many looks in vain count towards the time to the next one."""


def read_in_vain(view: View, group_order_id: str, now: datetime) -> View:
    """Note a read that told nothing, so that the next one waits longer."""
    for order in view.orders:
        if order.group_order_id == group_order_id and not order.is_terminal:
            view = view.with_order(replace(order, read_at=now, reads=order.reads + 1))
    return view


def looked_in_vain(view: View, tag: str, now: datetime) -> View:
    """Note a look that could not be finished. It proves nothing.

    Looks that a broker's silence ends grow no rarer than every ten seconds: its return is to be seen soon.
    """
    for order in view.by_tag(tag):
        if order.status is OrderStatus.UNKNOWN:
            looks = max(order.looks, min(order.looks + 1, MOST_IN_VAIN))
            view = view.with_order(replace(order, read_at=now, looks=looks))
    return view


def with_orders(view: View, made: tuple[Order, ...]) -> View:
    """Add intents."""
    names = " and ".join(
        f"{order.role.replace('_', ' ').lower()} {order.type} {order.stop or order.price or ''}".strip()
        for order in made
    )
    event = Event(kind="order_intent", text=f"to be sent: {names} for {made[0].qty}", data={"tag": made[0].tag})
    return replace(view, orders=(*view.orders, *made)).noting(event)


def queue_checked(view: View, action_id: str, moment: Moment, *, ready: bool, wait_s: float) -> View:
    """Start a queued action once its session has been open for the settling time; else let it wait on."""
    action = next((a for a in view.actions if a.id == action_id and a.state is ActionState.QUEUED), None)
    if action is None:
        return view
    if not ready:
        later = moment.now + timedelta(seconds=wait_s)
        return asking.postponed(view.with_action(replace(action, begun_at=None)), action_id, later, moment.now)
    if action.begun_at is None:
        # The first sight of the open session; its first minute is left to others.
        settled_at = moment.now + timedelta(seconds=moment.waits.queue_settle_s)
        return asking.postponed(
            view.with_action(replace(action, begun_at=moment.now)), action_id, settled_at, moment.now
        )
    return asking.begun(lifecycle.settled(view, moment.now), action_id, moment.now)
