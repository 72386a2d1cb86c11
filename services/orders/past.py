"""What others sold of a contract on earlier days, by the account's history, worded as the orders no list shows. Pure.

1. A history tells days and prices, no orders: what it tells of a day less what our own orders did that day is others'.
2. It counts only while it is complete: an execution of ours that it lacks means that the rest may be missing as well.
3. The day that lists show is left to them; nothing is counted twice.
4. What others sold of lots of their own, held before or bought since, explains nothing: the earliest sales were those.
5. Named by its day and contract: what one look took as explained, no later look takes again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time
from decimal import Decimal

from libs.broker.orders import Duration, OrderClass, OrderReport, OrderSide, OrderStatus, OrderType
from libs.broker.reports import PastTrade
from libs.market import calendar
from services.orders.contract import OurFill

NAMED = "history-"
GUESSED = "gone-"
"""The name of what a person says is gone, by an order that nobody knows."""
_CLOSE = time(16)
_LAST = time(23, 59, 59)


def is_past(broker_order_id: str | None) -> bool:
    """Say whether an order stands for what a history, or a person, told; no broker knows it by that name."""
    return broker_order_id is not None and broker_order_id.startswith((NAMED, GUESSED))


@dataclass(slots=True)
class _Day:
    """What one side did on one day: contracts, and USD per share times contracts."""

    qty: dict[bool, Decimal] = field(default_factory=lambda: defaultdict(Decimal))
    worth: dict[bool, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def add(self, qty: Decimal, price: Decimal) -> None:
        self.qty[qty < 0] += abs(qty)
        self.worth[qty < 0] += abs(qty) * price


def sales_by_others(
    occ_symbol: str,
    told: Iterable[PastTrade],
    ours: Iterable[OurFill],
    *,
    since: datetime,
    today: date,
    foreign_lots: Decimal = Decimal(0),
) -> tuple[OrderReport, ...]:
    """Word what others sold from `since` until yesterday. Empty also while the history is not complete.

    Units: `foreign_lots` are the contracts that others held when ours began.
    """
    begun = calendar.new_york_date(since)
    days: dict[date, _Day] = defaultdict(_Day)
    own: dict[date, _Day] = defaultdict(_Day)
    for one in told:
        if one.symbol == occ_symbol and begun <= one.day < today:
            days[one.day].add(one.qty, one.price)
    for fill in ours:
        if begun <= (day := calendar.new_york_date(fill.at)) < today:
            own[day].add(Decimal(fill.qty), fill.price)
    by_day = [(day, days[day], own[day]) for day in sorted({*days, *own})]
    if any(mine.qty[is_sale] > there.qty[is_sale] for _, there, mine in by_day for is_sale in (True, False)):
        return ()
    theirs = max(foreign_lots, Decimal(0)) + sum(there.qty[False] - mine.qty[False] for _, there, mine in by_day)
    found = []
    for day, there, mine in by_day:
        sold = there.qty[True] - mine.qty[True]
        of_ours = sold - min(theirs, sold)
        theirs -= sold - of_ours
        if of_ours >= 1:
            price = (there.worth[True] - mine.worth[True]) / sold
            found.append(_worded(occ_symbol, day, int(of_ours), price, since))
    return tuple(found)


def _worded(occ_symbol: str, day: date, qty: int, price: Decimal, since: datetime) -> OrderReport:
    """Write one day's sales as an order; its time, which nobody knows, is the close, or ours where that was later."""
    at = max(calendar.new_york(day, _CLOSE), since)
    return OrderReport(
        id=f"{NAMED}{day:%Y%m%d}-{occ_symbol}",
        order_class=OrderClass.OPTION,
        status=OrderStatus.FILLED,
        raw_status=OrderStatus.FILLED.value,
        type=OrderType.MARKET,
        duration=Duration.DAY,
        side=OrderSide.SELL_TO_CLOSE,
        occ_symbol=occ_symbol,
        qty=qty,
        exec_qty=qty,
        avg_fill_price=price,
        # Nobody knows when it was given: not before anything of ours that day.
        created_at=max(calendar.new_york(day, _LAST), since),
        transaction_at=at,
    )
