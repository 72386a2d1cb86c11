"""Close: from whatever a trade is to flat, without ever selling twice.

| step          | mark                       | what undoes it                                      | key         |
|---------------|----------------------------|-----------------------------------------------------|-------------|
| begin         | action RUNNING, CLOSING    | the sell fails: FILLED, protected again             | request key |
| cancel entry  | `cancel_at`                | a fill wins: it is held, and sold below             | broker id   |
| cancel exits  | `cancel_at`                | a leg that filled closes the trade as that hit      | broker id   |
| confirm       | each leg terminal          | unconfirmed for 30 s: a concern, no sell, keep on   | broker id   |
| quote, intent | CLOSE order INTENT         | nothing is held any more: never sent                | order tag   |
| send, record  | SENT, then its answer      | evidence only; never placed: a new intent           | order tag   |
| confirm       | FILLED: the trade is over  | ended unfilled: back to FILLED, protected again     | broker id   |
| no bid        | a day limit, least price   | renewed each session; withdrawn: cancelled, FILLED  | broker id   |

1. No sell while a bracket, the entry or another sell may still execute: each of them holds the quantity.
2. What is sold is what is held by our own orders, read after every leg ended.
"""

from __future__ import annotations

from datetime import timedelta

from libs.broker.orders import OrderType
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus
from services.orders.asking import WITHDRAWN
from services.orders.merging import NEVER_SENT, NOT_PLACED
from services.orders.steps import (
    BeginClose,
    EndAction,
    FailClose,
    Moment,
    PlaceSell,
    Read,
    Send,
    Step,
    Void,
    Wait,
    cancel_or_read,
    read_or_wait,
    retry_after,
    unanswered,
)
from services.orders.trade import Action, ActionKind, ActionState, Order, View


def plan(view: View, close: Action, moment: Moment) -> Step:
    """Return the next step towards flat."""
    others = tuple(order for order in view.orders if not _is_sale_of(order, close))
    intent = next((order for order in others if order.status is OrderStatus.INTENT), None)
    if intent is not None:
        return Void(intent.tag)
    step = unanswered(others, moment)
    if step is not None:
        return step
    if close.state is ActionState.REQUESTED:
        return BeginClose(close.id)
    working = next((order for order in others if not order.is_terminal), None)
    if working is not None:
        return _taken_down(close, working, moment)
    if view.held_qty <= 0:
        return EndAction(close.id, ActionState.DONE)
    return _sell(view, close, moment)


def _is_sale_of(order: Order, close: Action) -> bool:
    """Say whether a close sends an order. What an earlier one had sent, and was given up, may surface after all."""
    return order.role is OrderRole.CLOSE and order.action_id == close.id


def _taken_down(close: Action, working: Order, moment: Moment) -> Step:
    """Cancel and confirm. The kill switch reads one list for all it cancels: each of its own waits for that a while."""
    step = cancel_or_read(working, moment)
    if not _is_of_many(close) or not isinstance(step, Read):
        return step
    until = moment.at(working.read_at or working.cancel_at, moment.waits.kill_list_s)
    return Wait(until) if until else step


def reads_a_list(view: View) -> bool:
    """Say whether one list confirms what a close cancels, so that no order is read by itself."""
    return view.close_action is not None and _is_of_many(view.close_action)


def _is_of_many(close: Action) -> bool:
    return close.reason is CloseReason.KILL_SWITCH


def _sell(view: View, close: Action, moment: Moment) -> Step:
    sells = tuple(order for order in view.orders if _is_sale_of(order, close))
    step = unanswered(sells, moment)
    if step is not None:
        return step
    last = sells[-1] if sells else None
    if last is None:
        return _first(view, close, moment)
    late = next((order for order in sells[:-1] if not order.is_terminal), None)
    if late is not None:
        return Void(last.tag) if last.status is OrderStatus.INTENT else cancel_or_read(late, moment)
    withdrawn = close.words == WITHDRAWN
    if last.status is OrderStatus.INTENT:
        return Send(last.tag) if last.qty == view.sellable_qty and not withdrawn else Void(last.tag)
    if not last.is_terminal:
        return cancel_or_read(last, moment) if withdrawn else read_or_wait(last, moment)
    return _ended(close, last, sells, moment)


def unbid(view: View) -> Action | None:
    """Return the running close whose sale rests at the least price for want of a bid, or waits to be renewed so."""
    close = view.running
    if close is None or close.kind is not ActionKind.CLOSE:
        return None
    sells = [order for order in view.orders if order.role is OrderRole.CLOSE and order.action_id == close.id]
    if not sells or sells[-1].type is not OrderType.LIMIT or sells[-1].status is OrderStatus.REJECTED:
        return None
    return close if view.held_qty > 0 else None


def _first(view: View, close: Action, moment: Moment) -> Step:
    if view.trade.successor_occ is not None:
        return FailClose(close.id, f"the contract became {view.trade.successor_occ}: it is sold by hand")
    if view.is_beside_entry and moment.at(close.begun_at, moment.waits.cancel_alarm_s):
        return Wait(moment.now + timedelta(seconds=moment.waits.retry_first_s))
    return PlaceSell()


def _ended(close: Action, last: Order, sells: tuple[Order, ...], moment: Moment) -> Step:
    """Something is still held though the last sell is over."""
    if close.words == WITHDRAWN:
        return FailClose(close.id, WITHDRAWN)
    if last.reason in (NOT_PLACED, NEVER_SENT):
        return retry_after(sells, moment) or PlaceSell()
    if last.type is OrderType.LIMIT and last.status is not OrderStatus.REJECTED:
        return PlaceSell()  # no bid: a day order at the least price, renewed each session
    words = last.reason or f"the sell ended {last.status.lower()}"
    return FailClose(close.id, words)
