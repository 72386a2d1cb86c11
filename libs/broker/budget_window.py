"""One minute of one token at the broker, as every process of ours counts it. Pure: time is handed in, in milliseconds.

Invariants:
1. A window opens with its first request and ends when the broker says, or a minute later; then the next counts from 0.
2. `used` never falls inside a window: it is what we granted, raised to the broker's own figure where that is greater.
3. What a priority may use never passes the ceiling, 5 of 6 that the broker allows; nobody may use more than an exit.
4. What is taken ahead of need leaves half of what the priority may use to the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from libs.broker.base import Priority
from libs.broker.budget import RateClass
from libs.common.http_limits import RateReading

WINDOW_MS: Final = 60_000
SKEW_MS: Final = 1_000
"""How far apart our processes' clocks may see a window's end."""
BLOCK: Final = 5
"""Most requests taken at once, those for the next steps of a flow included."""
DOCUMENTED: Final = {RateClass.TRADING: 60, RateClass.STANDARD: 60, RateClass.MARKET: 60}
"""Requests a minute in the sandbox, the least of all modes; answers say what it really is. Source: venues §1.14."""
LEAVING: Final = frozenset(
    {
        (Priority.ENTRY, RateClass.TRADING),
        (Priority.POLL, RateClass.TRADING),
        (Priority.POLL, RateClass.STANDARD),
    }
)
"""Who leaves the reserve to those before them. Market data is read with tokens of its own."""


@dataclass(frozen=True, slots=True)
class Window:
    """What is known of a running minute. Units: epoch milliseconds; `allowed` 0 until the broker has said."""

    opened_ms: int
    used: int
    expires_ms: int
    allowed: int = 0
    told: bool = False
    """Whether the end is the broker's word, not our estimate."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the broker's allowance is ours to use, and what each priority leaves to those before it."""

    assumed: Mapping[RateClass, int] = field(default_factory=lambda: dict(DOCUMENTED))
    reserve: int = 20

    def ceiling(self, rate_class: RateClass, allowed: int) -> int:
        """Return the most requests a window may see from us: 50 of 60, 100 of 120."""
        return max(1, (allowed or self.assumed[rate_class]) * 5 // 6)

    def limit(self, rate_class: RateClass, priority: Priority, allowed: int) -> int:
        """Return how far `used` may rise for a priority. Source: order-path §5."""
        ceiling = self.ceiling(rate_class, allowed)
        return ceiling - min(self.reserve, ceiling * 2 // 5) if (priority, rate_class) in LEAVING else ceiling

    def alone(self, rate_class: RateClass, allowed: int) -> int:
        """Return how much a process may use while it cannot ask the others."""
        return max(1, self.ceiling(rate_class, allowed) // 4)


def is_over(window: Window, now_ms: int) -> bool:
    """Say whether the minute has ended."""
    return window.expires_ms <= now_ms


def running(window: Window | None, now_ms: int) -> Window:
    """Return the window itself, or the next one, unused, with the allowance last heard."""
    if window is not None and not is_over(window, now_ms):
        return window
    return Window(now_ms, 0, now_ms + WINDOW_MS, window.allowed if window else 0)


def taken(window: Window, count: int) -> Window:
    """Count requests that were granted."""
    return replace(window, used=window.used + count)


def observed(window: Window, reading: RateReading, now_ms: int) -> Window:
    """Learn from an answer. One about a minute that is over tells only what is allowed."""
    window = replace(window, allowed=max(0, reading.allowed) or window.allowed)
    used = max(window.used, reading.used)
    if reading.expires_at is None:
        return replace(window, used=used)
    expires_ms = int(reading.expires_at.timestamp() * 1000)
    if expires_ms <= now_ms:
        return window
    # A clock of ours that is behind must not make the minute longer than a minute.
    return replace(window, used=used, expires_ms=min(expires_ms, now_ms + WINDOW_MS), told=True)


def merged(ours: Window | None, theirs: Window | None, now_ms: int) -> Window | None:
    """Put together what we remember and what is stored: the bucket may have lost what we know, or know more."""
    if ours is None or theirs is None:
        return theirs or ours
    allowed = theirs.allowed or ours.allowed
    if is_over(ours, now_ms):
        return replace(theirs, allowed=allowed)
    if is_over(theirs, now_ms):
        return replace(ours, allowed=allowed)
    first, last = sorted((ours, theirs), key=lambda one: one.opened_ms)
    if last.opened_ms >= first.expires_ms - SKEW_MS:
        return replace(last, allowed=allowed)
    # Opened while the other was running: the same minute at the broker, forgotten and begun again.
    ends = [one.expires_ms for one in (first, last) if one.told] or [first.expires_ms]
    return Window(first.opened_ms, max(first.used, last.used), max(ends), allowed, first.told or last.told)


def planned(
    window: Window,
    waiting: Sequence[Priority],
    rate_class: RateClass,
    limits: Limits,
    block: int = BLOCK,
    *,
    soon: Priority | None = None,
    in_hand: int = 0,
) -> tuple[Priority, ...]:
    """Return for whom to take: as many of `waiting`, in order, as there is room for, and what their flow needs next.

    Where nobody waits: what is missing of a block for who will ask `soon`.
    """
    tags: list[Priority] = []
    for priority in waiting[:block]:
        if window.used + len(tags) >= limits.limit(rate_class, priority, window.allowed):
            return tuple(tags)
        tags.append(priority)
    first = tags[0] if tags else soon
    if first is not None and first is not Priority.POLL:
        missing = block - (len(tags) or in_hand)
        # Whatever asks next, an entry too, shall find it: taken for an entry it serves an exit as well.
        for tag in dict.fromkeys((max(first, Priority.ENTRY), first)):
            ahead = limits.limit(rate_class, tag, window.allowed) // 2
            spare = max(0, min(missing, ahead - window.used - len(tags)))
            tags += [tag] * spare
            missing -= spare
    return tuple(tags)


def encoded(window: Window) -> bytes:
    """Write the stored form."""
    return orjson.dumps(
        {
            "window": window.opened_ms,
            "used": window.used,
            "expires_ms": window.expires_ms,
            "allowed": window.allowed,
            "told": window.told,
        }
    )


def decoded(data: bytes) -> Window | None:
    """Read the stored form; None when it is not one."""
    try:
        found: dict[str, Any] = orjson.loads(data)
        figures = [int(found[name]) for name in ("window", "used", "expires_ms")]
        return Window(figures[0], figures[1], figures[2], int(found.get("allowed", 0)), bool(found.get("told", False)))
    except (ValueError, KeyError, TypeError):
        return None
