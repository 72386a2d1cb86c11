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
from services.orders import evidence, lifecycle, merging, results
from services.orders.evidence import Seen
from services.orders.results import Ending
from services.orders.steps import Moment
from services.orders.trade import Event, Group, Order, View


class Kind(StrEnum):
    """What ended a sale beyond the holding."""

    SETTLED = "settled"
    """The contract expired: worthless, or paid in cash."""
    ASSIGNED = "assigned"
    """The contract expired, and shares changed hands for it."""
    ABSORBED = "absorbed"
    """It was sold out of lots that others hold: the account is not short."""


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


def absorbed(view: View, seen: Seen, moment: Moment, *, order_id: str) -> View:
    """End what others' lots took of a sale beyond the holding, once two looks agree that the account is not short.

    It counts where the position is what the lots of others before the sale explain, or, long after the sale, where it
    is still above zero. What it brought is those lots' money: nothing of it is a result of this trade.
    """
    sale = _last_sale(view)
    if not is_short(view) or sale is None:
        return view
    position = int(seen.holding(view.trade.occ_symbol).qty)
    if not _is_absorbed(view, sale, seen, moment):
        return view.with_order(replace(sale, look_at=None, look_qty=None))
    if sale.look_at is None or sale.look_qty != position:
        return view.with_order(replace(sale, look_at=moment.now, look_qty=position))
    if moment.at(sale.look_at, moment.waits.look_gap_entry_s) is not None:
        return view
    qty, price = -view.held_qty, results.surplus_price(view)
    words = f"{qty} sold beyond the holding came out of lots that are not ours, at {price}; nothing is bought back"
    return _ended(view, Kind.ABSORBED, qty, price, words, order_id=order_id, at=moment.now, now=moment.now)


def _last_sale(view: View) -> Order | None:
    sold = [order for order in view.exit_orders if order.filled_qty and order.sent_as is not Group.FOREIGN]
    return max(sold, key=lambda order: order.fill_seen_at or order.created_at, default=None)


def _is_absorbed(view: View, sale: Order, seen: Seen, moment: Moment) -> bool:
    position = seen.holding(view.trade.occ_symbol).qty
    left = position - seen.known.holdings.get(view.trade.occ_symbol, 0)
    if left < 0 or evidence.doubt_of(seen) is not None:
        return False
    change = evidence.beyond_others(view, sale, seen, moment)
    if change == 0 and sale.base_qty is not None:
        return True
    lags = moment.at(sale.fill_seen_at or sale.created_at, moment.waits.absorbed_s) is not None
    return change >= 0 and left > 0 and not lags


def assigned(view: View) -> tuple[Order, ...]:
    """List what ended in shares."""
    return tuple(o for o in view.orders if o.role is OrderRole.COVER and o.tag.startswith(f"{NOT_OURS}{Kind.ASSIGNED}"))


def _ended(
    view: View, kind: Kind, qty: int, price: Decimal, words: str, *, order_id: str, at: datetime, now: datetime
) -> View:
    order = merging.unsent(view, kind, words, qty=qty, price=price, order_id=order_id, at=at, now=now)
    event = Event(kind="short_ended", actor="broker", text=words)
    return lifecycle.settled(replace(view, orders=(*view.orders, order)).noting(event), now)
