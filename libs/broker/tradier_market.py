"""Tradier's quotes, chains, expiries and clock as reports. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from libs.broker import tradier_wire as wire
from libs.broker.reports import Chain, ClockReport, Greeks, Quote
from libs.common.http_call import Answer, Unreadable
from libs.market.session import MarketState


def quotes(answer: Answer, *, is_delayed: bool) -> dict[str, Quote]:
    """Read quotes by symbol; unmatched symbols are absent. Raises: Unreadable."""
    data = wire.read_body(answer, "quotes")
    if "quotes" not in data:
        raise Unreadable("no quotes in the answer")
    found = (quote(raw, is_delayed=is_delayed) for raw in wire.many(data["quotes"], "quote"))
    return {item.symbol: item for item in found}


def quote(raw: wire.Raw, *, is_delayed: bool) -> Quote:
    """Read one quote, of a chain or a list. Raises: Unreadable."""
    symbol = wire.text(raw.get("symbol"))
    if symbol is None:
        raise Unreadable("a quote has no symbol")
    option_type = wire.text(raw.get("option_type"))
    return Quote(
        symbol=symbol,
        type=wire.text(raw.get("type")) or "",
        bid=wire.decimal(raw.get("bid")),
        ask=wire.decimal(raw.get("ask")),
        last=wire.decimal(raw.get("last")),
        bid_size=wire.integer(raw.get("bidsize")),
        ask_size=wire.integer(raw.get("asksize")),
        bid_at=wire.epoch(raw.get("bid_date"), 1000),
        ask_at=wire.epoch(raw.get("ask_date"), 1000),
        trade_at=wire.epoch(raw.get("trade_date"), 1000),
        is_delayed=is_delayed,
        open=wire.decimal(raw.get("open")),
        high=wire.decimal(raw.get("high")),
        low=wire.decimal(raw.get("low")),
        close=wire.decimal(raw.get("close")),
        previous_close=wire.decimal(raw.get("prevclose")),
        volume=wire.integer(raw.get("volume")),
        open_interest=wire.integer(raw.get("open_interest")),
        underlying=wire.text(raw.get("underlying")),
        root=wire.text(raw.get("root_symbol")),
        option_type=option_type.upper() if option_type else None,
        strike=wire.decimal(raw.get("strike")),
        expiry=wire.day(raw.get("expiration_date")),
        contract_size=wire.integer(raw.get("contract_size")),
        greeks=_greeks(raw.get("greeks")),
    )


def _greeks(raw: Any) -> Greeks | None:
    """Read sensitivities, which may be missing, null or partial."""
    if not isinstance(raw, Mapping):
        return None
    names = ("delta", "gamma", "theta", "vega", "rho", "phi", "bid_iv", "mid_iv", "ask_iv", "smv_vol")
    return Greeks(**{name: wire.real(raw.get(name)) for name in names}, updated_at=wire.instant(raw.get("updated_at")))


def chain(answer: Answer, underlying: str, expiry: date, *, is_delayed: bool) -> Chain:
    """Read a chain; `options: null` is an empty one. Raises: Unreadable."""
    data = wire.read_body(answer, "chain")
    if "options" not in data:
        raise Unreadable("no options in the answer")
    options = tuple(quote(raw, is_delayed=is_delayed) for raw in wire.many(data["options"], "option"))
    return Chain(underlying=underlying, expiry=expiry, options=options)


def expirations(answer: Answer) -> tuple[date, ...]:
    """Read expiries in both shapes, plain dates and objects. Raises: Unreadable."""
    data = wire.read_body(answer, "expirations")
    if "expirations" not in data:
        raise Unreadable("no expirations in the answer")
    raw = data["expirations"]
    plain = wire.strings(raw.get("date")) if isinstance(raw, Mapping) else []
    said = plain or [str(item.get("date")) for item in wire.many(raw, "expiration")]
    days = [wire.day(item) for item in said]
    return tuple(sorted({found for found in days if found is not None}))


def clock(answer: Answer) -> ClockReport:
    """Read the venue's clock. Raises: Unreadable.

    `speed`, `session` and `now` are the simulator's additions; a clock whose next state is its present one is held.
    """
    raw = wire.read_body(answer, "clock").get("clock")
    if not isinstance(raw, Mapping):
        raise Unreadable("no clock in the answer")
    market_now = wire.instant(raw.get("now")) or wire.epoch(raw.get("timestamp"), 1)
    market_date = wire.day(raw.get("date"))
    if market_now is None or market_date is None:
        raise Unreadable("a clock without a time")
    state = MarketState(str(raw.get("state")))
    next_state = wire.text(raw.get("next_state"))
    session = wire.text(raw.get("session"))
    speed = wire.decimal(raw.get("speed"))
    return ClockReport(
        market_date=market_date,
        state=state,
        market_now=market_now,
        next_change=wire.text(raw.get("next_change")),
        next_state=MarketState(next_state) if next_state in set(MarketState) else None,
        speed=Decimal(1) if speed is None else speed,
        is_simulated=session is not None and speed is not None,
        follows_calendar=session == "calendar" if session else next_state != state,
        description=wire.text(raw.get("description")) or "",
    )
