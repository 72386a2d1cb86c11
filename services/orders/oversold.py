"""More sold than bought: how that ends where no cover of ours ends it. Pure.

1. The locked row keeps its facts. What ended the rest stands beside it as a purchase that nobody sent, at what it cost,
   and its cost comes in as a correction like a cover's.
2. Nothing is ended twice: what is short no more has nothing to end.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from libs.common.messages.vocabulary import NOT_OURS, OrderRole, Settlement
from services.orders import lifecycle, merging
from services.orders.results import Ending
from services.orders.trade import Event, Order, View


class Kind(StrEnum):
    """What ended a sale beyond the holding."""

    SETTLED = "settled"
    """The contract expired: worthless, or paid in cash."""
    ASSIGNED = "assigned"
    """The contract expired, and shares changed hands for it."""


def is_short(view: View) -> bool:
    """Say whether the trade is over and sold more than it had bought."""
    return view.trade.is_locked and view.held_qty < 0


def settled(view: View, ending: Ending, *, order_id: str, now: datetime) -> View:
    """End what was sold beyond the holding by what its contract was worth at the end. Idempotent: yes."""
    if not is_short(view):
        return view
    kind = Kind.ASSIGNED if ending.settlement is Settlement.EXERCISED else Kind.SETTLED
    return _ended(
        view, kind, -view.held_qty, ending.price, ending.words, order_id=order_id, at=ending.ended_at, now=now
    )


def assigned(view: View) -> tuple[Order, ...]:
    """List what ended in shares."""
    return tuple(o for o in view.orders if o.role is OrderRole.COVER and o.tag.startswith(f"{NOT_OURS}{Kind.ASSIGNED}"))


def _ended(
    view: View, kind: Kind, qty: int, price: Decimal, words: str, *, order_id: str, at: datetime, now: datetime
) -> View:
    order = merging.unsent(view, kind, words, qty=qty, price=price, order_id=order_id, at=at, now=now)
    event = Event(kind="short_ended", actor="broker", text=words)
    return lifecycle.settled(replace(view, orders=(*view.orders, order)).noting(event), now)
