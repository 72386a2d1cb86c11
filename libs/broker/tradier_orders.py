"""Tradier's order objects as reports. Pure.

1. Unknown words become `UNRECOGNISED` and keep the order alive; only a known terminal word ends it.
2. A list is complete or it is an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar

from libs.broker import tradier_wire as wire
from libs.broker.orders import (
    AccountHint,
    CancelAnswer,
    Duration,
    OrderClass,
    OrderReport,
    OrderSide,
    OrderStatus,
    OrderType,
    PlacedOrder,
    PreviewReport,
)
from libs.broker.tradier_wire import Raw
from libs.common.http_call import Answer, Unreadable
from libs.market.options import is_option_symbol

W = TypeVar("W", bound=StrEnum)

DEFAULT_PAGE_SIZE: Final = 25
"""What the broker lists when it ignores `limit`; every cap ever seen is a multiple of it."""

_STATUSES: Final = {
    "pending": OrderStatus.PENDING,
    "submitted": OrderStatus.PENDING,
    "held": OrderStatus.HELD,
    "open": OrderStatus.OPEN,
    "accepted_for_bidding": OrderStatus.OPEN,
    "calculated": OrderStatus.OPEN,
    "partially_filled": OrderStatus.PARTIALLY_FILLED,
    "pending_cancel": OrderStatus.PENDING_CANCEL,
    "filled": OrderStatus.FILLED,
    "canceled": OrderStatus.CANCELLED,
    "cancelled": OrderStatus.CANCELLED,
    "expired": OrderStatus.EXPIRED,
    "rejected": OrderStatus.REJECTED,
    "error": OrderStatus.ERROR,
}


def status_of(word: str | None) -> OrderStatus:
    """Return the status a word means."""
    return _STATUSES.get((word or "").lower(), OrderStatus.UNRECOGNISED)


def _word(words: type[W], value: Any, unrecognised: W) -> W | None:
    text = wire.text(value)
    if text is None:
        return None
    try:
        return words(text.lower())
    except ValueError:
        return unrecognised


def order_report(raw: Raw, parent_id: str | None = None) -> OrderReport:
    """Read one order object, its legs included. Raises: Unreadable."""
    own_id = wire.identifier(raw)
    symbol, occ_symbol = wire.text(raw.get("symbol")), wire.text(raw.get("option_symbol"))
    if occ_symbol is None and symbol is not None and is_option_symbol(symbol):
        symbol, occ_symbol = None, symbol
    raw_status = wire.text(raw.get("status")) or ""
    average = wire.decimal(raw.get("avg_fill_price"))
    last = wire.decimal(raw.get("last_fill_price"))
    legs = tuple(order_report(leg, own_id) for leg in wire.many(raw, "leg"))
    default_class = OrderClass.OPTION if occ_symbol else OrderClass.UNRECOGNISED
    return OrderReport(
        id=own_id,
        order_class=_word(OrderClass, raw.get("class"), OrderClass.UNRECOGNISED) or default_class,
        status=status_of(raw_status),
        raw_status=raw_status,
        side=_word(OrderSide, raw.get("side"), OrderSide.UNRECOGNISED),
        type=_word(OrderType, raw.get("type"), OrderType.UNRECOGNISED),
        duration=_word(Duration, raw.get("duration"), Duration.UNRECOGNISED),
        symbol=symbol,
        occ_symbol=occ_symbol,
        qty=wire.integer(raw.get("quantity")) or 0,
        exec_qty=executed_qty(raw),
        remaining_qty=wire.integer(raw.get("remaining_quantity")),
        avg_fill_price=average or None,
        last_fill_price=last or None,
        price=wire.decimal(raw.get("price")),
        stop=wire.decimal(raw.get("stop_price", raw.get("stop"))),
        tag=wire.text(raw.get("tag")),
        legs=legs,
        parent_id=parent_id or wire.text(raw.get("parent_id")),
        created_at=wire.instant(raw.get("create_date")),
        transaction_at=wire.instant(raw.get("transaction_date")),
        reason=wire.text(raw.get("reason_description")),
    )


def executed_qty(raw: Raw) -> int:
    """Return what executed; the pages disagree about the name."""
    return wire.integer(raw.get("exec_quantity", raw.get("executed_quantity"))) or 0


@dataclass(frozen=True, slots=True)
class OrderPage:
    """One page of the order list."""

    orders: tuple[OrderReport, ...]
    total_orders: int | None
    total_pages: int | None


def order_page(answer: Answer) -> OrderPage:
    """Read a page of the list. Raises: Unreadable, UpstreamAuth, UpstreamRefused."""
    data = wire.read_body(answer, "order list")
    if "orders" not in data:
        raise Unreadable("no orders in the answer")
    orders = data["orders"]
    meta = orders if isinstance(orders, Mapping) else {}
    return OrderPage(
        orders=tuple(order_report(raw) for raw in wire.many(orders, "order")),
        total_orders=wire.integer(meta.get("total_orders", data.get("total_orders"))),
        total_pages=wire.integer(meta.get("total_pages", data.get("total_pages"))),
    )


def is_last_page(page: OrderPage, number: int, new_orders: int) -> bool:
    """Say whether a page ends the list.

    A `limit` may be cut down silently, so without the broker's own count a page is the last only when it brings nothing
    new, or when its size is no multiple of the page size and so was not cut.
    """
    if page.total_pages is not None:
        return number >= page.total_pages
    return new_orders == 0 or len(page.orders) % DEFAULT_PAGE_SIZE != 0


def check_complete(found: Iterable[OrderReport], total_orders: int | None) -> None:
    """Compare with the broker's count. Raises: Unreadable when the list is short."""
    count = sum(1 for _ in found)
    if total_orders is not None and count < total_orders:
        raise Unreadable(f"the list has {count} of {total_orders} orders")


def single_order(answer: Answer) -> OrderReport:
    """Read one order. Raises: NotFound, Unreadable, UpstreamAuth."""
    data = wire.read_body(answer, "order", by_id=True)
    order = data.get("order")
    if not isinstance(order, Mapping):
        raise Unreadable("no order in the answer")
    return order_report(order)


def placed(answer: Answer) -> PlacedOrder:
    """Read the answer to a new order. Raises: UpstreamRefused with the broker's words; Unreadable: unknown."""
    return PlacedOrder(wire.order_id(wire.write_body(answer, "place order")))


def previewed(answer: Answer) -> PreviewReport:
    """Read a preview. Raises: UpstreamRefused."""
    order = wire.read_body(answer, "preview").get("order")
    if not isinstance(order, Mapping):
        raise Unreadable("no order in the answer")
    cost: Decimal | None = wire.decimal(order.get("cost"))
    return PreviewReport(
        cost_usd=cost if cost is not None else wire.decimal(order.get("order_cost")),
        commission_usd=wire.decimal(order.get("commission")),
        fees_usd=wire.decimal(order.get("fees")),
        margin_change_usd=wire.decimal(order.get("margin_change")),
    )


def cancelled(answer: Answer) -> CancelAnswer:
    """Read the answer to a cancel; how the order ended it never says. Raises: NotFound, UpstreamRefused."""
    if answer.status in {200, 400} and "already in finalized state" in answer.text:
        return CancelAnswer.ALREADY_FINAL
    wire.order_id(wire.write_body(answer, "cancel order", by_id=True))
    return CancelAnswer.REQUESTED


def hint(message: Any) -> AccountHint | None:
    """Read a message of the account stream; None for heartbeats and whatever names no order."""
    if not isinstance(message, Mapping) or message.get("event") != "order":
        return None
    try:
        own_id = wire.identifier(message)
    except Unreadable:
        return None
    return AccountHint(
        order_id=own_id,
        status=status_of(wire.text(message.get("status"))),
        parent_id=wire.text(message.get("parent_id")),
        tag=wire.text(message.get("tag")),
        account_id=wire.text(message.get("account")),
        at=wire.instant(message.get("transaction_date")),
    )
