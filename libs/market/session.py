"""Where the market's day stands, as a word."""

from __future__ import annotations

from enum import StrEnum


class MarketState(StrEnum):
    """The part of the day the exchange is in."""

    PREMARKET = "premarket"
    OPEN = "open"
    POSTMARKET = "postmarket"
    CLOSED = "closed"
