"""Who may send how much: the request budget as the broker client sees it."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final, Protocol

from libs.broker.base import Priority
from libs.common.http_limits import RateReading

ENDLESS: Final = 1_000_000


class RateClass(StrEnum):
    """The vendor's buckets, each counted per token and minute. Source: venues §1.14."""

    TRADING = "trading"
    STANDARD = "standard"
    MARKET = "market"


class Budget(Protocol):
    """A shared count of requests per token and class."""

    async def take(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Wait for the right to send one request. Raises: UpstreamUnavailable when it will not come in time."""

    def foresee(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Hear that requests will follow soon."""

    def observed(self, token_hash: str, rate_class: RateClass, reading: RateReading) -> None:
        """Learn the vendor's own count from an answer."""

    async def left(self, token_hash: str, rate_class: RateClass, priority: Priority, within_s: float) -> int:
        """Say how many requests could be sent within so long, by what is known now."""


class UnlimitedBudget:
    """Grants everything."""

    async def take(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Grant at once."""

    def foresee(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        """Do nothing: there is always more."""

    def observed(self, token_hash: str, rate_class: RateClass, reading: RateReading) -> None:
        """Learn nothing."""

    async def left(self, token_hash: str, rate_class: RateClass, priority: Priority, within_s: float) -> int:
        """Say that there is no end to them."""
        return ENDLESS


UNLIMITED: Final = UnlimitedBudget()


def token_hash(token: str) -> str:
    """Name a token without telling it."""
    return hashlib.sha256(token.encode()).hexdigest()[:16]
