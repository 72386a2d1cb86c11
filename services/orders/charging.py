"""What the broker took for a trade's executions: its share of the commissions that the account's history tells. Pure.

1. A history tells days, no orders: what one side of a contract cost on a day is shared, contract by contract, among all
   who traded it then.
2. It counts once it is complete: every day of the trade is over, and tells at least what our own orders did that day.
3. What is known is noted even where it is nothing, so that nobody asks again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal

from libs.broker.reports import PastTrade
from libs.common.messages.vocabulary import OrderRole
from libs.market import calendar
from services.orders import corrections
from services.orders.contract import OurFill
from services.orders.trade import Event, Group, View

FEES = "fees"
"""Names the correction, and the event that says the history was read."""
_BOUGHT = frozenset({OrderRole.ENTRY, OrderRole.COVER})
_STEP = Decimal("0.0001")

_DaySide = tuple[date, bool]
"""A New York day, and whether contracts were sold on it."""


def first_day(view: View) -> date | None:
    """Return the first day on which an order of the trade executed; None where none did."""
    return min((day for day, _ in _of_trade(view)), default=None)


def is_over(view: View, today: date) -> bool:
    """Say whether every day of the trade has passed. A history is written in the night after."""
    return all(day < today for day, _ in _of_trade(view))


def told_usd(view: View, told: Iterable[PastTrade], ours: Iterable[OurFill], today: date) -> Decimal | None:
    """Return what the trade cost in commissions, None while the history does not tell all of it. Units: USD.

    `ours` is what every order of ours executed in the contract, this trade's included.
    """
    if not is_over(view, today):
        return None
    there: dict[_DaySide, Decimal] = defaultdict(Decimal)
    cost_usd: dict[_DaySide, Decimal] = defaultdict(Decimal)
    for one in told:
        if one.symbol == view.trade.occ_symbol:
            there[one.day, one.qty < 0] += abs(one.qty)
            cost_usd[one.day, one.qty < 0] += one.commission_usd
    all_ours = _by_day((fill.at, fill.qty) for fill in ours)
    found = Decimal(0)
    for key, qty in _of_trade(view).items():
        if there[key] < max(all_ours[key], qty):
            return None
        found += cost_usd[key] * qty / there[key]
    return found.quantize(_STEP)


def booked(view: View, fees_usd: Decimal, now: datetime) -> View:
    """Take the commissions from the result, and note that they are known. Idempotent: a repeat takes nothing."""
    difference = -fees_usd - corrections.total_usd(view, frozenset({FEES}))
    if difference:
        return corrections.append(view, FEES, difference, "commissions, by the account's history", now).noting(
            Event(kind=FEES, text=f"the account's history tells {fees_usd.normalize():f} USD of commissions")
        )
    return view.noting(Event(kind=FEES, text="the account's history tells no commissions beyond those known"))


def _of_trade(view: View) -> dict[_DaySide, Decimal]:
    """Sum what the trade's own orders executed, by day and side."""
    return _by_day(
        (order.filled_at, order.filled_qty if order.role in _BOUGHT else -order.filled_qty)
        for order in view.orders
        if order.filled_qty and order.filled_at is not None and order.sent_as is not Group.FOREIGN
    )


def _by_day(fills: Iterable[tuple[datetime, int]]) -> dict[_DaySide, Decimal]:
    summed: dict[_DaySide, Decimal] = defaultdict(Decimal)
    for at, qty in fills:
        summed[calendar.new_york_date(at), qty < 0] += abs(qty)
    return summed
