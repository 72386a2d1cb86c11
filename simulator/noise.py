"""Randomness with an address: the same seed, name and place always give the same number, in any order. Pure.

1. A path is defined at every second, so nothing has to be walked or kept.
2. One instant and a vector of instants give the same path.
"""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY_S = 86_400
LEVELS = 14
MEMORY_DAYS = 250
PULL = 0.92
_MASK = (1 << 64) - 1
_SQRT12 = math.sqrt(12.0)


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _mix_many(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


@lru_cache(maxsize=4096)
def key_of(seed: int, name: str) -> int:
    """Make the 64-bit key of a named stream of numbers."""
    return int.from_bytes(hashlib.blake2b(f"{seed}/{name}".encode(), digest_size=8).digest(), "big")


def uniform(key: int, places: Ints) -> Floats:
    """Draw a number in [0, 1) for each place."""
    mixed = _mix_many(places.astype(np.uint64) ^ np.uint64(key))
    return (mixed >> np.uint64(11)).astype(np.float64) / float(1 << 53)


def _unit(key: int, place: int) -> float:
    """Draw one number of mean 0 and variance 1."""
    return ((_mix((place & _MASK) ^ key) >> 11) / float(1 << 53) - 0.5) * _SQRT12


_WEIGHTS: Floats = PULL ** np.arange(MEMORY_DAYS, dtype=np.float64)


@lru_cache(maxsize=2048)
def _level(key: int, day: int) -> float:
    """Tell where a slow walk with a pull to its mean stands at a day's start, in daily deviations."""
    shocks = (uniform(key, np.arange(day, day - MEMORY_DAYS, -1, dtype=np.int64)) - 0.5) * _SQRT12
    return float(np.dot(_WEIGHTS, shocks))


@dataclass(frozen=True, slots=True)
class Walk:
    """A continuous random walk over time, in units of one day's deviation."""

    key: int

    def at(self, second: float) -> float:
        """Tell its height at one instant. Time: seconds since 1970."""
        day, rest = divmod(second, DAY_S)
        day = int(day)
        low, high = _level(self.key, day), _level(self.key, day + 1)
        where = rest / DAY_S
        height = low + (high - low) * where
        scale, place = 0.5, day << (LEVELS + 1)
        for level in range(LEVELS):
            cells = 1 << level
            position = where * cells
            cell = int(position)
            tent = 1.0 - abs(2.0 * (position - cell) - 1.0)
            height += scale * tent * _unit(self.key, place + cells + cell)
            scale *= math.sqrt(0.5)
        return height

    def over(self, seconds: Floats) -> Floats:
        """Tell its heights at many instants."""
        days = np.floor(seconds / DAY_S).astype(np.int64)
        low = np.empty(len(seconds))
        high = np.empty(len(seconds))
        for day in np.unique(days).tolist():
            here = days == day
            low[here], high[here] = _level(self.key, day), _level(self.key, day + 1)
        where = (seconds - days * DAY_S) / DAY_S
        heights = low + (high - low) * where
        scale, places = 0.5, days << (LEVELS + 1)
        for level in range(LEVELS):
            cells = 1 << level
            position = where * cells
            cell = position.astype(np.int64)
            tent = 1.0 - np.abs(2.0 * (position - cell) - 1.0)
            heights += scale * tent * (uniform(self.key, places + cells + cell) - 0.5) * _SQRT12
            scale *= math.sqrt(0.5)
        return heights
