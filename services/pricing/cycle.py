"""What one snapshot cycle asks for and what it stores, purely.

1. One request serves every user that holds the ticker: contracts are grouped by ticker, each asked once.
2. A cycle's points all carry the cycle's own time, so that curves of different contracts line up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from libs.common.messages.pricing import Mark, Marks
from libs.market.options import OccSymbol
from services.pricing.orats import Rows


@dataclass(frozen=True, slots=True)
class Wish:
    """What to ask the vendor for one ticker."""

    ticker: str
    contracts: frozenset[OccSymbol]

    @property
    def expiries(self) -> tuple[date, ...]:
        """Return the expiries to ask for, soonest first."""
        return tuple(sorted({contract.expiry for contract in self.contracts}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One stored row of price history. Units: USD per share."""

    occ_symbol: str
    taken_at: datetime
    bid: Decimal
    ask: Decimal
    mark: Decimal
    delta: Decimal | None
    iv: Decimal | None
    underlying: Decimal | None
    tag: str | None
    source: str
    quoted_at: datetime

    def record(self) -> tuple[object, ...]:
        """Return the row in the column order of `POINT_COLUMNS`."""
        return tuple(getattr(self, name) for name in POINT_COLUMNS)


POINT_COLUMNS = (
    "occ_symbol",
    "taken_at",
    "bid",
    "ask",
    "mark",
    "delta",
    "iv",
    "underlying",
    "tag",
    "source",
    "quoted_at",
)


def wishes(in_use: Iterable[tuple[str, str]], today: date) -> tuple[Wish, ...]:
    """Group (ticker, OCC symbol) pairs into one wish per ticker, in a stable order.

    Time: `today` is the market's New York date; what expired before it has no quote any more.
    """
    by_ticker: dict[str, set[OccSymbol]] = defaultdict(set)
    for ticker, occ_symbol in in_use:
        contract = OccSymbol.parse(occ_symbol)
        if contract.expiry >= today:
            by_ticker[ticker].add(contract)
    return tuple(Wish(ticker, frozenset(by_ticker[ticker])) for ticker in sorted(by_ticker))


def points(rows: Rows, *, taken_at: datetime, tag: str | None, source: str) -> list[Point]:
    """Turn one ticker's quotes into rows to store."""
    return [
        Point(
            occ_symbol=str(quote.contract),
            taken_at=taken_at,
            bid=quote.bid,
            ask=quote.ask,
            mark=quote.mark,
            delta=model_value(quote.delta),
            iv=model_value(quote.iv),
            underlying=rows.underlying_price,
            tag=tag,
            source=source,
            quoted_at=quote.quoted_at,
        )
        for quote in rows.quotes
    ]


def marks(rows: Rows, stored: Sequence[Point], *, is_delayed: bool) -> Marks | None:
    """Turn the stored rows of one ticker into the tick that says them; None when there is nothing to say."""
    if not stored:
        return None
    return Marks(
        ticker=rows.ticker,
        underlying_price=rows.underlying_price,
        source=stored[0].source,
        delayed=is_delayed,
        as_of=stored[0].taken_at,
        marks=tuple(
            Mark(
                occ_symbol=point.occ_symbol,
                bid=point.bid,
                ask=point.ask,
                mark=point.mark,
                delta=point.delta,
                iv=point.iv,
                quoted_at=point.quoted_at,
            )
            for point in stored
        ),
    )


def model_value(value: float | None) -> Decimal | None:
    """Turn a model's float into a decimal of six places, at the border."""
    return None if value is None else Decimal(f"{value:.6f}")
