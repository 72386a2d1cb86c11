"""What a person says of contracts that are gone and that nothing explains, held against what the broker shows. Pure.

1. A named order counts only when it sold them: of this account and contract, not ours, executed since we bought.
2. "Nobody knows" counts only against two whole looks that agree, and not while an order of ours may still sell them.
3. What nobody can price is booked at the last mark, and says that this is an estimate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderStatus, OrderType
from libs.common.errors import IllegalTransition, InvalidInput
from libs.common.messages.vocabulary import OrderRole
from services.orders import lifecycle, merging, past, repairing
from services.orders.repairing import Looked
from services.orders.resolving import Asker
from services.orders.steps import Moment
from services.orders.trade import Event, View


def check_holds(view: View) -> None:
    """Check that the trade holds something that can be gone. Raises: IllegalTransition."""
    if view.trade.is_locked or view.held_qty <= 0:
        raise IllegalTransition("no order of this trade is unknown, and it holds nothing that could be missing")


def as_sold(view: View, named: str, looked: Looked, by: Asker, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """Take the named order for what sold them. Raises: IllegalTransition, InvalidInput."""
    check_holds(view)
    after = repairing.known(view, looked, moment, new_id=new_id)
    taken = {order.broker_order_id for order in after.orders} - {order.broker_order_id for order in view.orders}
    tops = {leg.id: top.id for top in looked.orders for leg in top.flat()}
    if not any(named in (name, tops.get(name or "")) for name in taken):
        _check_missing(view, looked)
        shown = next((top for top in looked.orders if top.id == named), None)
        what = "unknown to the broker" if shown is None else "not a sale of these contracts since they were bought"
        raise InvalidInput(f"order {named} is {what}, or it explains other contracts already")
    text = f"{by.name} says that order {named} sold them; checked at the broker"
    return after.noting(Event(kind="resolved", actor="user", text=text, data={"via": by.via, "id": named}))


def as_gone(view: View, looks: tuple[Looked, Looked], by: Asker, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """Write off what is missing at the last mark. Raises: IllegalTransition, InvalidInput."""
    check_holds(view)
    first, looked = looks
    after = repairing.known(view, looked, moment, new_id=new_id)
    if after.trade.is_locked:
        return after
    missing = _check_missing(after, looked)
    if first.qty_of(view.trade.occ_symbol) != looked.qty_of(view.trade.occ_symbol):
        raise InvalidInput("two looks at the broker's positions do not agree; ask again")
    living = next((order for order in after.orders if not order.is_terminal), None)
    if living is not None:
        raise InvalidInput(
            f"{living.role.replace('_', ' ').lower()} order {living.group_order_id or living.tag} of this trade is not "
            "over; close the trade first, which takes it down"
        )
    price = after.marks.current_price or after.trade.entry_price or Decimal(0)
    report = _report(after, missing, price, moment, f"{past.GUESSED}{new_id()[-12:]}")
    order = merging.foreign(after, OrderRole.CLOSE, report, qty=missing, price=price, order_id=new_id(), now=moment.now)
    text = f"{by.name} says that {missing} are gone and nobody can name the order; the broker shows so in two looks. "
    event = Event(kind="resolved", actor="user", text=f"{text}Booked at the last mark {price}", data={"via": by.via})
    return lifecycle.settled(replace(after, orders=(*after.orders, order)).noting(event), moment.now)


def _check_missing(view: View, looked: Looked) -> int:
    """Return how many are missing. Raises: IllegalTransition."""
    missing = view.held_qty - repairing.left_qty(view, looked)
    if missing <= 0:
        raise IllegalTransition(
            f"no order of this trade is unknown, and the broker shows all {view.held_qty} that it holds"
        )
    return missing


def _report(view: View, qty: int, price: Decimal, moment: Moment, name: str) -> OrderReport:
    return OrderReport(
        id=name,
        order_class=OrderClass.OPTION,
        status=OrderStatus.FILLED,
        raw_status=OrderStatus.FILLED.value,
        type=OrderType.MARKET,
        side=OrderSide.SELL_TO_CLOSE,
        occ_symbol=view.trade.occ_symbol,
        qty=qty,
        exec_qty=qty,
        avg_fill_price=price,
        transaction_at=moment.now,
    )
