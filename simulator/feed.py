"""What the market shows now: seeded paths, with pinned and replayed prices laid over them."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

import numpy as np

from simulator import calendar, market, universe
from simulator.clock import MarketClock
from simulator.market import Slice
from simulator.noise import Floats
from simulator.replay import Replay
from simulator.rules import Quote
from simulator.universe import TICKERS, Contract, parse_occ

CENT = Decimal("0.01")
MOST_SLICES = 1500
FAR_FROM_CENTRE = 0.12


class UnknownSymbol(KeyError):
    """Nobody lists this."""


@dataclass(frozen=True, slots=True)
class Pin:
    """A price that somebody set. `price` is the last trade."""

    bid: Decimal
    ask: Decimal
    price: Decimal


def cents(amount: int) -> Decimal:
    """Turn whole cents into dollars."""
    return Decimal(int(amount)).scaleb(-2)


class Feed:
    """Quotes and slices of this moment, the same for everyone who asks within a market second."""

    def __init__(self, seed: int, clock: MarketClock, real_time: Callable[[], float]) -> None:
        self.seed = seed
        self.clock = clock
        self.real_time = real_time
        self.pins: dict[str, Pin] = {}
        self.centres: dict[str, list[float]] = {}
        self.replays: dict[str, Replay] = {}
        self.version: dict[str, int] = defaultdict(int)
        self._slices: dict[tuple[str, date], tuple[int, int, Slice]] = {}
        self._spots: dict[str, tuple[int, int, float]] = {}
        self._pinned: dict[str, set[str]] = defaultdict(set)
        self._ladders: dict[str, tuple[int, Floats]] = {}

    def second(self) -> int:
        """Tell market time, to the second."""
        return int(self.clock.second(self.real_time()))

    def now(self) -> datetime:
        """Tell market time."""
        return self.clock.now(self.real_time())

    def pin(self, symbol: str, pin: Pin) -> str:
        """Set a price; answer the underlying it concerns. Raises: UnknownSymbol."""
        contract = parse_occ(symbol)
        if contract is None and symbol not in TICKERS:
            raise UnknownSymbol(symbol)
        self.pins[symbol] = pin
        underlying = contract.underlying if contract else symbol
        if contract:
            self._pinned[underlying].add(symbol)
        else:
            self._follow_far_price(symbol, float(pin.price))
        self.version[underlying] += 1
        return underlying

    def release(self, symbol: str) -> str:
        """Go back to the seeded path. Raises: UnknownSymbol."""
        contract = parse_occ(symbol)
        underlying = contract.underlying if contract else symbol
        if underlying not in TICKERS:
            raise UnknownSymbol(symbol)
        self.pins.pop(symbol, None)
        self.replays.pop(symbol, None)
        self._pinned[underlying].discard(symbol)
        self.version[underlying] += 1
        return underlying

    def _follow_far_price(self, symbol: str, price: float) -> None:
        """List strikes around a price that the usual ladder does not reach."""
        centres = self.centres.setdefault(symbol, [TICKERS[symbol].base])
        if all(abs(price / centre - 1.0) > FAR_FROM_CENTRE for centre in centres):
            centres.append(price)

    def forget_computed(self) -> None:
        """Drop everything computed, as when the clock was moved."""
        self._slices.clear()
        self._spots.clear()

    def strikes(self, symbol: str) -> Floats:
        """List the strikes of an underlying, ascending."""
        ticker = TICKERS[symbol]
        centres = self.centres.get(symbol, [ticker.base])
        known = self._ladders.get(symbol)
        if known is None or known[0] != len(centres):
            listed = {strike for centre in centres for strike in universe.ladder(ticker, centre)}
            known = self._ladders[symbol] = (len(centres), np.array(sorted(listed)))
        return known[1]

    def expiries(self, symbol: str) -> tuple[date, ...]:
        """List the expiries of an underlying that still trade."""
        return calendar.listed_expiries(symbol, self.now())

    def is_listed(self, symbol: str) -> bool:
        """Say whether an option can be traded now."""
        contract = parse_occ(symbol)
        if contract is None:
            return False
        if contract.is_adjusted:
            return self.now() < calendar.last_trade_at(contract.root, contract.expiry)
        return contract.expiry in self.expiries(contract.root) and float(contract.strike) in self.strikes(contract.root)

    def spot(self, symbol: str) -> float:
        """Tell an underlying's price. Raises: UnknownSymbol."""
        if symbol not in TICKERS:
            raise UnknownSymbol(symbol)
        pin = self.pins.get(symbol)
        if pin is not None:
            return float(pin.price)
        second, version = self.second(), self.version[symbol]
        known = self._spots.get(symbol)
        if known is None or known[:2] != (second, version):
            known = (second, version, market.spot(self.seed, TICKERS[symbol], second))
            self._spots[symbol] = known
        return known[2]

    def official_price(self, symbol: str, at: datetime) -> Decimal:
        """Tell an underlying's price at an instant, or what it is pinned to."""
        pin = self.pins.get(symbol)
        return pin.price if pin else Decimal(f"{market.spot(self.seed, TICKERS[symbol], at.timestamp()):.2f}")

    def slice(self, symbol: str, expiry: date) -> Slice:
        """Price one expiry of an underlying, pinned contracts included."""
        second, version = self.second(), self.version[symbol]
        known = self._slices.get((symbol, expiry))
        if known is not None and known[:2] == (second, version):
            return known[2]
        if len(self._slices) >= MOST_SLICES:
            self._slices.clear()
        piece = self._overlay(self._price(symbol, symbol, expiry, self.strikes(symbol)))
        self._slices[symbol, expiry] = (second, version, piece)
        return piece

    def _price(self, root: str, underlying: str, expiry: date, strikes: Floats) -> Slice:
        left_s = calendar.last_trade_at(root, expiry).timestamp() - self.second()
        return market.price_slice(
            TICKERS[underlying], root, expiry, strikes, price=self.spot(underlying), years=left_s / market.YEAR_S
        )

    def _overlay(self, piece: Slice) -> Slice:
        pinned = [
            (contract, self.pins[symbol])
            for symbol in self._pinned.get(piece.root, ())
            if (contract := parse_occ(symbol)) and contract.root == piece.root and contract.expiry == piece.expiry
        ]
        if not pinned:
            return piece
        columns = {name: getattr(piece, name).copy() for name in _QUOTED}
        for contract, pin in pinned:
            side = "call" if contract.is_call else "put"
            for row in np.flatnonzero(piece.strikes == float(contract.strike)):
                columns[f"{side}_bid"][row] = int(pin.bid * 100)
                columns[f"{side}_ask"][row] = int(pin.ask * 100)
                columns[f"{side}_value"][row] = float(pin.price)
        return replace(piece, **columns)

    def contract_slice(self, contract: Contract) -> tuple[Slice, int]:
        """Find a contract's slice and its row there."""
        if not contract.is_adjusted:
            piece = self.slice(contract.root, contract.expiry)
            row = int(np.searchsorted(piece.strikes, float(contract.strike)))
            if row < len(piece.strikes) and piece.strikes[row] == float(contract.strike):
                return piece, row
        strikes = np.array([float(contract.strike)])
        return self._overlay(self._price(contract.root, contract.underlying, contract.expiry, strikes)), 0

    def quote(self, symbol: str) -> Quote | None:
        """Tell both sides of a security now; None for what has none."""
        pin = self.pins.get(symbol)
        if pin is not None:
            return Quote(pin.bid, pin.ask, pin.price)
        contract = parse_occ(symbol)
        if contract is None:
            return self._share_quote(symbol)
        if self.now() >= calendar.last_trade_at(contract.root, contract.expiry):
            return None
        piece, row = self.contract_slice(contract)
        if contract.is_call:
            bid, ask, value = piece.call_bid[row], piece.call_ask[row], piece.call_value[row]
        else:
            bid, ask, value = piece.put_bid[row], piece.put_ask[row], piece.put_value[row]
        return Quote(cents(bid), cents(ask), min(max(cents(round(value * 100)), cents(bid)), cents(ask)))

    def _share_quote(self, symbol: str) -> Quote | None:
        if symbol not in TICKERS:
            return None
        price = Decimal(f"{self.spot(symbol):.2f}")
        if TICKERS[symbol].is_index:
            return Quote(price, price, price)
        half = max((price * Decimal("0.00002")).quantize(CENT), CENT)
        return Quote(price - half, price + half, price)

    def replay(self, symbol: str, replay: Replay) -> None:
        """Start playing a recording. Raises: UnknownSymbol."""
        if symbol not in TICKERS:
            raise UnknownSymbol(symbol)
        self.replays[symbol] = replay


_QUOTED = ("call_bid", "call_ask", "call_value", "put_bid", "put_ask", "put_value")
