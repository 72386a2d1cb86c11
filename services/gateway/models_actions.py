"""What a person asks of trades over HTTP: place, close, adjust, resolve. Source: public API, §2."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field

from libs.common.messages.vocabulary import Duration, EntryType, OptionType
from services.gateway.models_base import AccountId, Body, FigureIn, Json, PriceIn, Text, Ticker

VersionIn = Annotated[int, Field(ge=0, le=2**31 - 1)]


class EntryBody(Body):
    """How to get in; `limit_price` only with a limit."""

    type: EntryType
    limit_price: PriceIn | None = None
    duration: Duration = Duration.DAY


class PlaceBody(Body):
    """A trade to place. Prices in USD per share, quantity in contracts."""

    account_id: AccountId | None = None
    ticker: Ticker
    option_type: OptionType
    strike: PriceIn
    expiry: date
    qty: Annotated[int, Field(ge=1, le=100_000)]
    entry: EntryBody
    sl_price: PriceIn | None = None
    tp_price: PriceIn | None = None
    strategy: Text | None = None
    card_score: FigureIn | None = None
    ai_score: FigureIn | None = None
    ai_verdict: Text | None = None
    gate_verdict: Text | None = None
    technical_score: FigureIn | None = None
    sentiment_score: FigureIn | None = None
    signals_snapshot: Json | None = None
    ai_reasoning_log: Json | None = None


class CloseBody(Body):
    """Close the trade as the caller saw it."""

    version: VersionIn


class AdjustBody(Body):
    """Move stop or target of the trade as the caller saw it; a price left out stays."""

    version: VersionIn
    new_sl: PriceIn | None = None
    new_tp: PriceIn | None = None


class ResolveBody(Body):
    """Name the broker's order behind an `UNKNOWN` one, or null: there is none. Either is checked before it counts."""

    broker_order_id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")] | None
