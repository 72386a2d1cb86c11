"""Cover: from more sold than bought to flat, at once in session, else at the open, whatever the policy.

| step          | mark                     | what undoes it                                       | key       |
|---------------|--------------------------|------------------------------------------------------|-----------|
| cancel exits  | `cancel_at`              | unconfirmed: asked again, and no longer waited for   | broker id |
| look, intent  | COVER order INTENT       | the account is not short: nothing is bought          | order tag |
| send, record  | SENT, then its answer    | evidence only; never placed: a new intent            | order tag |
| confirm       | FILLED: flat again       | ended unfilled: another, a moment later              | broker id |

1. Never more is bought than our own orders sold too much, nor than the broker shows as short.
2. What it cost becomes a correction of the trade that caused it, whose own row stays as it is.
"""

from __future__ import annotations

from libs.common.messages.vocabulary import OrderRole, OrderStatus
from services.orders.merging import NEVER_SENT, NOT_PLACED
from services.orders.steps import (
    Moment,
    PlaceCover,
    Send,
    Step,
    Void,
    Wait,
    cancel_or_read,
    read_or_wait,
    retry_after,
    seen_over_at,
    unanswered,
)
from services.orders.trade import EXIT_ROLES, Order, View


def is_due(view: View) -> bool:
    """Say whether the trade is short, or a cover of it is not over."""
    return view.held_qty < 0 or any(o.role is OrderRole.COVER and not o.is_terminal for o in view.orders)


def plan(view: View, moment: Moment) -> Step:
    """Return the next step towards flat."""
    covers = tuple(order for order in view.orders if order.role is OrderRole.COVER)
    step = unanswered(covers, moment) or _exits_first(view, moment)
    if step is not None:
        return step
    last = covers[-1] if covers else None
    if last is None:
        return PlaceCover()
    if last.status is OrderStatus.INTENT:
        return Send(last.tag) if last.qty <= -view.held_qty else Void(last.tag)
    if not last.is_terminal:
        return read_or_wait(last, moment)
    return _again(view, covers, last, moment)


def _exits_first(view: View, moment: Moment) -> Step | None:
    """Take down what may still sell, for so long as the broker needs to confirm a cancel."""
    live = [order for order in view.orders if order.role in EXIT_ROLES and order.is_working]
    waited = [o for o in live if o.cancel_first_at is None or moment.at(o.cancel_first_at, moment.waits.recancel_s)]
    return cancel_or_read(waited[0], moment) if waited else None


def _again(view: View, covers: tuple[Order, ...], last: Order, moment: Moment) -> Step:
    if view.held_qty >= 0:
        return Wait()
    if last.reason in (NOT_PLACED, NEVER_SENT):
        return retry_after(covers, moment) or PlaceCover()
    if last.status is OrderStatus.FILLED:
        return PlaceCover()
    until = moment.at(seen_over_at(last), moment.waits.close_retry_s)
    return Wait(until) if until else PlaceCover()
