"""A limit entry sent together with its exits as one group (OTOCO): what its legs count for. Pure.

1. Its exits are taken as held until its entry is completely filled, whatever the venue shows of them: whether a part
   fill releases them is documented nowhere.
2. A group is taken down as a whole; its entry is never left working beside exits that execute.
3. Exits at other prices than the trade's are not the ones asked for: the group goes, and is sent again or replaced.
"""

from __future__ import annotations

from libs.common.messages.vocabulary import OrderRole, OrderStatus
from services.orders.trade import BRACKET_ROLES, Group, Order, View


def entry_of(view: View, order: Order) -> Order | None:
    """Return the entry that an order was sent with."""
    return next((one for one in view.by_tag(order.tag) if one.role is OrderRole.ENTRY), None)


def protects(view: View, order: Order) -> bool:
    """Say whether an exit counts: any but those of a group whose entry is not completely filled."""
    if order.sent_as is not Group.OTOCO:
        return True
    entry = entry_of(view, order)
    return entry is not None and entry.status is OrderStatus.FILLED and entry.filled_qty >= entry.qty


def is_outdated(view: View, order: Order) -> bool:
    """Say whether an order belongs to a group whose exits are not at the trade's prices any more."""
    if order.sent_as is not Group.OTOCO:
        return False
    asked = {OrderRole.STOP_LOSS: view.trade.sl_price, OrderRole.TAKE_PROFIT: view.trade.tp_price}
    sent = {one.role: one.stop or one.price for one in view.by_tag(order.tag) if one.role in BRACKET_ROLES}
    return sent != asked


def must_go(view: View, entry: Order) -> bool:
    """Say whether a working entry's group has to be taken down now, whatever the entry still does."""
    exits = [one for one in view.by_tag(entry.tag) if one.role in BRACKET_ROLES]
    return is_outdated(view, entry) or any(one.filled_qty or one.is_terminal for one in exits)


def is_to_be_renewed(view: View) -> bool:
    """Say whether a group was taken down for new exits before anything was bought, so that it is sent again."""
    last = view.entry_orders[-1]
    taken_down = last.status is OrderStatus.CANCELLED and last.cancel_at is not None
    return taken_down and not any(one.filled_qty for one in view.entry_orders) and is_outdated(view, last)
