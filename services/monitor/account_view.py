"""What a broker shows of an account, sorted by our trades and by contract. Pure.

1. What is held is counted by our orders' executions, the broker's newer word included; a position never says it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from libs.broker.orders import OrderReport, OrderSide
from libs.broker.orders import OrderStatus as BrokerWord
from libs.common.messages.vocabulary import UNANSWERED_ORDERS, OrderRole, Protection, TradeStatus
from services.monitor.reconcile import OurTrade, Owners

OVER = frozenset({BrokerWord.FILLED, BrokerWord.CANCELLED, BrokerWord.EXPIRED, BrokerWord.REJECTED})
Shown = Mapping[str, Mapping[str, OrderReport]]
"""Each trade's orders as the broker shows them, by their ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One full look at an account: positions first, then every order of the session, then ours by id."""

    orders: tuple[OrderReport, ...]
    """Listed, and read by id where the list had them not."""
    listed: frozenset[str]
    """The ids in the list itself, legs included."""
    unknown: frozenset[str] = frozenset()
    """Our trades of whose orders, each asked by its id, the broker knows none."""
    positions: Mapping[str, Decimal]
    market_date: date


@dataclass(frozen=True, slots=True)
class Contract:
    """What the broker shows of one contract, and what is ours of it."""

    position: Decimal
    held: int
    working: tuple[OrderReport, ...] = ()
    """Not ours, and it may execute."""
    sold: tuple[OrderReport, ...] = ()
    """Not ours, each with what it sold beyond what trades have taken as theirs."""
    latest: str = ""
    """The newest of our trades in it that ever held something."""
    opened_short: int = 0
    """What orders that are not ours sold of it on purpose, by the session's list."""


def shown(trades: Iterable[OurTrade], broker: Broker, owners: Owners) -> Shown:
    """Return each trade's orders as the broker shows them, by id."""
    found: dict[str, dict[str, OrderReport]] = {trade.trade_id: {} for trade in trades}
    for report in broker.orders:
        for order in report.flat():
            owner = owners.of(order, report)
            if owner is not None:
                found[owner[0].trade_id][order.id] = order
    return found


def held_of(trade: OurTrade, orders: Mapping[str, OrderReport] | None = None) -> int:
    """Return what a trade holds by its orders' executions, the broker's newer word included. Units: contracts."""
    held, shown_now = 0, orders or {}
    for order in trade.orders:
        report = shown_now.get(order.broker_order_id or "")
        filled = order.filled_qty if report is None else max(order.filled_qty, min(report.exec_qty, order.qty))
        held += filled if order.role in (OrderRole.ENTRY, OrderRole.COVER) else -filled
    return 0 if trade.status is TradeStatus.CLOSED and held > 0 else held


def contracts(trades: Iterable[OurTrade], broker: Broker, owners: Owners, orders_of: Shown) -> dict[str, Contract]:
    """Sort holdings and foreign orders by contract."""
    held: dict[str, int] = defaultdict(int)
    latest: dict[str, str] = defaultdict(str)
    taken: dict[str, int] = defaultdict(int)
    for trade in trades:
        for own in trade.orders:
            taken[own.broker_order_id or ""] += own.filled_qty if own.is_foreign else 0
        held[trade.occ_symbol] += held_of(trade, orders_of[trade.trade_id])
        if any(own.filled_qty for own in trade.orders):
            latest[trade.occ_symbol] = max(latest[trade.occ_symbol], trade.trade_id)
    working: dict[str, list[OrderReport]] = defaultdict(list)
    sold: dict[str, list[OrderReport]] = defaultdict(list)
    on_purpose: dict[str, int] = defaultdict(int)
    for report in sorted(broker.orders, key=lambda one: one.id):
        for order in report.flat():
            if order.occ_symbol is None or owners.of(order, report) is not None:
                continue
            if order.status not in OVER:
                working[order.occ_symbol].append(order)
            if order.side is OrderSide.SELL_TO_OPEN:
                on_purpose[order.occ_symbol] += order.exec_qty
            # What a trade has taken as its end explains nothing a second time.
            rest = order.exec_qty - taken[order.id]
            if rest > 0 and order.side is OrderSide.SELL_TO_CLOSE:
                sold[order.occ_symbol].append(replace(order, exec_qty=rest))
    symbols = {*held, *working, *(symbol for symbol in broker.positions if is_option(symbol))}
    return {
        symbol: Contract(
            broker.positions.get(symbol, Decimal(0)),
            held[symbol],
            tuple(working[symbol]),
            tuple(sold[symbol]),
            latest[symbol],
            on_purpose[symbol],
        )
        for symbol in sorted(symbols)
    }


def is_option(symbol: str) -> bool:
    """Say whether a position is of an option; shares have short names."""
    return len(symbol) > 15


def is_running(trade: OurTrade) -> bool:
    """Say whether a flow has the trade in hand: what it does now is no finding."""
    unanswered = any(order.status in UNANSWERED_ORDERS for order in trade.orders)
    return unanswered or trade.status is TradeStatus.CLOSING or trade.protection is Protection.PENDING
