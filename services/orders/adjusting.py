"""Adjust: from one bracket to another, with the old one, or a sale, if the new one is refused.

| step        | mark                     | what undoes it                                          | key         |
|-------------|--------------------------|---------------------------------------------------------|-------------|
| check       | action RUNNING           | prices on the wrong side: refused, nothing is touched   | request key |
| cancel      | `cancel_at`              | a leg that filled closes the trade as that hit          | broker id   |
| confirm     | each leg terminal        | unconfirmed: keep asking, nothing new is placed         | broker id   |
| new bracket | legs INTENT, SENT        | a close: the intent is never sent                       | order tag   |
| record      | REJECTED                 | the old bracket goes back, by the same steps            | order tag   |
| confirm     | prices change, DONE      | refused too: FAILED; protect repairs, or the stop sells | broker id   |
| afterwards  | none                     | refused after all: the old prices are asked for again   | order tag   |
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from libs.common.messages.vocabulary import OrderRole, OrderStatus
from services.orders.merging import NEVER_SENT, NOT_PLACED
from services.orders.steps import (
    EndAction,
    Moment,
    PlaceBracket,
    Reprice,
    Send,
    Step,
    Void,
    cancel_or_read,
    read_or_wait,
    retry_after,
    unanswered,
)
from services.orders.trade import BRACKET_ROLES, Action, ActionState, Order, View


def plan(view: View, adjust: Action, moment: Moment) -> Step:
    """Return the next step towards the new bracket resting."""
    brackets = tuple(order for order in view.orders if order.role in BRACKET_ROLES)
    step = unanswered(brackets, moment)
    if step is not None:
        return step
    if view.held_qty <= 0:
        return EndAction(adjust.id, ActionState.FAILED, "the position ended meanwhile")
    own = tuple(order for order in brackets if order.action_id == adjust.id)
    old = next((order for order in brackets if order.action_id != adjust.id and not order.is_terminal), None)
    if old is not None:
        return Void(old.tag) if old.status is OrderStatus.INTENT else cancel_or_read(old, moment)
    live = tuple(order for order in own if not order.is_terminal)
    if live:
        return _live(view, adjust, own, live, moment)
    return retry_after(own, moment) or _next_try(view, adjust, own)


def _live(view: View, adjust: Action, own: tuple[Order, ...], live: tuple[Order, ...], moment: Moment) -> Step:
    first = live[0]
    if first.status is OrderStatus.INTENT:
        return Send(first.tag) if first.qty == view.sellable_qty else Void(first.tag)
    if not all(order.confirmed_at for order in live):
        return read_or_wait(next(order for order in live if order.confirmed_at is None), moment)
    if len(live) < len(view.by_tag(first.tag)):
        return cancel_or_read(first, moment)
    if _tags(own)[0] == first.tag:
        return Reprice(adjust.id, adjust.new_sl, adjust.new_tp)
    words = next((order.reason for order in own if order.reason), None) or "the new exits were refused"
    return EndAction(adjust.id, ActionState.FAILED, f"{words}; the old exits are back")


def _next_try(view: View, adjust: Action, own: tuple[Order, ...]) -> Step:
    tries = len(_tags(own))
    if tries == 0:
        return PlaceBracket(adjust.new_sl, adjust.new_tp)
    if tries == 1 and (view.trade.sl_price is not None or view.trade.tp_price is not None):
        return PlaceBracket(view.trade.sl_price, view.trade.tp_price)
    words = next((order.reason for order in own if order.reason), None) or "the new exits were refused"
    return EndAction(adjust.id, ActionState.FAILED, words)


def replaced(view: View, refused: tuple[Order, ...]) -> tuple[Decimal | None, Decimal | None] | None:
    """Return stop and target of the exits that an adjust took down for ones which were refused after all."""
    if not all(order.action_id for order in refused) or prices_of(refused) != (
        view.trade.sl_price,
        view.trade.tp_price,
    ):
        return None
    brackets = [order for order in view.orders if order.role in BRACKET_ROLES and order.tag != refused[0].tag]
    taken_down = [order for order in brackets if order.cancel_at and order.confirmed_at and not order.reason]
    if not taken_down:
        return None
    old = prices_of(tuple(order for order in brackets if order.tag == taken_down[-1].tag))
    return None if old == prices_of(refused) else old


def prices_of(legs: Sequence[Order]) -> tuple[Decimal | None, Decimal | None]:
    """Return the stop and the target that a bracket was sent with."""
    sl = next((order.stop for order in legs if order.role is OrderRole.STOP_LOSS), None)
    return sl, next((order.price for order in legs if order.role is OrderRole.TAKE_PROFIT), None)


def _tags(orders: tuple[Order, ...]) -> list[str]:
    """Return the writes that reached the broker, in order; those that never did are not tries."""
    return list(dict.fromkeys(order.tag for order in orders if order.reason not in (NOT_PLACED, NEVER_SENT)))
