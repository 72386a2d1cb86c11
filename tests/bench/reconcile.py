"""One full look at an account of 1,000 orders: what changed, and what is wrong, from what the broker showed.

The reference is reading the same list off the wire, which every look pays anyway.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import orjson

from libs.broker import tradier_orders
from libs.broker.orders import OrderReport
from libs.common.http_call import Answer
from libs.common.messages.monitor import OrderChanged
from services.monitor.reconcile import Seen, reconcile
from tests.bench.report import Line, Report, percentile
from tests.journey.stack import Stack
from tests.unit.monitor.accounts import NOW, holding, looked, report, reports, shown

TRADES, FOREIGN = 333, 1
ORDERS = 3 * TRADES + FOREIGN
ROUNDS = 15
BOUND = 1.0
"""Of one core's time: judging a list must not cost more than reading it."""


def measure(_: Stack, told: Report) -> None:
    """Judge the same look again and again, once with nothing new and once with everything new."""
    trades = [holding(number) for number in range(1, TRADES + 1)]
    listed = [one for trade in trades for one in reports(trade)]
    listed.append(replace(report(trades[0].orders[1], trades[0]), id="9999999", tag=None))
    broker = shown(listed, {trade.occ_symbol: 2 for trade in trades})
    wire = _on_the_wire(listed)
    first = reconcile(trades, {}, listed, NOW)
    seen = {fact.order_key: _seen(fact) for fact, _ in first.changed}

    def whole_look() -> None:
        reconcile(trades, seen, listed, NOW)
        looked(trades, broker)

    read_ms = _quietest_ms(lambda: tradier_orders.order_page(Answer(200, {}, wire)))
    what = f"reading {ORDERS:,} orders off the wire"
    told.add(Line(f"reconcile: {ORDERS:,} orders, nothing new", _quietest_ms(whole_look), "ms", read_ms, what,
                  "<= 10 ms", BOUND))  # fmt: skip
    told.add(Line(f"reconcile: {ORDERS:,} orders, all new", _quietest_ms(lambda: reconcile(trades, {}, listed, NOW)),
                  "ms", read_ms, what))  # fmt: skip


def _seen(fact: OrderChanged) -> Seen:
    names = [name for name in Seen.__dataclass_fields__ if name in OrderChanged.model_fields]
    return Seen(**{name: getattr(fact, name) for name in names}, key_version=1)


def _quietest_ms(call: Callable[[], object]) -> float:
    """Return a low quantile: the machine's other work only ever adds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        call()
        taken.append(1000 * (time.thread_time() - began))
    return percentile(taken, 0.2)


def _on_the_wire(listed: list[OrderReport]) -> bytes:
    """Write the list as the vendor would."""
    orders = [
        {
            "id": int(one.id), "type": one.type and one.type.value, "symbol": "SPY", "option_symbol": one.occ_symbol,
            "side": one.side and one.side.value, "quantity": float(one.qty), "status": one.status.value,
            "duration": "day", "avg_fill_price": 4.2 if one.exec_qty else 0.0, "exec_quantity": float(one.exec_qty),
            "last_fill_price": 4.2, "last_fill_quantity": 1.0, "remaining_quantity": 0.0, "class": "option",
            "create_date": NOW.isoformat(), "transaction_date": NOW.isoformat(), "tag": one.tag,
            "price": str(Decimal("4.20")),
        }
        for one in listed
    ]  # fmt: skip
    return orjson.dumps({"orders": {"order": orders}})
