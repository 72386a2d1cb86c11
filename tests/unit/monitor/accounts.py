"""Accounts to look at: trades, and what a broker shows of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as Word
from libs.common.messages.vocabulary import BrokerMode, OrderRole, OrderStatus, Protection, TradeStatus
from services.monitor.account_view import Broker
from services.monitor.doubting import Doubt
from services.monitor.findings import Looked, Standing, look
from services.monitor.reconcile import OurOrder, OurTrade

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
TODAY = date(2026, 11, 20)
OCC = "SPY261218C00650000"
ROLES = (OrderRole.ENTRY, OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS)


def holding(number: int = 1, qty: int = 2, **changes: Any) -> OurTrade:
    """Write a trade that holds, with a resting bracket; each number has a contract and ids of its own."""
    base = number * 10
    orders = tuple(
        OurOrder(
            trade_id=f"t{number}",
            role=role,
            status=OrderStatus.FILLED if role is OrderRole.ENTRY else OrderStatus.WORKING,
            tag=f"bk-{number}" if role is OrderRole.ENTRY else f"bk-{number}-exits",
            broker_order_id=str(base + step),
            qty=qty,
            filled_qty=qty if role is OrderRole.ENTRY else 0,
        )
        for step, role in enumerate(ROLES)
    )
    trade = OurTrade(
        trade_id=f"t{number}",
        username="ann",
        broker_mode=BrokerMode.PAPER,
        account_id="VA1",
        ticker="SPY",
        occ_symbol=f"SPY261218C{650000 + number * 1000:08d}",
        status=TradeStatus.FILLED,
        sl_price=Decimal("3.00"),
        tp_price=Decimal("6.00"),
        orders=orders,
        key_version=4,
        protection=Protection.PROTECTED,
    )
    return replace(trade, **changes)


def report(order: OurOrder, trade: OurTrade, **changes: Any) -> OrderReport:
    """Write an order as a broker shows it that agrees with our row."""
    stop = order.role is OrderRole.STOP_LOSS
    made = OrderReport(
        id=order.broker_order_id or "",
        order_class=OrderClass.OPTION,
        status=Word.FILLED if order.status is OrderStatus.FILLED else Word.OPEN,
        raw_status="",
        side=OrderSide.BUY_TO_OPEN if order.role is OrderRole.ENTRY else OrderSide.SELL_TO_CLOSE,
        type=OrderType.STOP if stop else OrderType.LIMIT,
        occ_symbol=trade.occ_symbol,
        qty=order.qty,
        exec_qty=order.filled_qty,
        tag=order.tag,
        created_at=NOW,
    )
    return replace(made, **changes)


def reports(trade: OurTrade, **of_roles: dict[str, Any] | None) -> list[OrderReport]:
    """Write all orders of a trade; a role given as None is not there, changes are named by role in small letters."""
    found = []
    for order in trade.orders:
        changes = of_roles.get(order.role.value.lower(), {})
        if changes is not None:
            found.append(report(order, trade, **changes))
    return found


def somebodys(order_id: str, trade: OurTrade, **changes: Any) -> OrderReport:
    """Write a sell in a trade's contract that is not ours."""
    return replace(report(trade.orders[1], trade), id=order_id, tag=None, **changes)


def shown(orders: Iterable[OrderReport], positions: dict[str, int], **changes: Any) -> Broker:
    """Write one full look."""
    orders = tuple(orders)
    made = Broker(
        orders=orders,
        listed=frozenset(one.id for one in orders),
        positions={symbol: Decimal(qty) for symbol, qty in positions.items()},
        market_date=TODAY,
    )
    return replace(made, **changes)


def looked(
    trades: Iterable[OurTrade],
    broker: Broker,
    earlier: Iterable[Standing] = (),
    doubt: Doubt | None = None,
    **changes: Any,
) -> Looked:
    """Look once at trades that all rest."""
    trades = tuple(trades)
    values: dict[str, Any] = {
        "resting": frozenset(trade.trade_id for trade in trades),
        "listed_before": False,
        "now": NOW,
    }
    return look(trades, broker, earlier, doubt, **values | changes)


def kinds(found: Looked) -> list[str]:
    """Name what was found."""
    return [one.kind.value for one in found.found]
