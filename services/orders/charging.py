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
_Span = tuple[date, date, bool]
"""The days on which an order may have executed, from its first to its last execution's, and whether it sold."""


def first_day(view: View) -> date | None:
    """Return the first day on which an order of the trade may have executed; None where none did."""
    return min((first for first, _, _ in _of_trade(view)), default=None)


def is_over(view: View, today: date) -> bool:
    """Say whether every day of the trade has passed. A history is written in the night after."""
    return all(last < today for _, last, _ in _of_trade(view))


def told_usd(view: View, told: Iterable[PastTrade], ours: Iterable[OurFill], today: date) -> Decimal | None:
    """Return what the trade cost in commissions, None while the history does not tell all of it. Units: USD.

    `ours` is what every order of ours executed in the contract, this trade's included. What the day of an order's last
    execution does not tell of it is looked for on the days before, since it was placed: an exit may rest for weeks.
    """
    if not is_over(view, today):
        return None
    there: dict[_DaySide, Decimal] = defaultdict(Decimal)
    cost_usd: dict[_DaySide, Decimal] = defaultdict(Decimal)
    for one in told:
        if one.symbol == view.trade.occ_symbol:
            there[one.day, one.qty < 0] += abs(one.qty)
            cost_usd[one.day, one.qty < 0] += one.commission_usd
    all_ours: dict[_DaySide, Decimal] = defaultdict(Decimal)
    for fill in ours:
        all_ours[calendar.new_york_date(fill.at), fill.qty < 0] += abs(fill.qty)
    found = Decimal(0)
    for (first, last, sold), qty in _of_trade(view).items():
        for since in (last, first):
            in_all = _within(there, since, last, sold=sold)
            if in_all >= max(_within(all_ours, since, last, sold=sold), qty):
                found += _within(cost_usd, since, last, sold=sold) * qty / in_all
                break
        else:
            return None
    return found.quantize(_STEP)


def booked(view: View, fees_usd: Decimal, now: datetime) -> View:
    """Take the commissions from the result, and note that they are known. Idempotent: a repeat takes nothing."""
    difference = -fees_usd - corrections.total_usd(view, frozenset({FEES}))
    if difference:
        return corrections.append(view, FEES, difference, "commissions, by the account's history", now).noting(
            Event(kind=FEES, text=f"the account's history tells {fees_usd.normalize():f} USD of commissions")
        )
    return view.noting(Event(kind=FEES, text="the account's history tells no commissions beyond those known"))


def _of_trade(view: View) -> dict[_Span, Decimal]:
    """Sum what the trade's own orders executed, by the days they may have done it on and by side."""
    summed: dict[_Span, Decimal] = defaultdict(Decimal)
    for order in view.orders:
        if order.filled_qty and order.filled_at is not None and order.sent_as is not Group.FOREIGN:
            last = calendar.new_york_date(order.filled_at)
            first = min(calendar.new_york_date(order.created_at), last)
            summed[first, last, order.role not in _BOUGHT] += order.filled_qty
    return summed


def _within(by_day: dict[_DaySide, Decimal], first: date, last: date, *, sold: bool) -> Decimal:
    return sum((qty for (day, is_sold), qty in by_day.items() if first <= day <= last and is_sold is sold), Decimal(0))
