"""Whether what a broker shows of an account can be believed at all. Pure.

1. Positions that are gone without an order, an expiry or an exercise to explain it, and lists that lack or take back
   what is known, are doubted at once.
2. Doubt ends when two full reads without a reason agree with each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from libs.common.messages.vocabulary import TERMINAL_ORDERS, Protection, TradeStatus
from libs.market import calendar, conversions
from services.monitor.account_view import OVER, Broker, Contract, Shown, is_running
from services.monitor.reconcile import OurTrade


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubt:
    """Why an account's view is not believed, since when. `digest` names the last look that gave no reason."""

    since_at: datetime
    reason: str
    digest: str | None = None


def reasons_of(
    trades: Iterable[OurTrade],
    broker: Broker,
    shown: Shown,
    contracts: Mapping[str, Contract],
    resting: frozenset[str],
    *,
    listed_before: bool,
    short_known: frozenset[str] = frozenset(),
) -> list[str]:
    """List why this look cannot be believed."""
    reasons = []
    if listed_before and not broker.listed:
        reasons.append("the list of orders is empty, and was not earlier today")
    for trade in trades:
        if trade.trade_id in resting:
            contract = contracts[trade.occ_symbol]
            reasons += _of_orders(trade, shown, broker)
            if trade.trade_id not in short_known and is_unexplained(trade, contract, broker):
                text = f"{contract.held} {trade.occ_symbol} are held by our orders, {contract.position} are shown"
                reasons.append(text)
    return sorted(set(reasons))


def _of_orders(trade: OurTrade, shown: Shown, broker: Broker) -> list[str]:
    """List what the session's list lacks of today, or shows as it was before."""
    reasons = []
    for order in trade.orders:
        report = shown[trade.trade_id].get(order.broker_order_id or "")
        if report is None:
            continue
        is_listed = report.id in broker.listed or report.parent_id in broker.listed
        created_at = None if is_listed else report.created_at
        if created_at is not None and calendar.new_york_date(created_at) == broker.market_date:
            reasons.append(f"the list lacks order {report.id}, which is of today")
        if report.exec_qty < order.filled_qty or (order.status in TERMINAL_ORDERS and report.status not in OVER):
            reasons.append(f"order {report.id} is shown as it was before")
    return reasons


def is_unexplained(trade: OurTrade, contract: Contract, broker: Broker) -> bool:
    """Say whether contracts are gone and nothing the broker shows says how."""
    if trade.status is TradeStatus.CLOSED or trade.protection is Protection.SETTLING or is_running(trade):
        return False
    missing = contract.held - max(contract.position, Decimal(0))
    if missing <= 0 or contract.held <= 0:
        return False
    if sum(order.exec_qty for order in contract.sold) >= missing:
        return False
    if conversions.successor_of(trade.occ_symbol, missing, broker.positions):
        return False
    return not conversions.is_exercised(trade.ticker, missing, broker.positions)


def next_doubt(doubt: Doubt | None, why: list[str], digest: str, now: datetime) -> Doubt | None:
    """Begin, keep or end the doubt after a look."""
    if why:
        return Doubt(since_at=now if doubt is None else doubt.since_at, reason=why[0])
    if doubt is None or doubt.digest == digest:
        return None
    return replace(doubt, digest=digest)


def digest_of(broker: Broker) -> str:
    """Name what a look showed, so that two looks can be compared."""
    orders = sorted((o.id, o.status.value, o.exec_qty) for report in broker.orders for o in report.flat())
    positions = sorted((symbol, str(qty.normalize())) for symbol, qty in broker.positions.items() if qty)
    return hashlib.sha256(repr((orders, positions)).encode()).hexdigest()
