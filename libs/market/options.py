"""Option contracts by their OCC symbol, both ways.

1. `OccSymbol.parse(str(contract)) == contract` for every contract that can be built.
2. Symbols carry no padding: `BRKB270115C00450000`, never blanks between root and date.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from libs.common.errors import InvalidInput

MAX_STRIKE = Decimal("99999.999")
_ROOT = re.compile(r"[A-Z0-9](?:[A-Z0-9/]{0,4}[A-Z0-9])?")
_SYMBOL = re.compile(r"([A-Z0-9/]{1,6})([0-9]{2})([0-9]{2})([0-9]{2})([CP])([0-9]{8})")


class OptionType(StrEnum):
    """The right the holder has."""

    CALL = "CALL"
    PUT = "PUT"


@dataclass(frozen=True, slots=True, order=True)
class OccSymbol:
    """One listed contract."""

    root: str
    """The series' own root (`SPXW`, `AAPL1`), not always the underlying."""
    expiry: date
    option_type: OptionType
    strike: Decimal

    def __post_init__(self) -> None:
        """Refuse what no symbol can say. Raises: InvalidInput."""
        if _ROOT.fullmatch(self.root) is None:
            raise InvalidInput(f"an option root has 1 to 6 capital letters, digits or a slash, was {self.root!r}")
        if not 2000 <= self.expiry.year <= 2099:
            raise InvalidInput(f"an option symbol cannot say the year {self.expiry.year}")
        if not self.strike.is_finite() or not 0 < self.strike <= MAX_STRIKE:
            raise InvalidInput(f"a strike lies between 0 and {MAX_STRIKE}, was {self.strike}")
        if self.strike * 1000 != int(self.strike * 1000):
            raise InvalidInput(f"a strike has at most three decimals, was {self.strike}")

    def __str__(self) -> str:
        """Write the symbol without padding. Source: OCC symbology: root, YYMMDD, C or P, strike × 1000 in 8 digits."""
        return f"{self.root}{self.expiry:%y%m%d}{self.option_type[0]}{int(self.strike * 1000):08d}"

    @classmethod
    def parse(cls, text: str) -> OccSymbol:
        """Read a symbol. Raises: InvalidInput."""
        return _parse(text)


@lru_cache(maxsize=8192)
def _parse(text: str) -> OccSymbol:
    found = _SYMBOL.fullmatch(text)
    if found is None:
        raise InvalidInput(f"not an option symbol: {text[:40]!r}")
    root, year, month, day, right, strike = found.groups()
    try:
        expiry = date(2000 + int(year), int(month), int(day))
    except ValueError:
        raise InvalidInput(f"not an option symbol, no such date: {text!r}") from None
    option_type = OptionType.CALL if right == "C" else OptionType.PUT
    return OccSymbol(root, expiry, option_type, strike_of(int(strike)))


def strike_of(thousandths: int) -> Decimal:
    """Turn a symbol's eight digits into a strike without trailing zeros (`450`, `27.5`, `0.625`)."""
    whole, rest = divmod(thousandths, 1000)
    return Decimal(whole) if rest == 0 else Decimal(f"{whole}.{rest:03d}".rstrip("0"))


def is_option_symbol(text: str) -> bool:
    """Say whether a broker's symbol is a contract rather than a share or an index."""
    try:
        OccSymbol.parse(text)
    except InvalidInput:
        return False
    return True
