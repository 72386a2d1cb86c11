"""Place: from the entry's intent to an entry that is over.

| step        | mark                        | what undoes it                                | key          |
|-------------|-----------------------------|-----------------------------------------------|--------------|
| intent      | order INTENT                | `send_by` passes, or a close: never sent      | request key  |
| send        | order SENT                  | nothing: from here on only evidence           | order tag    |
| record      | WORKING, REJECTED, UNKNOWN  | a list that shows the tag                     | order tag    |
| confirm     | `confirmed_at`              | a late refusal, in the broker's words         | broker id    |
| partly full | PARTIAL, `fill_seen_at`     | after its grace the remainder is cancelled    | broker id    |

1. One intent is sent at most once.
2. Waiting for a working entry is not a running flow: news comes through monitor, or we read while the bus is away.
"""

from __future__ import annotations

from libs.common.messages.vocabulary import OrderStatus
from services.orders import protection
from services.orders.steps import (
    Moment,
    ResendEntry,
    Send,
    Step,
    Void,
    Wait,
    cancel_or_read,
    read_or_wait,
    unanswered,
)
from services.orders.trade import Order, View


def plan(view: View, moment: Moment) -> Step:
    """Return the next step towards an entry that is over."""
    step = unanswered(view.entry_orders, moment)
    if step is not None:
        return step
    order = view.entry_orders[-1]
    if order.status is OrderStatus.INTENT:
        late = order.send_by is not None and moment.now >= order.send_by
        return Void(order.tag) if late else Send(order.tag)
    if order.is_terminal:
        price = None if order.price is None else protection.coarser_limit(view.trade.occ_symbol, order.price)
        return Wait() if price is None else ResendEntry(price)
    return _working(view, order, moment)


def _working(view: View, order: Order, moment: Moment) -> Step:
    if order.confirmed_at is None:
        return read_or_wait(order, moment)
    if order.filled_qty:
        until = moment.at(order.fill_seen_at, view.policy.partial_entry_grace_s)
        return Wait(until) if until else cancel_or_read(order, moment)
    if order.cancel_at is not None:
        return cancel_or_read(order, moment)
    if moment.bus_away:
        until = moment.at(order.read_at, moment.waits.away_read_s)
        return Wait(until) if until or order.group_order_id is None else read_or_wait(order, moment)
    return Wait()
