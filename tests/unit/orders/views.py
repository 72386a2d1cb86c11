"""Views to begin a test with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from libs.broker.orders import OrderType
from libs.common.messages.vocabulary import (
    BrokerMode,
    Duration,
    EntryType,
    OptionType,
    OrderRole,
    OrderStatus,
)
from services.orders import brackets, lifecycle
from services.orders.merging import Report
from services.orders.trade import Group, Order, Policy, Trade, View

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
OCC = "SPY261218C00650000"
_numbers = count(1)


def a_trade(**changes: Any) -> Trade:
    """Write a market trade of two contracts with both exits."""
    values: dict[str, Any] = {
        "id": "t1",
        "username": "ann",
        "idempotency_key": "k1",
        "broker_mode": BrokerMode.PAPER,
        "account_id": "VA1",
        "ticker": "SPY",
        "occ_symbol": OCC,
        "option_type": OptionType.CALL,
        "strike": Decimal(650),
        "expiry": date(2026, 12, 18),
        "multiplier": 100,
        "qty": 2,
        "entry_type": EntryType.MARKET,
        "reference_price": Decimal("4.20"),
        "sl_price": Decimal("3.00"),
        "tp_price": Decimal("6.00"),
        "created_at": NOW,
    }
    return Trade(**values | changes)


def a_view(*, as_group: bool = False, **changes: Any) -> View:
    """Write a trade whose entry is an intent."""
    trade = a_trade(**changes)
    orders = brackets.entry_orders(
        trade,
        Policy(),
        as_group=as_group,
        new_id=iter(("o-entry", "o-target", "o-stop")).__next__,
        tag="bk-entry",
        send_by=NOW + timedelta(seconds=10),
        now=NOW,
    )
    return View(trade=trade, orders=orders, account_name="Paper")


def a_report(order: Order, status: OrderStatus, filled: int = 0, price: str | None = None, **more: Any) -> Report:
    """Write what the broker says of an order."""
    values: dict[str, Any] = {
        "order_id": order.id,
        "status": status,
        "filled_qty": filled,
        "avg_price": None if price is None else Decimal(price),
        "broker_order_id": order.broker_order_id or f"b{next(_numbers)}",
        "group_order_id": order.group_order_id,
        "broker_at": NOW,
    }
    return Report(**values | more)


def working(view: View) -> View:
    """Let the broker have the entry."""
    return lifecycle.accepted(lifecycle.sent(view, "bk-entry", NOW), "bk-entry", "100", NOW)


def filled(view: View | None = None, price: str = "4.20", qty: int | None = None) -> View:
    """Let the entry be filled."""
    begun = working(view or a_view())
    order = begun.entry_orders[-1]
    report = a_report(order, OrderStatus.FILLED, qty or order.qty, price)
    return lifecycle.applied(begun, (report,), NOW)


def a_leg(role: OrderRole, *, tag: str = "bk-oco", qty: int = 2, **changes: Any) -> Order:
    """Write one resting leg of a bracket."""
    is_stop = role is OrderRole.STOP_LOSS
    values: dict[str, Any] = {
        "id": f"o-{tag}-{role}",
        "trade_id": "t1",
        "username": "ann",
        "role": role,
        "tag": tag,
        "status": OrderStatus.WORKING,
        "sent_as": Group.OCO,
        "type": OrderType.STOP if is_stop else OrderType.LIMIT,
        "duration": Duration.GTC,
        "qty": qty,
        "price": None if is_stop else Decimal("6.00"),
        "stop": Decimal("3.00") if is_stop else None,
        "broker_order_id": f"{tag}-{role}",
        "group_order_id": tag,
        "created_at": NOW,
        "sent_at": NOW,
        "answered_at": NOW,
        "confirmed_at": NOW,
        "rested_at": NOW + timedelta(seconds=1),
        "read_at": NOW,
        "reads": 2,
    }
    return Order(**values | changes)


def protected(**changes: Any) -> View:
    """Write a filled trade whose bracket rests."""
    view = filled(a_view(**changes))
    legs = (a_leg(OrderRole.TAKE_PROFIT), a_leg(OrderRole.STOP_LOSS))
    return lifecycle.settled(View(**{**_fields(view), "orders": (*view.orders, *legs)}), NOW)


def _fields(view: View) -> dict[str, Any]:
    return {name: getattr(view, name) for name in View.__dataclass_fields__}
