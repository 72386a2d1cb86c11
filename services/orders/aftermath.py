"""After the close: every order of a trade that is over is seen terminal.

1. A leg left working when its trade is over is an orphan: given the broker's own moment to cancel it, then cancelled.
2. An entry found working after the close is cancelled; what it executed is a recovered trade's (`recovering`).
3. What was sold beyond the holding is bought back before anything else (`covering`).
"""

from __future__ import annotations

from libs.common.messages.vocabulary import OrderRole, OrderStatus
from services.orders import covering
from services.orders.steps import Moment, Read, Step, Void, Wait, cancel_or_read, read_or_wait, unanswered
from services.orders.trade import Order, View


def plan(view: View, moment: Moment) -> Step:
    """Return the next step towards no order of ours alive."""
    others = tuple(order for order in view.orders if order.role is not OrderRole.COVER)
    intent = next((order for order in others if order.status is OrderStatus.INTENT), None)
    if intent is not None:
        return Void(intent.tag)
    step = unanswered(others, moment)
    if step is not None:
        return step
    if covering.is_due(view):
        return covering.plan(view, moment)
    live = next((order for order in view.orders if not order.is_terminal), None)
    if live is None:
        return Wait()
    if live.role is OrderRole.ENTRY or live.cancel_at is not None or live.group_order_id is None:
        return cancel_or_read(live, moment)
    return _orphan(view, live, live.group_order_id, moment)


def _orphan(view: View, live: Order, group_order_id: str, moment: Moment) -> Step:
    ends = [o.fill_seen_at for o in view.orders if o.group_order_id == group_order_id and o.fill_seen_at]
    over_at = max(ends) if ends else None
    if over_at is None or moment.at(over_at, moment.waits.orphan_grace_s) is None:
        return cancel_or_read(live, moment)
    if live.read_at is None or live.read_at <= over_at:
        until = moment.at(over_at, moment.waits.orphan_grace_s / 4)
        return Wait(until) if until else Read(group_order_id)
    step = read_or_wait(live, moment)
    return step if isinstance(step, Wait) and step.until else Wait(moment.at(over_at, moment.waits.orphan_grace_s))
