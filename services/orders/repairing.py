"""What follows for a trade from a second, full look at its contract: evidence, never absence. Pure.

1. A quantity that is missing ends only by a sale that explains it: in the contract, not ours, executed since we bought,
   and not taken to explain anything else. Without one nothing is closed; it is only no longer offered for sale.
2. A working sell that is not ours takes inventory: while it leaves too little, nothing is placed over it.
3. A look fed twice changes nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from libs.broker.orders import OrderReport, OrderSide, OrderType
from libs.broker.reports import PositionReport
from libs.common.messages.vocabulary import BrokerMode, Finding, OrderRole, Protection, TradeStatus
from libs.market.options import OccSymbol
from services.orders import asking, lifecycle, merging
from services.orders.contract import Beside, holding_of
from services.orders.past import is_past
from services.orders.protection import FOREIGN_STOP
from services.orders.reading import reports_of
from services.orders.steps import Moment
from services.orders.trade import ActionState, Event, Group, View

STOP, OTHER = FOREIGN_STOP, "other"
_STOPS = frozenset({OrderType.STOP, OrderType.STOP_LIMIT})
_NEVER_OURS = frozenset({Finding.FOREIGN})
_OF_THE_CLOSED = frozenset({Finding.ORPHAN, Finding.SHORT})
_WIPED_MODES = frozenset({BrokerMode.PAPER, BrokerMode.TRADIER_SANDBOX})


class Standing(StrEnum):
    """What a request to repair is answered."""

    STARTED = "started"
    MOVED_ON = "moved_on"
    NOTHING_TO_DO = "nothing_to_do"


@dataclass(frozen=True, slots=True)
class Looked:
    """One full look: positions first, then the orders of the session, then by id what the list left out."""

    positions: tuple[PositionReport, ...]
    orders: tuple[OrderReport, ...]
    gone: frozenset[str] = frozenset()
    """Broker ids that were asked for and are not known there."""
    beside: Beside = field(default_factory=Beside)

    def beside_of(self, now: Beside) -> Looked:
        """Return the same look among what other trades have by now; what they bought since is not in its positions."""
        held_qty = min(self.beside.held_qty, now.held_qty)
        return replace(self, beside=replace(now, held_qty=held_qty))

    def qty_of(self, occ_symbol: str) -> Decimal:
        """Return what the account holds of a contract; below zero is short."""
        return holding_of(self.positions, occ_symbol).qty


def standing(view: View, finding: Finding, seen_key_version: int, *, is_running: bool) -> Standing:
    """Say whether a finding is still about the trade as it is."""
    if view.key_version > seen_key_version or is_running:
        return Standing.MOVED_ON
    if finding in _NEVER_OURS or view.trade.protection is Protection.SETTLING:
        return Standing.NOTHING_TO_DO
    if view.trade.status is TradeStatus.CLOSED and finding not in _OF_THE_CLOSED:
        return Standing.NOTHING_TO_DO
    return Standing.STARTED


def judged(view: View, action_id: str, looked: Looked, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """Do what follows from a look that was asked for, and end the asking."""
    action = next((one for one in view.actions if one.id == action_id and one.is_active), None)
    if action is None:
        return view
    before = view
    if action.finding is Finding.SANDBOX_WIPE:
        view = _wiped(view, looked, moment.now)
    elif action.finding is Finding.DOUBTFUL:
        view = remembered(view, looked, moment, new_id=new_id)
    elif action.finding is Finding.CORPORATE_ACTION:
        view = _succeeded(view, action.successor_occ, looked)
    else:
        view = known(view, looked, moment, new_id=new_id)
    words = "looked again" if view == before else "looked again, and it was so"
    return asking.ended(view, action_id, ActionState.DONE, moment.now, words=f"{words}: {action.finding}")


def known(view: View, looked: Looked, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """Bring the trade up to what a look shows: its orders, sales by others, inventory that is taken."""
    view = _accounted(view, looked, moment, new_id=new_id)
    if view.trade.is_locked:
        return view
    left = max(_left(view, looked), 0)
    trade = replace(
        view.trade,
        shown_qty=left if left < view.held_qty else None,
        foreign_exit=_foreign_exit(view, left, looked),
    )
    return view if trade == view.trade else lifecycle.settled(replace(view, trade=trade), moment.now)


def _accounted(view: View, looked: Looked, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """Take in what our own orders did, and what others' orders explain of what is missing."""
    for report in looked.orders:
        found = reports_of(view.orders, report)
        if found:
            view = lifecycle.applied(view, found, moment.now)
    missing = view.held_qty - _left(view, looked)
    if missing > 0:
        view = _explained(view, OrderRole.CLOSE, missing, looked, moment, new_id=new_id)
    elif view.held_qty < 0:
        view = _explained(view, OrderRole.COVER, min(-missing, -view.held_qty), looked, moment, new_id=new_id)
    return view


def remembered(view: View, looked: Looked, moment: Moment, *, new_id: Callable[[], str]) -> View:
    """Take of a look at an account in doubt what its history explains, and our own orders; lists say nothing there."""
    sure = [top for top in looked.orders if is_past(top.id) or reports_of(view.orders, top)]
    return _accounted(view, replace(looked, orders=tuple(sure)), moment, new_id=new_id)


def missing_qty(view: View, looked: Looked, moment: Moment) -> int:
    """Return how many contracts are missing after everything a look explains; zero of a trade that is over."""
    after = _accounted(view, looked, moment, new_id=str)
    return 0 if after.trade.is_locked else max(after.held_qty - left_qty(after, looked), 0)


def left_qty(view: View, looked: Looked) -> int:
    """Return what the positions leave for a trade that is not over. Units: contracts."""
    return max(_left(view, looked), 0)


def held_since(view: View) -> datetime | None:
    """Return when the first contract was bought. Time: the venue's own."""
    return min((order.filled_at for order in view.entry_orders if order.filled_at), default=None)


def may_protect(view: View) -> bool:
    """Say whether exits may be placed after a look."""
    trade = view.trade
    return view.held_qty > 0 and trade.foreign_exit is None and trade.successor_occ is None and trade.shown_qty != 0


def coverable_qty(view: View, looked: Looked) -> int:
    """Return how many contracts are to be bought back: sold too much by our orders, and short at the broker."""
    return min(-view.held_qty, -int(looked.qty_of(view.trade.occ_symbol)))


def _left(view: View, looked: Looked) -> int:
    """Return what the positions leave for this trade; below zero is short."""
    position = int(looked.qty_of(view.trade.successor_occ or view.trade.occ_symbol))
    # What others hold is not missing here; a trade that is over misses only what the account is short of.
    return min(position, 0) if view.trade.is_locked else position - looked.beside.held_qty


# ── others' orders ───────────────────────────────────────────────────────────────────────────────────────────────────


def _others(view: View, looked: Looked) -> Iterable[tuple[OrderReport, OrderReport]]:
    """List others' orders in the contract, each with its top."""
    symbols = {view.trade.occ_symbol, view.trade.successor_occ}
    seen: set[str] = set()
    for top in looked.orders:
        for flat in top.flat():
            ours = looked.beside.ours.intersection((flat.id, top.id))
            if flat.occ_symbol in symbols and not ours and flat.id not in seen:
                seen.add(flat.id)
                yield flat, top


def _explained(
    view: View, role: OrderRole, qty: int, looked: Looked, moment: Moment, *, new_id: Callable[[], str]
) -> View:
    """Take others' executions for what is missing, or too much, as far as they explain it."""
    side = OrderSide.SELL_TO_CLOSE if role is OrderRole.CLOSE else OrderSide.BUY_TO_CLOSE
    since = held_since(view)
    for flat, _ in _others(view, looked):
        at = flat.transaction_at or flat.created_at
        if flat.side is not side or not flat.is_priced or at is None or since is None or at < since:
            continue
        taken = sum(used for own, used in looked.beside.explained if own == flat.id)
        part = min(flat.exec_qty - taken, qty)
        if part <= 0:
            continue
        price = _price_of_rest(view, flat, taken)
        order = merging.foreign(view, role, flat, qty=part, price=price, order_id=new_id(), now=moment.now)
        text = f"{part} {'sold' if role is OrderRole.CLOSE else 'bought back'} by an order that is not ours, {flat.id}"
        event = Event(kind="explained", actor="broker", text=f"{text}, at {price}")
        view = lifecycle.settled(replace(view, orders=(*view.orders, order)).noting(event), moment.now)
        qty -= part
    return view


def _price_of_rest(view: View, flat: OrderReport, taken: int) -> Decimal:
    """Return what the executions cost that this trade has not taken yet; the broker tells one average for them all."""
    average = flat.avg_fill_price or Decimal(0)
    own = [o for o in view.orders if o.sent_as is Group.FOREIGN and o.broker_order_id == flat.id]
    if not own or sum(o.filled_qty for o in own) != taken or flat.exec_qty <= taken:
        return average
    before = sum(((o.avg_price or Decimal(0)) * o.filled_qty for o in own), Decimal(0))
    return (average * flat.exec_qty - before) / (flat.exec_qty - taken)


def _foreign_exit(view: View, left: int, looked: Looked) -> str | None:
    """Name the working sell of somebody else that leaves too little to protect what we hold."""
    taken: dict[str, int] = {}
    kinds = set()
    for flat, top in _others(view, looked):
        if flat.side is OrderSide.SELL_TO_CLOSE and not flat.is_terminal:
            taken[top.id] = max(taken.get(top.id, 0), flat.qty - flat.exec_qty)
            kinds.add(STOP if flat.type in _STOPS else OTHER)
    if not taken or view.held_qty <= 0 or left - sum(taken.values()) >= view.held_qty:
        return None
    # Our own exits that rest hold inventory as well; a bracket that is whole has nothing to fear.
    return STOP if STOP in kinds else OTHER


# ── what a venue does to a whole account ─────────────────────────────────────────────────────────────────────────────


def _wiped(view: View, looked: Looked, now: datetime) -> View:
    trade = view.trade
    asked = {order.group_order_id for order in view.orders if order.group_order_id}
    still_there = looked.qty_of(trade.occ_symbol) != 0 or not asked <= looked.gone
    if trade.broker_mode not in _WIPED_MODES or still_there or not asked or trade.is_locked:
        return view
    price = view.marks.current_price or trade.entry_price or Decimal(0)
    return lifecycle.wiped(view, price, now)


def _succeeded(view: View, successor_occ: str | None, looked: Looked) -> View:
    trade = view.trade
    if successor_occ in (None, trade.successor_occ) or trade.is_locked or looked.qty_of(trade.occ_symbol) != 0:
        return view
    held = looked.qty_of(successor_occ)
    same_underlying = OccSymbol.parse(successor_occ).root.startswith(OccSymbol.parse(trade.occ_symbol).root)
    if held < view.held_qty or view.held_qty <= 0 or not same_underlying:
        return view
    event = Event(kind="corporate_action", actor="broker", text=f"{trade.occ_symbol} became {successor_occ}")
    return replace(view, trade=replace(trade, successor_occ=successor_occ)).noting(event)
