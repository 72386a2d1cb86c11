"""What an account holds and did in one contract, other trades and other people included. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from libs.broker.reports import PositionReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """What the account holds of a contract, our lots and others'."""

    qty: Decimal = Decimal(0)
    cost_usd: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class OurFill:
    """What one order of ours executed in a contract. Time: the venue's own."""

    at: datetime
    qty: int
    """Below zero is sold."""
    price: Decimal


@dataclass(frozen=True, slots=True)
class Beside:
    """What other trades of the account hold of a contract; which orders there are ours; what others' explained."""

    held_qty: int = 0
    ours: frozenset[str] = frozenset()
    explained: tuple[tuple[str, int], ...] = ()
    """Somebody else's orders that trades have taken as theirs, with how many contracts each."""
    fills: tuple[OurFill, ...] = ()
    """What every order of ours executed there, over all days."""


def holding_of(positions: Iterable[PositionReport], occ_symbol: str) -> Holding:
    """Return what the account holds of a contract; below zero is short."""
    own = [held for held in positions if held.symbol == occ_symbol]
    qty = sum((held.qty for held in own), Decimal(0))
    return Holding(qty=qty, cost_usd=sum((held.cost_basis_usd for held in own), Decimal(0)))
