"""ORATS rows into quotes, purely.

1. A row holds a call and a put of one strike; its one set of Greeks is the call's.
2. The put's delta is the call's minus one; gamma, vega and driftless theta are shared; theta and rho are left out,
   because the rates they need are not on the row.
3. Both sides zero is no quote and yields nothing; a zero bid with an ask is a quote.
4. Where an index has two series in one expiry, `expiryTod` says which one a row is (am: the monthly, pm: the weekly).
5. A row that cannot be read is skipped and counted, and never stops the others.
Source: ORATS Data API, strikes and summaries.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from libs.common.errors import InvalidInput
from libs.market.options import OccSymbol, OptionType

MARK_STEP = Decimal("0.0001")
_PM_SERIES = {"SPX": "SPXW", "NDX": "NDXP", "RUT": "RUTW", "DJX": "DJXW", "VIX": "VIXW"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionQuote:
    """One contract as ORATS shows it. Units: USD per share; IV as a fraction; theta per calendar day."""

    contract: OccSymbol
    bid: Decimal
    ask: Decimal
    delta: float | None = None
    gamma: float | None = None
    theta: float | None = None
    vega: float | None = None
    iv: float | None = None
    volume: int | None = None
    open_interest: int | None = None
    quoted_at: datetime

    @property
    def mark(self) -> Decimal:
        """Return the mid, or 0 where nobody bids."""
        return Decimal(0) if self.bid == 0 else ((self.bid + self.ask) / 2).quantize(MARK_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """What one answer held. `skipped` counts rows that could not be read."""

    ticker: str
    underlying_price: Decimal | None
    quotes: tuple[OptionQuote, ...]
    skipped: int = 0


def read_rows(ticker: str, rows: Iterable[Mapping[str, Any]], wanted: frozenset[OccSymbol] | None = None) -> Rows:
    """Read a strikes answer; with `wanted`, only those contracts."""
    quotes: list[OptionQuote] = []
    price: Decimal | None = None
    skipped = 0
    strikes = None if wanted is None else {(contract.expiry, contract.strike) for contract in wanted}
    for row in rows:
        try:
            expiry, strike = date.fromisoformat(row["expirDate"]), money(row["strike"])
            price = price or money(row["stockPrice"])
            if strikes is None or (expiry, strike) in strikes:
                found = _both_sides(root_of(ticker, row.get("expiryTod")), expiry, strike, row)
                quotes += [quote for quote in found if wanted is None or quote.contract in wanted]
        except (KeyError, TypeError, ValueError, InvalidOperation, InvalidInput):
            skipped += 1
    return Rows(ticker=ticker, underlying_price=price, quotes=tuple(quotes), skipped=skipped)


def root_of(ticker: str, expiry_tod: str | None) -> str:
    """Return the root of the series a row describes: `SPX` at the open, `SPXW` at the close, else the ticker."""
    return _PM_SERIES.get(ticker, ticker) if expiry_tod == "pm" else ticker


def _both_sides(root: str, expiry: date, strike: Decimal, row: Mapping[str, Any]) -> list[OptionQuote]:
    at = moment(row["quoteDate"] if row.get("quoteDate") else row["updatedAt"])
    delta = number(row.get("delta"))
    found = []
    for side, option_type in (("call", OptionType.CALL), ("put", OptionType.PUT)):
        bid, ask = money(row[f"{side}BidPrice"]), money(row[f"{side}AskPrice"])
        if ask <= 0:
            continue
        is_call = option_type is OptionType.CALL
        found.append(
            OptionQuote(
                contract=OccSymbol(root, expiry, option_type, strike),
                bid=max(bid, Decimal(0)),
                ask=ask,
                delta=delta if is_call or delta is None else delta - 1,
                gamma=number(row.get("gamma")),
                theta=number(row.get("theta")) if is_call else None,
                vega=number(row.get("vega")),
                iv=number(row.get(f"{side}MidIv")) or number(row.get("smvVol")),
                volume=whole(row.get(f"{side}Volume")),
                open_interest=whole(row.get(f"{side}OpenInterest")),
                quoted_at=at,
            )
        )
    return found


def read_expirations(rows: Iterable[Any]) -> tuple[date, ...]:
    """Read an expirations answer, soonest first; rows are dates or objects with `expirDate`."""
    found = set()
    for row in rows:
        text = row.get("expirDate") if isinstance(row, Mapping) else row
        try:
            found.add(date.fromisoformat(str(text)))
        except ValueError:
            continue
    return tuple(sorted(found))


def money(value: Any) -> Decimal:
    """Return a JSON number as a decimal without float noise. Raises: TypeError, InvalidOperation."""
    if value is None or isinstance(value, bool):
        raise TypeError("no number")
    found = Decimal(str(value))
    if not found.is_finite():
        raise InvalidOperation
    return found.normalize() + 0 if found else Decimal(0)


def number(value: Any) -> float | None:
    """Return a model value (Greeks, IV), or None for what is no finite number."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def whole(value: Any) -> int | None:
    """Return a count, or None."""
    found = number(value)
    return None if found is None else int(found)


def moment(text: str) -> datetime:
    """Read a time; one without a zone is UTC (the underlying's rows are written so). Raises: ValueError."""
    found = datetime.fromisoformat(text)
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
