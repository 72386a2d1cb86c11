"""Place: from the entry's intent to an entry that is over.

| step        | mark                        | what undoes it                                | key          |
|-------------|-----------------------------|-----------------------------------------------|--------------|
| intent      | order INTENT                | `send_by` passes, or a close: never sent      | request key  |
| send        | order SENT                  | nothing: from here on only evidence           | order tag    |
| record      | WORKING, REJECTED, UNKNOWN  | a list that shows the tag                     | order tag    |
| confirm     | `confirmed_at`              | a late refusal, in the broker's words         | broker id    |
| partly full | PARTIAL, `fill_seen_at`     | after its grace the remainder is cancelled    | broker id    |
| new exits   | stop, target of the trade   | a group with the old ones is taken down first | broker id    |
| once more   | a second INTENT             | `send_by` passes meanwhile: never sent        | order tag    |

1. One intent is sent at most once.
2. Waiting for a working entry is not a running flow: news comes through monitor, or we read while nobody brings any.
3. An entry sent with its exits is sent again only when every leg of the last group is over.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from libs.common.messages.vocabulary import OrderStatus
from services.orders import otoco, protection
from services.orders.steps import (
    GiveUpEntry,
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
        behind = next((leg for leg in view.by_tag(order.tag) if not leg.is_terminal), None)
        if behind is not None:
            return cancel_or_read(behind, moment)
        return _again(view, order, moment)
    return _working(view, order, moment)


def _again(view: View, order: Order, moment: Moment) -> Step:
    """Send the entry once more, in time or never: the price it was asked for at grows old."""
    if order.price is None:
        return Wait()
    renewed = otoco.is_to_be_renewed(view)
    price = order.price if renewed else protection.coarser_limit(view.trade.occ_symbol, order.price)
    if price is None:
        return Wait()
    return GiveUpEntry(price) if moment.now >= send_by(view, moment) else ResendEntry(price)


def send_by(view: View, moment: Moment) -> datetime:
    """Return until when the entry may be sent once more: with new exits so long after the old group's end."""
    last = view.entry_orders[-1]
    if last.send_by is not None and not otoco.is_to_be_renewed(view):
        return last.send_by
    return (last.read_at or last.created_at) + timedelta(seconds=moment.waits.send_by_s)


def _working(view: View, order: Order, moment: Moment) -> Step:
    # News may come before the answer, and of the entry alone: what waits behind it is known by its group only.
    nameless = any(leg.broker_order_id is None and not leg.is_terminal for leg in view.by_tag(order.tag))
    if order.confirmed_at is None or order.odd_since is not None or nameless:
        return read_or_wait(order, moment)
    if otoco.must_go(view, order):
        return cancel_or_read(order, moment)
    if order.filled_qty:
        until = moment.at(order.fill_seen_at, view.policy.partial_entry_grace_s)
        return Wait(until) if until else cancel_or_read(order, moment)
    if order.cancel_at is not None:
        return cancel_or_read(order, moment)
    if moment.news_away:
        until = moment.at(order.read_at, moment.waits.away_read_s)
        return Wait(until) if until or order.group_order_id is None else read_or_wait(order, moment)
    return Wait()
