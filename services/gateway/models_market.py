"""The market over HTTP: session, expirations, chain."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator

from libs.common.messages.vocabulary import BrokerMode, OptionType
from services.gateway.models_base import Answer, Body, Figure


def _only_dates(value: object) -> object:
    if isinstance(value, str) and len(value) == len("2026-12-18"):
        return value
    message = "a date such as 2026-12-18"
    raise ValueError(message)


class ChainAsked(Body):
    """Which expiry."""

    expiry: Annotated[date, BeforeValidator(_only_dates)]


class StatusAsked(Body):
    """Which venue; the user's own when left out."""

    broker_mode: BrokerMode | None = None


class MarketStatus(Answer):
    """The session of the user's venue in market time, and when it changes as far as that is known."""

    mode: str | None = None
    state: str
    date: date
    now: datetime
    since: datetime | None = None
    next_change_at: datetime | None = None
    next_state: str | None = None
    next_open_at: datetime | None = None
    follows_calendar: bool | None = None


class Expirations(Answer):
    """The expiries of an underlying."""

    ticker: str
    expirations: list[date]
    as_of: datetime


class ChainOption(Answer):
    """One contract of a chain. Units: USD per share."""

    occ_symbol: str
    option_type: OptionType
    strike: Decimal
    bid: Decimal | None
    ask: Decimal | None
    mid: Decimal | None
    delta: Figure | None
    gamma: Figure | None
    theta: Figure | None
    vega: Figure | None
    iv: Figure | None
    volume: int | None
    open_interest: int | None


class Chain(Answer):
    """All contracts of one expiry; `as_of` is the quotes' own time."""

    ticker: str
    expiry: date
    underlying_price: Decimal | None
    as_of: datetime
    source: str
    options: list[ChainOption]
