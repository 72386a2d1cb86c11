"""What pricing is asked and what it says: marks, chains, sessions and the captured context."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from libs.common.messages.base import Fact, Payload, Query, Tick

# ── queries ──────────────────────────────────────────────────────────────────────────────────────────────────────────


class GetMarketStatus(Query, service="pricing", name="get_market_status"):
    """Answer the session of the user's venue: {mode, state, date, next_change_at, next_state, now}."""

    broker_mode: str | None = None


class ListExpirations(Query, service="pricing", name="list_expirations"):
    """Answer {ticker, expirations, as_of}; at most one refresh at a time for all users."""

    timeout_s = 6.0

    ticker: str


class GetChain(Query, service="pricing", name="get_chain"):
    """Answer the chain of one expiry; at most one refresh at a time for all users."""

    timeout_s = 6.0

    ticker: str
    expiry: date


class GetSnapshots(Query, service="pricing", name="get_snapshots"):
    """Answer {points}: the P&L curve of one of the user's trades, thinned to at most `points` points."""

    trade_id: str
    seen_from: datetime | None = None
    seen_to: datetime | None = None
    points: int = 500


class GetPricingStatus(Query, service="pricing", name="get_status"):
    """Answer {banners, feeds} as pricing sees them."""


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class ContextCaptured(Fact, service="pricing", name="context_captured", key="trade_id"):
    """The market around an entry, captured once."""

    trade_id: str
    context: dict[str, Any]
    captured_at: datetime


# ── ticks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


class Mark(Payload):
    """One contract's quote. Both sides zero is no quote; bid 0 with an ask marks a long at 0. Units: USD per share."""

    occ_symbol: str
    bid: Decimal
    ask: Decimal
    mark: Decimal
    delta: Decimal | None = None
    iv: Decimal | None = None
    quoted_at: datetime


class Marks(Tick, publishers=("pricing",), listeners=("orders", "monitor"), queued=True, name="marks"):
    """The marks of one ticker's contracts in use."""

    ticker: str
    underlying_price: Decimal | None
    source: str
    delayed: bool = False
    as_of: datetime
    marks: tuple[Mark, ...]
