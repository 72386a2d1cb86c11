"""One token's requests of one class in this process: who waits, what is in hand, what is known. No I/O.

Invariants:
1. Waiters go by priority, then by age.
2. A grant taken for one priority serves that one or a more urgent one, never a less urgent one: reserves hold.
3. A grant in hand is worth nothing once the window it was taken in is over.
4. Without the others an exit may have a quarter of the ceiling, unless the broker said that the window is used up.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from libs.broker.base import Priority
from libs.broker.budget import RateClass
from libs.broker.budget_window import Limits, Window, is_over, merged, observed, planned, running, taken
from libs.common.http_limits import RateReading

LITTLE: Final = 2
"""With no more in hand than this, the next are taken before they are asked for."""


@dataclass(order=True)
class Waiter:
    """One request that waits for its turn."""

    priority: Priority
    number: int
    granted: asyncio.Future[None] = field(compare=False)
    since_s: float = field(compare=False)
    window: int = field(default=0, compare=False)
    """Which window its grant was taken in."""


class Lane:
    """See the module. Units: `now_ms` epoch milliseconds, `now_s` monotonic seconds."""

    def __init__(self, key: str, rate_class: RateClass, limits: Limits) -> None:
        self.key = key
        self.rate_class = rate_class
        self.limits = limits
        self.known: Window | None = None
        self.revision: int | None = None
        """Of what is stored; None until it is read (again)."""
        self.read_at_s = 0.0
        self.trouble_since_s: float | None = None
        self.kick = asyncio.Event()
        self.is_served = False
        self.soon: Priority | None = None
        """Who will ask soon while little is in hand for them."""
        self.news: list[RateReading] = []
        """What answers said of a window's end or allowance that is not stored yet."""
        self._waiting: list[Waiter] = []
        self._numbers = itertools.count()
        self._hand: dict[Priority, int] = {}
        self._hand_window = 0
        self._alone_window = 0
        self._alone_used = 0

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def join(self, priority: Priority, now_s: float) -> Waiter:
        """Wait in line."""
        waiter = Waiter(priority, next(self._numbers), asyncio.get_running_loop().create_future(), now_s)
        heapq.heappush(self._waiting, waiter)
        self.kick.set()
        return waiter

    @property
    def waiting(self) -> list[Waiter]:
        """Those who wait, first first."""
        if any(one.granted.done() for one in self._waiting):
            self._waiting = [one for one in self._waiting if not one.granted.done()]
            heapq.heapify(self._waiting)
        return sorted(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits or will ask soon, and nothing is to be told."""
        return not self.news and self.soon is None and not self.waiting

    def serve(self, now_ms: int) -> Iterator[Waiter]:
        """Grant what is in hand, best first; yields who got it."""
        for waiter in self.waiting:
            if self.use(waiter.priority, now_ms):
                yield self._grant(waiter)

    def serve_alone(self, now_ms: int) -> Iterator[Waiter]:
        """Grant exits from this process's own share; yields who got it."""
        for waiter in self.waiting:
            if waiter.priority is Priority.EXIT and self.use_alone(now_ms):
                yield self._grant(waiter)

    def _grant(self, waiter: Waiter) -> Waiter:
        waiter.window = self.known.opened_ms if self.known else 0
        waiter.granted.set_result(None)
        return waiter

    # ── what is in hand ──────────────────────────────────────────────────────────────────────────────────────────────

    def use(self, priority: Priority, now_ms: int) -> bool:
        """Use up a grant in hand, the most reserved that serves; says whether there was one."""
        if self.known is None or is_over(self.known, now_ms) or self._hand_window != self.known.opened_ms:
            self._hand.clear()
            return False
        for tag in sorted(self._hand):
            if tag >= priority and self._hand[tag]:
                self._hand[tag] -= 1
                return True
        return False

    def runs_short(self, priority: Priority, now_ms: int) -> bool:
        """Note who will ask soon, unless enough is in hand for them; says whether more is to be taken."""
        if priority is Priority.POLL or self._for(priority, now_ms) > LITTLE:
            return False
        self.soon = priority if self.soon is None else min(self.soon, priority)
        return True

    def _for(self, priority: Priority, now_ms: int) -> int:
        """Count what is in hand for a priority."""
        if self.known is None or is_over(self.known, now_ms) or self._hand_window != self.known.opened_ms:
            return 0
        return sum(count for tag, count in self._hand.items() if tag >= priority)

    def hold(self, tags: Iterable[Priority], window: Window) -> None:
        """Put grants of `window` in hand."""
        if self._hand_window != window.opened_ms:
            self._hand.clear()
            self._hand_window = window.opened_ms
        for tag in tags:
            self._hand[tag] = self._hand.get(tag, 0) + 1

    def give_back(self, waiter: Waiter) -> None:
        """Take a grant back from who went away before using it."""
        if self.known is not None and self.known.opened_ms == waiter.window:
            self.hold([waiter.priority], self.known)

    def use_alone(self, now_ms: int) -> bool:
        """Grant one exit without asking the others; says whether there was room."""
        window = running(self.known, now_ms)
        if self._alone_window != window.opened_ms:
            self._alone_window, self._alone_used = window.opened_ms, 0
        has_share = self._alone_used < self.limits.alone(self.rate_class, window.allowed)
        if not has_share or window.used >= self.limits.ceiling(self.rate_class, window.allowed):
            return False
        self._alone_used += 1
        self.known = taken(window, 1)
        return True

    # ── how much is left ──────────────────────────────────────────────────────────────────────────────────────────────

    def left(self, stored: Window | None, priority: Priority, now_ms: int, within_s: float) -> int:
        """Count what a priority may still send within so long, by what is stored and what is known here."""
        window = running(merged(self.known, stored, now_ms), now_ms)
        most = self.limits.limit(self.rate_class, priority, window.allowed)
        in_hand = sum(self._hand.values()) if self._hand_window == window.opened_ms else 0
        following = most if window.expires_ms - now_ms <= within_s * 1000 else 0
        return max(most - window.used, 0) + in_hand + following

    def left_alone(self, now_ms: int, within_s: float) -> int:
        """Count what exits may still send within so long while the others cannot be asked."""
        window = running(self.known, now_ms)
        share = self.limits.alone(self.rate_class, window.allowed)
        used = self._alone_used if self._alone_window == window.opened_ms else 0
        now = min(share - used, self.limits.ceiling(self.rate_class, window.allowed) - window.used)
        return max(now, 0) + (share if window.expires_ms - now_ms <= within_s * 1000 else 0)

    # ── what is known ────────────────────────────────────────────────────────────────────────────────────────────────

    def plan(self, now_ms: int) -> tuple[Window, tuple[Priority, ...]]:
        """Return the running window and for whom to take from it now."""
        window = running(self.known, now_ms)
        wanted = [waiter.priority for waiter in self.waiting]
        in_hand = 0 if self.soon is None else self._for(self.soon, now_ms)
        return window, planned(window, wanted, self.rate_class, self.limits, soon=self.soon, in_hand=in_hand)

    def learned(self, stored: Window | None, revision: int, now_ms: int) -> None:
        """Know what is stored, and what answers said meanwhile."""
        window = merged(self.known, stored, now_ms)
        if self.news:
            window = self._with_news(running(window, now_ms), now_ms)
        before = self.known
        if window and before and window.opened_ms < before.opened_ms == self._hand_window:
            # The same minute under the name of who opened it first: what is in hand stays good.
            self._hand_window = window.opened_ms
        self.known, self.revision = window, revision

    def written(self, window: Window, tags: Iterable[Priority], revision: int, told: int, now_ms: int) -> None:
        """Know that `window` is stored, with the first `told` of the news; its grants are in hand."""
        heard = self.known.used if self.known and self.known.opened_ms == window.opened_ms else 0
        del self.news[:told]
        self.known = self._with_news(replace(window, used=max(window.used, heard)), now_ms)
        self.revision = revision
        self.hold(tags, window)

    def _with_news(self, window: Window, now_ms: int) -> Window:
        """Apply the news, and keep of them what the window did not say already."""
        kept = []
        for reading in self.news:
            learned = observed(window, reading, now_ms)
            if _is_news(window, learned):
                kept.append(reading)
            window = learned
        self.news = kept
        return window

    def heard(self, reading: RateReading, now_ms: int) -> bool:
        """Learn from an answer; says whether the others should hear of it now, not with our next request."""
        window = running(self.known, now_ms)
        learned = observed(window, reading, now_ms)
        if learned == window:
            return False
        self.known = learned
        if not _is_news(window, learned):
            return False
        self.news.append(reading)
        return True


def _is_news(before: Window, after: Window) -> bool:
    return replace(before, used=0) != replace(after, used=0)
