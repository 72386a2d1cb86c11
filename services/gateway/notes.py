"""What a fact becomes in the user's inbox: pure, a line or nothing.

1. A line's `cause` names what it tells, so that the same news told again, or by two facts, is one line.
2. The words are complete sentences a person understands without opening the trade.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.common.errors import InvalidInput
from libs.common.messages.gateway import NotificationData
from libs.common.messages.monitor import Incident, OrderChanged
from libs.common.messages.orders import TradeFact
from libs.common.messages.vocabulary import OrderRole, OrderStatus
from libs.market.options import OccSymbol

ORDER_TYPES = {
    OrderStatus.WORKING: "order_accepted",
    OrderStatus.PARTIAL: "order_partial_fill",
    OrderStatus.FILLED: "order_filled",
    OrderStatus.CANCELLED: "order_cancelled",
    OrderStatus.REJECTED: "order_rejected",
    OrderStatus.EXPIRED: "order_expired",
}
ROLE_WORDS = {
    OrderRole.ENTRY: "Entry",
    OrderRole.STOP_LOSS: "Stop",
    OrderRole.TAKE_PROFIT: "Target",
    OrderRole.CLOSE: "Close",
    OrderRole.COVER: "Cover",
}
REASON_WORDS = {
    "TP_HIT": "target hit",
    "SL_HIT": "stop hit",
    "MANUAL_CLOSE": "closed by you",
    "EXPIRED_OTM": "expired worthless",
    "EXPIRED_ITM": "expired in the money",
    "REJECTED": "entry refused",
    "CANCELLED": "entry cancelled",
    "CLOSED_AT_BROKER": "closed at the broker",
    "FLATTENED": "flattened",
    "KILL_SWITCH": "closed by the kill switch",
}


@dataclass(frozen=True)
class Note:
    """A line of the inbox before it is stored."""

    cause: str
    data: NotificationData


def of_order(fact: OrderChanged) -> Note | None:
    """Tell what became of a broker order; a status nobody waits for is nothing."""
    kind = ORDER_TYPES.get(fact.status)
    if kind is None or fact.trade_id is None:
        return None
    what = ROLE_WORDS[fact.role] if fact.role else "Order"
    ended = {
        OrderStatus.WORKING: f"{what} for {fact.qty} accepted",
        OrderStatus.PARTIAL: f"{what} filled in part: {fact.filled_qty} of {fact.qty}{_at(fact.avg_fill_price)}",
        OrderStatus.FILLED: f"{what} filled: {fact.filled_qty}{_at(fact.avg_fill_price)}",
        OrderStatus.CANCELLED: f"{what} cancelled",
        OrderStatus.REJECTED: f"{what} rejected",
        OrderStatus.EXPIRED: f"{what} expired",
    }[fact.status]
    data = NotificationData(
        trade_id=fact.trade_id,
        symbol=fact.occ_symbol,
        action=fact.side,
        type=kind,
        status=fact.status,
        message=_sentence(fact.occ_symbol, ended, fact.reason),
        fill_price=fact.avg_fill_price,
        quantity=fact.filled_qty or fact.qty,
        account=fact.account_id,
        timestamp=fact.broker_at or fact.seen_at,
    )
    return Note(f"order:{fact.order_key}:{fact.status}:{fact.filled_qty}", data)


def of_trade(fact: TradeFact, at: datetime) -> Note:
    """Tell that a trade ended, was refused, stands without its exits or waits for the broker's word. Time: `at`."""
    quantity = f"{fact.filled_qty or fact.qty}"
    text = {
        "trade_closed": _closed(fact),
        "trade_rejected": "the entry was refused",
        "trade_unprotected": f"{quantity} held without every exit you asked for",
        "trade_unknown": "the broker has not said yet what became of an order; it is being asked",
    }[fact.topic]
    data = NotificationData(
        trade_id=fact.trade_id,
        symbol=fact.occ_symbol,
        action=fact.close_reason if fact.topic == "trade_closed" else None,
        type=fact.topic,
        status=fact.status,
        message=_sentence(fact.occ_symbol, text, fact.reason),
        fill_price=fact.close_price,
        quantity=fact.filled_qty or fact.qty,
        account=fact.account_id,
        timestamp=at,
    )
    once = fact.topic in {"trade_closed", "trade_rejected"}
    return Note(f"trade:{fact.trade_id}:{fact.topic}" + ("" if once else f":{fact.key_version}"), data)


def of_incident(fact: Incident, topic: str) -> Note:
    """Tell that an incident began or is over."""
    is_over = topic == "incident_ended"
    data = NotificationData(
        trade_id=fact.trade_id,
        symbol=fact.occ_symbol,
        action=fact.kind,
        type=topic,
        status=fact.severity,
        message=f"Over: {fact.text}" if is_over else fact.text,
        account=fact.account_id,
        timestamp=(fact.ended_at if is_over else None) or fact.opened_at,
    )
    return Note(f"incident:{fact.id}:{topic}", data)


def _closed(fact: TradeFact) -> str:
    reason = REASON_WORDS.get(fact.close_reason or "", "over")
    price = _at(fact.close_price)
    result = "" if fact.realized_pnl is None else f", {'+' if fact.realized_pnl >= 0 else '-'}${abs(fact.realized_pnl)}"
    return f"{reason}{price}{result}"


def _at(price: Decimal | None) -> str:
    return "" if price is None else f" at {price}"


def _sentence(symbol: str | None, text: str, reason: str | None) -> str:
    return f"{_contract(symbol)}: {text}" + (f" ({reason})" if reason else "")


def _contract(symbol: str | None) -> str:
    """Name a contract as people do."""
    if symbol is None:
        return "Order"
    try:
        occ = OccSymbol.parse(symbol)
    except InvalidInput:
        return symbol
    return f"{occ.root} {occ.expiry} {occ.strike} {occ.option_type.title()}"
