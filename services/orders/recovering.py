"""An entry that executes after its trade was over: what it bought becomes a trade of its own. Pure.

1. The locked trade keeps its values; its order row says which trade holds what surfaced, and takes no more news.
2. Nothing is counted twice: a row that has moved executed nothing, one that was split keeps what its trade closed with.
3. The new trade is the old one's contract, stop and target, and runs through the same flows as any holding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from libs.common.messages.vocabulary import CloseReason
from services.orders import asking, lifecycle, merging
from services.orders.trade import ActionState, Event, Order, Trade, View

_KEPT = (
    "username", "broker_mode", "account_id", "ticker", "occ_symbol", "option_type", "strike", "expiry", "multiplier",
    "entry_type", "limit_price", "entry_duration", "reference_price", "sl_price", "tp_price", "strategy", "card_score",
    "ai_score", "ai_verdict", "gate_verdict", "technical_score", "sentiment_score",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Recovered:
    """The old trade with its order handed over, and the new one: as it is born, and with what it holds."""

    old: View
    born: View
    held: View


def surfaced(before: View, after: View) -> Order | None:
    """Return an entry order that executed more than its trade knew when it was over."""
    if not before.trade.is_locked:
        return None
    known = {order.id: order.filled_qty for order in before.orders}
    return next((o for o in after.entry_orders if o.recovered_as is None and o.filled_qty > known[o.id]), None)


def parted(before: View, after: View, order: Order, *, new_id: Callable[[], str], now: datetime) -> Recovered:
    """Hand what surfaced over to a trade of its own."""
    first = next(one for one in before.orders if one.id == order.id)
    trade_id = new_id()
    moved = after.by_tag(order.tag) if not first.filled_qty else (merging.surplus(first, order),)
    taken = tuple(
        replace(one, id=new_id(), trade_id=trade_id, tag=f"{one.tag}-{trade_id[-8:]}", action_id=None) for one in moved
    )
    old = after
    for one in before.by_tag(order.tag) if not first.filled_qty else (first,):
        old = old.with_order(replace(one, recovered_as=trade_id))
    text = f"{order.filled_qty - first.filled_qty} bought by order {order.broker_order_id} after the trade was over"
    old = old.noting(Event(kind="recovered", text=f"{text}: held by trade {trade_id}", data={"trade_id": trade_id}))
    trade = _born(before.trade, trade_id, next(one for one in taken if one.role is order.role))
    born = View(trade=trade, policy=after.policy, account_name=after.account_name)
    held = replace(born, orders=taken).noting(Event(kind="recovered", text=f"{text} {before.trade.id}"))
    return Recovered(old, born, lifecycle.settled(held, now))


def to_be_sold(held: View, *, action_id: str, now: datetime) -> View:
    """Sell at once what surfaced beside another trade of the contract."""
    return asking.with_close(
        held,
        action_id=action_id,
        reason=CloseReason.FLATTENED,
        state=ActionState.RUNNING,
        now=now,
        words="another trade has the contract",
    )


def _born(old: Trade, trade_id: str, order: Order) -> Trade:
    return Trade(
        **{name: getattr(old, name) for name in _KEPT},
        id=trade_id,
        idempotency_key=f"{old.id}-{order.group_order_id}",
        qty=order.qty,
        recovered_from=old.id,
        created_at=order.created_at,
    )
