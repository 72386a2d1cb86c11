"""What contracts turn into without any order: shares by exercise, the contract of a corporate action."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from libs.common.errors import InvalidInput
from libs.market.options import OccSymbol

_DIGITS = "0123456789"
_SHARES = 100
"""Of one contract; an adjusted one delivers something else, and has another root."""


def successor_of(occ_symbol: str, missing: Decimal, positions: Mapping[str, Decimal]) -> str | None:
    """Find the contract of which as many are held as are missing, in a series that took the place of theirs.

    Source: OCC adds or changes a digit at the root's end for an adjusted series.
    """
    gone = OccSymbol.parse(occ_symbol)
    for symbol, qty in sorted(positions.items()):
        root = _root_of(symbol)
        if qty == missing and root not in (None, gone.root) and _plain(root or "") == _plain(gone.root):
            return symbol
    return None


def is_exercised(ticker: str, missing: Decimal, positions: Mapping[str, Decimal]) -> bool:
    """Say whether shares are there, or owed, where contracts were."""
    return abs(positions.get(ticker, Decimal(0))) >= missing * _SHARES


def _root_of(symbol: str) -> str | None:
    try:
        return OccSymbol.parse(symbol).root
    except InvalidInput:
        return None


def _plain(root: str) -> str:
    return root.rstrip(_DIGITS)
