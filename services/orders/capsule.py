"""What is known of the market and the signals when an entry is decided. Pure."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.broker.reports import Quote
from libs.common.messages.orders import PlaceTrade


def capsule_of(command: PlaceTrade, quote: Quote) -> dict[str, Any]:
    """Return what is known at entry, from the quote that the order is placed against."""
    greeks = quote.greeks
    middle = ((quote.bid or Decimal(0)) + (quote.ask or Decimal(0))) / 2
    spread = None
    if middle > 0:
        spread = (((quote.ask or Decimal(0)) - (quote.bid or Decimal(0))) / middle * 100).quantize(Decimal("0.01"))
    delta = None if greeks is None else greeks.delta
    iv = None if greeks is None else greeks.mid_iv or greeks.smv_vol
    names = ("delta", "gamma", "theta", "vega", "rho")
    return {
        "signals_snapshot": command.signals_snapshot,
        "ai_reasoning_log": command.ai_reasoning_log,
        "delta_at_entry": delta,
        "iv_at_entry": iv,
        "order_book_state": {
            "bid": quote.bid,
            "ask": quote.ask,
            "spread_pct": spread,
            "volume": quote.volume,
            "open_interest": quote.open_interest,
            "greeks": None if greeks is None else {name: getattr(greeks, name) for name in names} | {"iv": iv},
        },
    }
