"""Prices on their tick, and what a trade made. Decimal throughout.

1. A rounded price is a multiple of its tick, and rounding it again changes nothing.
2. An entry limit never rises; a stop or target moves by at most half a tick.
3. Three dollars is a multiple of every tick, so no rounding jumps over the boundary.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from enum import StrEnum
from typing import Final

from libs.common.errors import InvalidInput
from libs.market import products

BOUNDARY_USD: Final = Decimal(3)
CENT: Final = Decimal("0.01")
NICKEL: Final = Decimal("0.05")
DIME: Final = Decimal("0.10")
AVERAGE_STEP: Final = Decimal("0.00000001")


class TickClass(StrEnum):
    """The price steps of a series, below and from 3.00."""

    FINE = "fine"
    """0.01 throughout."""
    PENNY = "penny"
    """0.01, then 0.05."""
    COARSE = "coarse"
    """0.05, then 0.10."""


_TICKS: Final[dict[TickClass, tuple[Decimal, Decimal]]] = {
    TickClass.FINE: (CENT, CENT),
    TickClass.PENNY: (CENT, NICKEL),
    TickClass.COARSE: (NICKEL, DIME),
}
_FINE_ROOTS: Final = frozenset({"SPY", "QQQ", "IWM"})
_PENNY_NAMES: Final = (
    "DIA EEM EFA GLD SLV TLT HYG XLB XLC XLE XLF XLI XLK XLP XLRE XLU XLV XLY XME XOP XRT KRE GDX UVXY VXX "
    "AAPL MSFT NVDA AMZN META GOOGL GOOG TSLA AMD NFLX JPM BAC C WFC GS MS INTC MU QCOM AVGO ORCL CSCO DIS BA "
    "F GM T VZ PFE XOM CVX KO WMT HD COIN PLTR BABA UBER SNAP ROKU SHOP PYPL CRM ADBE"
)
_PENNY_ROOTS: Final = frozenset(_PENNY_NAMES.split())
"""The heavily traded part of the exchanges' Penny Interval Program; being absent here only makes exits coarser."""


def known_tick_class(root: str) -> TickClass | None:
    """Return the class of a root we are sure of, else None."""
    if root in _FINE_ROOTS:
        return TickClass.FINE
    if root in _PENNY_ROOTS:
        return TickClass.PENNY
    return TickClass.COARSE if products.is_index(root) else None


def entry_tick_class(root: str) -> TickClass:
    """Return the class for entries: the finer one when unsure (a refusal costs one more try, not protection)."""
    return known_tick_class(root) or TickClass.PENNY


def exit_tick_class(root: str) -> TickClass:
    """Return the class for stops and targets: the coarser one when unsure, since it is valid in both."""
    return known_tick_class(root) or TickClass.COARSE


def coarser(tick_class: TickClass) -> TickClass | None:
    """Return the next coarser class for the one re-send after a price refusal; None after the coarsest."""
    return {TickClass.FINE: TickClass.PENNY, TickClass.PENNY: TickClass.COARSE}.get(tick_class)


def shows_penny_steps(prices: Iterable[Decimal]) -> bool:
    """Say whether quotes below 3.00 prove a penny class: one that is not a multiple of 0.05 does."""
    return any(0 < price < BOUNDARY_USD and price % CENT == 0 and price % NICKEL != 0 for price in prices)


def tick_at(price: Decimal, tick_class: TickClass) -> Decimal:
    """Return the step at a price."""
    below, above = _TICKS[tick_class]
    return below if price < BOUNDARY_USD else above


def is_on_tick(price: Decimal, tick_class: TickClass) -> bool:
    """Say whether a price may be sent as it is."""
    return price % tick_at(price, tick_class) == 0


def _to_tick(price: Decimal, tick_class: TickClass, rounding: str) -> Decimal:
    tick = tick_at(price, tick_class)
    return ((price / tick).to_integral_value(rounding) * tick).quantize(CENT)


def round_nearest(price: Decimal, tick_class: TickClass) -> Decimal:
    """Round a stop or target to its nearest tick, halves up."""
    return _to_tick(price, tick_class, ROUND_HALF_UP)


def round_down(price: Decimal, tick_class: TickClass) -> Decimal:
    """Round an entry limit down: never pay more than was said."""
    return _to_tick(price, tick_class, ROUND_FLOOR)


def round_up(price: Decimal, tick_class: TickClass) -> Decimal:
    """Round up, for a limit that must stay above a bound."""
    return _to_tick(price, tick_class, ROUND_CEILING)


def cents(amount_usd: Decimal) -> Decimal:
    """Quantize an amount to cents, halves away from zero."""
    return amount_usd.quantize(CENT, ROUND_HALF_UP)


def premium_usd(price: Decimal, qty: int, multiplier: int) -> Decimal:
    """Return what a quantity costs at a price."""
    return cents(price * qty * multiplier)


def pnl_usd(entry_price: Decimal, exit_price: Decimal, qty: int, multiplier: int) -> Decimal:
    """Return what a long made."""
    return cents((exit_price - entry_price) * qty * multiplier)


def pnl_pct(entry_price: Decimal, exit_price: Decimal) -> Decimal:
    """Return a long's result in percent of its premium, to 0.01; 0 for a free entry."""
    return cents((exit_price - entry_price) / entry_price * 100) if entry_price else Decimal("0.00")


def average_price(fills: Iterable[tuple[int, Decimal]]) -> Decimal | None:
    """Average fills of (quantity, price), to the eighth decimal; None when nothing filled. Raises: InvalidInput."""
    total = 0
    paid = Decimal(0)
    for qty, price in fills:
        if qty < 0:
            raise InvalidInput(f"a fill's quantity is not negative, was {qty}")
        total += qty
        paid += qty * price
    # Adding 0 writes 10 for the 1E+1 that normalizing makes, which no reader of prices expects.
    return (paid / total).quantize(AVERAGE_STEP, ROUND_HALF_UP).normalize() + 0 if total else None


def mid(bid: Decimal | None, ask: Decimal | None) -> Decimal | None:
    """Return the middle of a two-sided market; None when a side is missing. A bid of 0 beside an ask counts."""
    if bid is None or ask is None or ask <= 0 or bid < 0:
        return None
    return (bid + ask) / 2
