"""What outsiders are told of a trade, and when: the row in facts, which facts, which version.

1. Whatever changes in the row is told by at least one fact; a repeat that changes nothing tells nothing.
2. `version` rises with state, stop, target or what a person did, never with marks, acknowledgements or more fills.
3. `key_version` rises with every fact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.common.messages.orders import (
    TradeAdjusted,
    TradeChanged,
    TradeClosed,
    TradeClosing,
    TradeFact,
    TradeFilled,
    TradePartiallyFilled,
    TradePlaced,
    TradeProtected,
    TradeRejected,
    TradeUnknown,
    TradeUnprotected,
)
from libs.common.messages.trade import TradeOrder, TradeRow
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus, Protection, TradeStatus
from services.orders import corrections
from services.orders.trade import View

_OF_TRADE = tuple(name for name in TradeRow.model_fields if name not in {"orders", "key_version", "queued_for_open"})
_MARKS = ("current_price", "price_source", "last_updated", "unrealized_pnl", "max_gain", "max_drawdown")
_LIVE = frozenset({*_MARKS, "naked_s"})


def orders_of(view: View) -> tuple[TradeOrder, ...]:
    """List the broker orders as outsiders see them."""
    return tuple(
        TradeOrder(
            role=order.role,
            status=order.status,
            tag=order.tag,
            broker_order_id=order.broker_order_id,
            qty=order.qty,
            filled_qty=order.filled_qty,
            avg_price=order.avg_price,
            doubt=order.doubt,
        )
        for order in view.orders
    )


def row_values(view: View) -> dict[str, Any]:
    """Return the public row's values, marks as last stored."""
    trade = view.trade
    values = {name: getattr(trade, name) for name in _OF_TRADE if name != "account_name" and name not in _MARKS}
    values |= {name: getattr(view.marks, name) for name in _MARKS}
    values["realized_pnl"] = corrections.final_pnl_usd(view)
    return values | {
        "account_name": view.account_name,
        "key_version": view.key_version,
        "queued_for_open": view.queued is not None,
        "orders": orders_of(view),
    }


def list_doc(view: View) -> str:
    """Word the part of a list row that does not change by itself, as JSON; marks and naked seconds are added later."""
    return TradeRow(**row_values(view)).model_dump_json(exclude=set(_LIVE))


def raised(before: View, after: View) -> View:
    """Raise the version when something a person must know about changed; what they did has raised it already."""
    old, new = before.trade, after.trade
    changed = (old.status, old.sl_price, old.tp_price) != (new.status, new.sl_price, new.tp_price)
    if changed and old.version == new.version:
        return replace(after, trade=replace(new, version=new.version + 1))
    return after


def facts_of(before: View, after: View) -> tuple[TradeFact, ...]:
    """Return the facts of a change, each with the whole row and the next version of its key."""
    kinds = _kinds(before, after)
    values = row_values(after)
    return tuple(
        kind(**values | {"trade_id": after.trade.id, "key_version": before.key_version + number})
        for number, kind in enumerate(kinds, start=1)
    )


def _kinds(before: View, after: View) -> list[type[TradeFact]]:
    kinds: list[type[TradeFact]] = []
    old, new = before.trade, after.trade
    if _was_received(after) and not _was_received(before):
        kinds.append(TradePlaced)
    if _is_unknown(after) and not _is_unknown(before):
        kinds.append(TradeUnknown)
    kinds += _of_fills(before, after)
    if (old.sl_price, old.tp_price) != (new.sl_price, new.tp_price):
        kinds.append(TradeAdjusted)
    closing = new.status is TradeStatus.CLOSING and old.status is not TradeStatus.CLOSING
    if closing or (after.queued and not before.queued):
        kinds.append(TradeClosing)
    if new.status is not TradeStatus.CLOSED and new.protection is not old.protection:
        kinds += _of_protection(new.protection)
    if new.status is TradeStatus.CLOSED and old.status is not TradeStatus.CLOSED:
        kinds.append(TradeRejected if new.close_reason is CloseReason.REJECTED else TradeClosed)
    if not kinds and row_values(before) != row_values(after):
        kinds.append(TradeChanged)
    return kinds


def _of_fills(before: View, after: View) -> list[type[TradeFact]]:
    old, new = before.trade, after.trade
    if before.entry_is_over and old.filled_qty:
        more_sold = after.held_qty < before.held_qty and after.held_qty > 0
        return [TradePartiallyFilled] if more_sold else []
    if after.entry_is_over and new.filled_qty:
        return [TradeFilled]
    return [TradePartiallyFilled] if new.filled_qty > old.filled_qty else []


def _of_protection(new: Protection) -> list[type[TradeFact]]:
    if new is Protection.PROTECTED:
        return [TradeProtected]
    # PENDING is being replaced, or one leg's news came before its sibling's: told as a change, counted as naked.
    return [TradeUnprotected] if new is Protection.NAKED else []


def _was_received(view: View) -> bool:
    return any(order.role is OrderRole.ENTRY and order.group_order_id for order in view.orders)


def _is_unknown(view: View) -> bool:
    return any(order.status is OrderStatus.UNKNOWN for order in view.orders)
