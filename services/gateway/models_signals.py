"""Signals over HTTP: what a bot publishes, what became of it, the list of those that wait. Source: public API, §4."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Field

from libs.common.messages.signals import HTTP_BOT, BotName, SignalBody, SignalState
from libs.common.messages.vocabulary import BrokerMode, OptionType
from services.gateway.models_base import Answer, Body, Cursor

__all__ = ["PublishAsked", "Signal", "SignalBody", "SignalList", "SignalsAsked"]


class PublishAsked(Body):
    """Which of the user's bots publishes."""

    bot: BotName = HTTP_BOT


class SignalsAsked(Body):
    """Which signals to list."""

    state: SignalState | None = None
    cursor: Cursor | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50


class SignalQuote(Answer):
    """What the contract costs now. Units: USD per share; the quote's age in seconds, null where nobody told."""

    bid: Decimal
    ask: Decimal
    mid: Decimal | None
    age_s: float | None


class Signal(Answer):
    """A signal and what became of it; what could not be read of it is null."""

    id: str
    signal_id: str | None
    bot: str
    state: SignalState
    code: str | None
    reason: str | None
    trade_id: str | None
    ticker: str | None
    option_type: OptionType | None
    strike: Decimal | None
    expiry: date | None
    qty: int | None
    entry: dict[str, Any] | None
    sl_price: Decimal | None
    tp_price: Decimal | None
    strategy: str | None
    ref_price: Decimal | None
    max_slippage_pct: Decimal | None
    broker_mode: BrokerMode | None
    account_id: str | None
    received_at: datetime
    expires_at: datetime | None
    decided_at: datetime | None
    key_version: int
    quote: SignalQuote | None = None


class SignalList(Answer):
    """Signals, newest first."""

    signals: list[Signal]
    next_cursor: str | None
