"""What is traded here: tickers with their temper, strikes, tick sizes, and option symbols both ways. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache

from simulator import calendar

STRIKES_PER_EXPIRY = 40
PENNY_ROOTS = frozenset({"SPY", "QQQ", "IWM"})
_STEPS = (0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0)
_OCC = re.compile(r"([A-Z]{1,5}[0-9]{0,3}?)([0-9]{6})([CP])([0-9]{8})")


@dataclass(frozen=True, slots=True)
class Ticker:
    """An underlying: where its path is anchored and how it moves with the market.

    Units: base in dollars, volatility per year, spread as a fraction of an option's mid.
    """

    symbol: str
    kind: str
    name: str
    base: float
    volatility: float
    beta: float
    option_spread: float

    @property
    def is_index(self) -> bool:
        """Say whether it can only be settled in cash."""
        return self.kind == "index"


_NAMED = (
    ("SPY", "etf", "SPDR S&P 500 ETF Trust", 665.0, 0.15, 1.0, 0.004),
    ("QQQ", "etf", "Invesco QQQ Trust", 600.0, 0.20, 1.2, 0.004),
    ("IWM", "etf", "iShares Russell 2000 ETF", 240.0, 0.21, 1.1, 0.006),
    ("DIA", "etf", "SPDR Dow Jones Industrial Average ETF", 465.0, 0.14, 0.9, 0.012),
    ("VIX", "index", "Cboe Volatility Index", 17.0, 0.90, -5.0, 0.03),
    ("XLB", "etf", "Materials Select Sector SPDR", 92.0, 0.18, 1.0, 0.03),
    ("XLC", "etf", "Communication Services Select Sector SPDR", 115.0, 0.19, 1.0, 0.03),
    ("XLE", "etf", "Energy Select Sector SPDR", 90.0, 0.24, 0.8, 0.02),
    ("XLF", "etf", "Financial Select Sector SPDR", 53.0, 0.18, 1.0, 0.02),
    ("XLI", "etf", "Industrial Select Sector SPDR", 152.0, 0.17, 1.0, 0.03),
    ("XLK", "etf", "Technology Select Sector SPDR", 280.0, 0.23, 1.25, 0.02),
    ("XLP", "etf", "Consumer Staples Select Sector SPDR", 80.0, 0.12, 0.5, 0.03),
    ("XLRE", "etf", "Real Estate Select Sector SPDR", 42.0, 0.18, 0.8, 0.04),
    ("XLU", "etf", "Utilities Select Sector SPDR", 86.0, 0.17, 0.5, 0.03),
    ("XLV", "etf", "Health Care Select Sector SPDR", 140.0, 0.14, 0.6, 0.03),
    ("XLY", "etf", "Consumer Discretionary Select Sector SPDR", 235.0, 0.21, 1.2, 0.03),
    ("AAPL", "stock", "Apple Inc", 270.0, 0.27, 1.1, 0.012),
    ("MSFT", "stock", "Microsoft Corp", 510.0, 0.24, 1.05, 0.014),
    ("NVDA", "stock", "NVIDIA Corp", 190.0, 0.45, 1.8, 0.010),
    ("AMZN", "stock", "Amazon.com Inc", 230.0, 0.32, 1.25, 0.014),
    ("META", "stock", "Meta Platforms Inc", 640.0, 0.34, 1.25, 0.016),
    ("GOOGL", "stock", "Alphabet Inc", 285.0, 0.30, 1.1, 0.014),
    ("TSLA", "stock", "Tesla Inc", 410.0, 0.55, 1.9, 0.012),
    ("AMD", "stock", "Advanced Micro Devices Inc", 230.0, 0.52, 1.9, 0.014),
    ("NFLX", "stock", "Netflix Inc", 1120.0, 0.34, 1.1, 0.020),
    ("JPM", "stock", "JPMorgan Chase & Co", 305.0, 0.23, 1.0, 0.020),
)


def _load_ticker(n: int) -> Ticker:
    base = 20.0 + (n * 37) % 280
    return Ticker(f"S{n:03d}", "stock", f"Load Test Company {n:03d}", base, 0.2 + (n % 7) * 0.05, 1.0, 0.03)


TICKERS: dict[str, Ticker] = {row[0]: Ticker(*row) for row in _NAMED} | {
    ticker.symbol: ticker for ticker in map(_load_ticker, range(500))
}


@dataclass(frozen=True, slots=True)
class Contract:
    """One option, taken apart. `underlying` differs from `root` after a corporate action only."""

    root: str
    underlying: str
    expiry: date
    right: str
    strike: Decimal

    @property
    def is_call(self) -> bool:
        """Say whether it is a call."""
        return self.right == "C"

    @property
    def is_adjusted(self) -> bool:
        """Say whether a corporate action made it."""
        return self.root != self.underlying


@lru_cache(maxsize=16384)
def parse_occ(symbol: str) -> Contract | None:
    """Take an option symbol apart; None for what is not one of a known underlying."""
    match = _OCC.fullmatch(symbol)
    if match is None:
        return None
    root, day, right, strike = match.groups()
    underlying = root if root in TICKERS else root.rstrip("0123456789")
    if underlying not in TICKERS:
        return None
    try:
        expiry = datetime.strptime(day, "%y%m%d").replace(tzinfo=UTC).date()
    except ValueError:
        return None
    return Contract(root, underlying, expiry, right, Decimal(int(strike)) / 1000)


def occ(root: str, expiry: date, right: str, strike: float | Decimal) -> str:
    """Write an option symbol: root, YYMMDD, C or P, strike in thousandths on eight digits."""
    return f"{root}{expiry:%y%m%d}{right}{round(strike * 1000):08d}"


def strike_step(ticker: Ticker) -> float:
    """Choose the distance of strikes: about 1 % of the price, more for the lively."""
    wanted = ticker.base * max(0.0075, ticker.volatility * 0.025)
    return min(_STEPS, key=lambda step: abs(step - wanted))


def ladder(ticker: Ticker, centre: float) -> tuple[float, ...]:
    """List the forty strikes around a price."""
    step = strike_step(ticker)
    lowest = max(round(centre / step) - STRIKES_PER_EXPIRY // 2, 1)
    return tuple(step * (lowest + n) for n in range(STRIKES_PER_EXPIRY))


def tick_size(root: str, price: Decimal) -> Decimal:
    """Tell an option's price step: a cent below 3.00 and in the penny classes, else five."""
    return Decimal("0.01") if root in PENNY_ROOTS or price < 3 else Decimal("0.05")


def is_late_option(security: str) -> bool:
    """Say whether a security is an option that trades a quarter of an hour past the close."""
    contract = parse_occ(security)
    return contract is not None and contract.root in calendar.LATE_ROOTS
