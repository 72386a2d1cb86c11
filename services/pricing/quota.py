"""How many vendor requests a minute and a month still allow, purely.

1. `used` never passes `ceiling` within one window.
2. A grant is all or part of what is asked, never more than is left.
Source: ORATS plans: 1,000 requests a minute over all APIs, a monthly quota by plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Window:
    """One fixed window. It opens with its first request."""

    opened_at: datetime
    used: int
    ceiling: int
    length: timedelta = MINUTE

    @property
    def left(self) -> int:
        """Return how many requests the window still allows."""
        return max(0, self.ceiling - self.used)


def take(window: Window, asked: int, now: datetime) -> tuple[Window, int]:
    """Take up to `asked` requests; a window that is over starts anew. Returns the window and what was granted."""
    current = window if now < window.opened_at + window.length else replace(window, opened_at=now, used=0)
    granted = min(asked, current.left)
    return replace(current, used=current.used + granted), granted
