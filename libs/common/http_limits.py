"""What an answer's headers say about request limits. Pure but for the time of day, which the caller may pass."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_MILLISECONDS_FROM: Final = 100_000_000_000
"""An epoch above this is in milliseconds (as seconds it would be the year 5138)."""


@dataclass(frozen=True, slots=True)
class RateReading:
    """A limit window as the vendor counts it."""

    allowed: int
    used: int
    available: int
    expires_at: datetime | None


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _epoch_s(text: str | None) -> float | None:
    """Read an epoch in seconds or milliseconds."""
    number = _number(text)
    if number is None or not 0 < number < 1e15:
        return None
    return number / 1000 if number > _MILLISECONDS_FROM else number


def retry_after_s(headers: Mapping[str, str], *, now_s: float | None = None) -> float | None:
    """Return how long to wait before asking again; None when nothing is said. Never negative.

    Source: RFC 9110 §10.2.3 `Retry-After`; `X-Ratelimit-Expiry` (Tradier, milliseconds), `X-RateLimit-Reset`.
    """
    now_s = time.time() if now_s is None else now_s
    said = headers.get("retry-after")
    seconds = _number(said)
    if seconds is not None:
        return max(0.0, seconds)
    if said is not None:
        try:
            return max(0.0, parsedate_to_datetime(said).timestamp() - now_s)
        except ValueError:
            pass
    until_s = _epoch_s(headers.get("x-ratelimit-expiry")) or _epoch_s(headers.get("x-ratelimit-reset"))
    return None if until_s is None else max(0.0, until_s - now_s)


def rate_reading(headers: Mapping[str, str]) -> RateReading | None:
    """Return Tradier's count of the window; None when the answer carries none. Source: venues §1.14."""
    allowed = _number(headers.get("x-ratelimit-allowed"))
    used = _number(headers.get("x-ratelimit-used"))
    available = _number(headers.get("x-ratelimit-available"))
    if allowed is None or (used is None and available is None):
        return None
    used = allowed - available if used is None and available is not None else used or 0.0
    available = allowed - used if available is None else available
    expires_s = _epoch_s(headers.get("x-ratelimit-expiry"))
    expires_at = None if expires_s is None else datetime.fromtimestamp(expires_s, UTC)
    return RateReading(int(allowed), int(used), int(available), expires_at)
