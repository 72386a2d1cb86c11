"""Our view of one account and the broker's report of it, into facts and questions, purely.

1. Evidence, not absence: an order that a report leaves out changes nothing; it is only asked for by its id.
2. A report fed twice yields nothing the second time; the order of reports within one list does not matter.
3. What was executed never falls and a terminal order never lives again: an older report is stale, and ignored.
4. An execution without its price yet is not told: it is read again.
5. An order that the broker has not accepted yet (pending, held, or a word we do not know) is no news: it neither
   rests nor is over, and whoever sent it knows that it was sent.
6. Only orders of our own trades are told; the rest is somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from libs.broker.orders import OrderReport, OrderType
from libs.broker.orders import OrderStatus as BrokerWord
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import (
    NOT_OURS,
    TERMINAL_ORDERS,
    UNANSWERED_ORDERS,
    BrokerMode,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
)

_STATUS_OF: dict[BrokerWord, OrderStatus] = {
    BrokerWord.PENDING: OrderStatus.WORKING,
    BrokerWord.HELD: OrderStatus.WORKING,
    BrokerWord.OPEN: OrderStatus.WORKING,
    BrokerWord.PENDING_CANCEL: OrderStatus.WORKING,
    BrokerWord.ERROR: OrderStatus.WORKING,  # terminal only once orders has looked again
    BrokerWord.UNRECOGNISED: OrderStatus.WORKING,
    BrokerWord.PARTIALLY_FILLED: OrderStatus.PARTIAL,
    BrokerWord.FILLED: OrderStatus.FILLED,
    BrokerWord.CANCELLED: OrderStatus.CANCELLED,
    BrokerWord.EXPIRED: OrderStatus.EXPIRED,
    BrokerWord.REJECTED: OrderStatus.REJECTED,
}


_NOT_ACCEPTED = frozenset({BrokerWord.PENDING, BrokerWord.HELD, BrokerWord.ERROR, BrokerWord.UNRECOGNISED})


@dataclass(frozen=True, slots=True, kw_only=True)
class OurOrder:
    """One broker order that a trade owns, as orders last told it."""

    trade_id: str
    role: OrderRole
    status: OrderStatus
    tag: str
    broker_order_id: str | None
    qty: int
    filled_qty: int = 0

    @property
    def is_foreign(self) -> bool:
        """Say whether it stands for the part that somebody else's order took of the trade."""
        return self.tag.startswith(NOT_OURS)


@dataclass(frozen=True, slots=True, kw_only=True)
class OurTrade:
    """One tracked trade. Prices in USD per share."""

    trade_id: str
    username: str
    broker_mode: BrokerMode
    account_id: str
    ticker: str
    occ_symbol: str
    status: TradeStatus
    sl_price: Decimal | None
    tp_price: Decimal | None
    orders: tuple[OurOrder, ...]
    key_version: int
    protection: Protection = Protection.NONE
    rests: bool = True
    """Its row has not changed for a while: the broker's lists may lag behind what was just done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was last told of one broker order."""

    order_key: str
    status: OrderStatus
    filled_qty: int
    avg_fill_price: Decimal | None
    key_version: int


@dataclass(frozen=True, slots=True)
class Findings:
    """What a cycle leads to. `changed` is told to orders; `unpriced` are orders to read again soon."""

    changed: tuple[tuple[OrderChanged, int], ...] = ()
    """Each fact with the version it raises its key to."""
    unpriced: tuple[str, ...] = ()
    stale: int = 0
    reported: frozenset[str] = field(default_factory=frozenset)
    """The broker order ids that the report held, parents and legs."""


def order_key(mode: BrokerMode, account_id: str, broker_order_id: str) -> str:
    """Return the key under which one broker order is told."""
    return f"{mode}:{account_id}:{broker_order_id}"


def reconcile(
    trades: Iterable[OurTrade], seen: Mapping[str, Seen], reports: Iterable[OrderReport], now: datetime
) -> Findings:
    """Compare one account's report with our view of it. Time: `now` stamps the facts."""
    owners = Owners(trades)
    changed: list[tuple[OrderChanged, int]] = []
    unpriced: list[str] = []
    reported: set[str] = set()
    stale = 0
    for report in sorted(reports, key=lambda found: found.id):
        reported |= {report.id, *(leg.id for leg in report.flat())}
        for order in report.flat():
            owner = owners.of(order, report)
            if owner is None or (order.status in _NOT_ACCEPTED and order.exec_qty == 0):
                continue
            trade, role = owner
            last = seen.get(order_key(trade.broker_mode, trade.account_id, order.id))
            if last is not None and _same(last, order):
                continue
            if last is None and not order.is_priced:
                unpriced.append(order.id)
                continue
            fact = _fact(trade, role, order, report, now)
            if last is not None and _is_stale(last, fact):
                stale += 1
            elif order.is_priced:
                changed.append((fact, 1 if last is None else last.key_version + 1))
            else:
                unpriced.append(order.id)
    return Findings(tuple(changed), tuple(unpriced), stale, frozenset(reported))


def to_ask(
    trades: Iterable[OurTrade],
    reported: frozenset[str],
    parents: Mapping[str, str],
    *,
    most: int | None = None,
    turn: int = 0,
) -> tuple[str, ...]:
    """List what to ask by id: our orders that a list left out though they may still live (older sessions, a lag).

    A leg is asked by its group where that is known: one question for both, and the broker may know no other. With
    `most`, the part whose `turn` it is, so that all are asked in the end.
    """
    missing = {
        parents.get(order.broker_order_id, order.broker_order_id)
        for trade in trades
        for order in trade.orders
        if order.broker_order_id and order.status not in TERMINAL_ORDERS and order.broker_order_id not in reported
    }
    found = sorted(missing - reported)
    if most is None or len(found) <= most:
        return tuple(found)
    start = turn * most % len(found)
    return tuple((found + found)[start : start + most])


def is_hot(trade: OurTrade) -> bool:
    """Say whether a trade's account is to be read every few seconds: a working entry, a close, no answer."""
    entry_lives = any(o.role is OrderRole.ENTRY and o.status not in TERMINAL_ORDERS for o in trade.orders)
    unanswered = any(o.status in UNANSWERED_ORDERS for o in trade.orders)
    is_closing = trade.status is TradeStatus.CLOSING
    return is_closing or unanswered or (trade.status in (TradeStatus.OPEN, TradeStatus.PARTIAL) and entry_lives)


def crosses_exit(trade: OurTrade, mark: Decimal) -> bool:
    """Say whether a mark stands at or past an exit, so that the broker has probably acted."""
    return (trade.sl_price is not None and mark <= trade.sl_price) or (
        trade.tp_price is not None and mark >= trade.tp_price
    )


def is_over(trade: OurTrade) -> bool:
    """Say whether nothing of a trade can still change at the broker."""
    return trade.status is TradeStatus.CLOSED and all(order.status in TERMINAL_ORDERS for order in trade.orders)


class Owners:
    """Whose order a report is: by broker id first, then by our tag (a group's tag sits on its parent)."""

    def __init__(self, trades: Iterable[OurTrade]) -> None:
        self._by_id: dict[str, tuple[OurTrade, OrderRole]] = {}
        self._by_tag: dict[str, list[tuple[OurTrade, OrderRole]]] = {}
        # An entry that surfaced after its trade's end is in two trades: it is news of the one that holds it, open or
        # the newer one.
        newest = sorted(trades, key=lambda trade: trade.trade_id, reverse=True)
        for trade in sorted(newest, key=lambda trade: trade.status is TradeStatus.CLOSED):
            for order in trade.orders:
                if order.is_foreign:
                    continue
                if order.broker_order_id:
                    self._by_id.setdefault(order.broker_order_id, (trade, order.role))
                self._by_tag.setdefault(order.tag, []).append((trade, order.role))

    def of(self, order: OrderReport, parent: OrderReport) -> tuple[OurTrade, OrderRole] | None:
        """Return the trade and role of an order, or None for somebody else's."""
        if order.id in self._by_id:
            trade, role = self._by_id[order.id]
            return trade, role
        # An entry may be known by its group's id only, and so may a bracket: the leg says which one it is.
        group_id = parent.id if order is not parent else order.parent_id
        if group_id in self._by_id:
            trade, role = self._by_id[group_id]
            return trade, _role_of_leg(order) or role
        tag = parent.tag or order.tag
        candidates = self._by_tag.get(tag, []) if tag else []
        if not candidates:
            return None
        if len(candidates) == 1 and order is parent:
            return candidates[0]
        wanted = _role_of_leg(order)
        return next((found for found in candidates if found[1] is wanted), None)


def _role_of_leg(order: OrderReport) -> OrderRole | None:
    """Tell a leg's role by what it does: buys enter, stops stop, limits take profit."""
    if order.side is not None and order.side.value.startswith("buy"):
        return OrderRole.ENTRY
    if order.type in (OrderType.STOP, OrderType.STOP_LIMIT):
        return OrderRole.STOP_LOSS
    return OrderRole.TAKE_PROFIT if order.type is OrderType.LIMIT else None


def _fact(trade: OurTrade, role: OrderRole, order: OrderReport, parent: OrderReport, now: datetime) -> OrderChanged:
    status, filled_qty, avg_fill_price = _shown(order)
    return OrderChanged(
        order_key=order_key(trade.broker_mode, trade.account_id, order.id),
        broker_mode=trade.broker_mode,
        account_id=trade.account_id,
        broker_order_id=order.id,
        parent_broker_order_id=order.parent_id if order is parent else parent.id,
        tag=order.tag or parent.tag,
        trade_id=trade.trade_id,
        role=role,
        occ_symbol=order.occ_symbol or trade.occ_symbol,
        side=order.side.value if order.side is not None else None,
        status=status,
        qty=order.qty,
        filled_qty=filled_qty,
        avg_fill_price=avg_fill_price,
        reason=order.reason or parent.reason,
        broker_at=order.transaction_at,
        seen_at=now,
    )


def _shown(order: OrderReport) -> tuple[OrderStatus, int, Decimal | None]:
    """Return what makes a report news: in our words, how far the order is."""
    status = _STATUS_OF[order.status]
    if status is OrderStatus.WORKING and order.exec_qty > 0:
        status = OrderStatus.PARTIAL
    return status, order.exec_qty, order.avg_fill_price if order.exec_qty else None


def _same(last: Seen, order: OrderReport) -> bool:
    return (last.status, last.filled_qty, last.avg_fill_price) == _shown(order)


def _is_stale(last: Seen, fact: OrderChanged) -> bool:
    return fact.filled_qty < last.filled_qty or (last.status in TERMINAL_ORDERS and fact.status not in TERMINAL_ORDERS)
