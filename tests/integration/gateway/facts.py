"""Facts as orders and monitor would say them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from libs.common.messages.monitor import OrderChanged
from libs.common.messages.orders import TradeFact, TradeFilled
from libs.common.messages.vocabulary import (
    BrokerMode,
    OptionType,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def trade(kind: type[TradeFact] = TradeFilled, user: str = "alice", trade_id: str = "t1", **changes: Any) -> TradeFact:
    """Return a fact of one trade."""
    given: dict[str, Any] = {
        "trade_id": trade_id,
        "id": trade_id,
        "username": user,
        "account_id": "VA00000001",
        "broker_mode": BrokerMode.PAPER,
        "ticker": "SPY",
        "occ_symbol": "SPY261218C00580000",
        "option_type": OptionType.CALL,
        "strike": Decimal(580),
        "expiry": date(2026, 12, 18),
        "multiplier": 100,
        "qty": 2,
        "filled_qty": 2,
        "status": TradeStatus.FILLED,
        "protection": Protection.PROTECTED,
        "version": 2,
        "key_version": 3,
        **changes,
    }
    return kind(**given)


def order(status: OrderStatus = OrderStatus.FILLED, **changes: Any) -> OrderChanged:
    """Return a fact of one broker order."""
    given: dict[str, Any] = {
        "order_key": "PAPER:VA00000001:7",
        "broker_mode": BrokerMode.PAPER,
        "account_id": "VA00000001",
        "broker_order_id": "7",
        "trade_id": "t1",
        "role": OrderRole.ENTRY,
        "occ_symbol": "SPY261218C00580000",
        "side": "buy_to_open",
        "status": status,
        "qty": 2,
        "filled_qty": 2 if status is OrderStatus.FILLED else 0,
        "avg_fill_price": Decimal("4.20") if status is OrderStatus.FILLED else None,
        "seen_at": NOW,
        **changes,
    }
    return OrderChanged(**given)
