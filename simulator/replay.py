"""Recorded minute bars as a walk of prices. Pure."""

import csv
import io
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

POINTS_PER_BAR = 4
POINT_S = 60.0 / POINTS_PER_BAR


class BadRecording(ValueError):
    """The text is not a table of minute bars."""


@dataclass(slots=True)
class Replay:
    """A recording being played. Units: started in market seconds, cursor in points already shown."""

    prices: tuple[Decimal, ...]
    started_s: float
    speed: float
    cursor: int = 0

    def due(self, market_s: float) -> tuple[Decimal, ...]:
        """Take the prices that have come up since the last call, in order."""
        reached = min(int((market_s - self.started_s) * self.speed / POINT_S) + 1, len(self.prices))
        shown = self.prices[self.cursor : reached]
        self.cursor = max(reached, self.cursor)
        return shown

    @property
    def is_over(self) -> bool:
        """Say whether everything was shown."""
        return self.cursor >= len(self.prices)


def read_bars(text: str) -> tuple[Decimal, ...]:
    """Read bars into prices, four a minute: open, the extremes (the near one first), close. Raises: BadRecording."""
    prices: list[Decimal] = []
    for row in csv.DictReader(io.StringIO(text.strip())):
        bar = {(name or "").strip().lower(): value for name, value in row.items()}
        try:
            first, high, low, last = (Decimal(str(bar[name])) for name in ("open", "high", "low", "close"))
        except (KeyError, InvalidOperation) as error:
            raise BadRecording("bars need the columns time,open,high,low,close,volume") from error
        if min(first, high, low, last) <= 0:
            raise BadRecording("prices must be above zero")
        prices += [first, low, high, last] if last >= first else [first, high, low, last]
    if not prices:
        raise BadRecording("no bars in the recording")
    return tuple(prices)
