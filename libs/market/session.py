"""Where the market's day stands, as a word."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from libs.market import calendar


class MarketState(StrEnum):
    """The part of the day the exchange is in."""

    PREMARKET = "premarket"
    OPEN = "open"
    POSTMARKET = "postmarket"
    CLOSED = "closed"


def state_at(at: datetime) -> MarketState:
    """Return what the exchange calendar says of an instant."""
    day = calendar.new_york_date(at)
    if not calendar.is_trading_day(day):
        return MarketState.CLOSED
    stock = calendar.session(day)
    if stock.opens_at <= at < stock.closes_at:
        return MarketState.OPEN
    if calendar.new_york(day, calendar.PREMARKET_OPEN) <= at < stock.opens_at:
        return MarketState.PREMARKET
    evening = calendar.EARLY_POSTMARKET_CLOSE if stock.is_half_day else calendar.POSTMARKET_CLOSE
    if stock.closes_at <= at < calendar.new_york(day, evening):
        return MarketState.POSTMARKET
    return MarketState.CLOSED
