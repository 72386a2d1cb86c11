"""The last facts of the live feed, by user, and where a reader goes on.

1. Every sequence number between `floor` and `last` has been seen; facts that nobody may see leave no frame.
2. `after(user, cursor)` is complete or None: a reader never gets a part of what he missed for the whole.
3. Count, age and bytes are bounded; the oldest go first.
4. A cursor belongs to one epoch; a new epoch empties the ring.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

_CURSOR = re.compile(r"([0-9a-z]{1,20})-([0-9]{1,19})")


@dataclass(frozen=True)
class Bounds:
    """How much the ring keeps. Units: facts, seconds, bytes."""

    most: int = 50_000
    oldest_s: float = 900.0
    largest: int = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    sequence: int
    fact_id: str
    user: str
    at_s: float
    size: int


class Ring:
    """Frames by user in the order of the stream."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self.epoch = ""
        self.floor = 0
        self.last = 0
        self.size = 0
        self._kept: deque[_Kept] = deque()
        self._of_user: dict[str, deque[tuple[int, bytes]]] = {}

    def __len__(self) -> int:
        """Count the frames kept."""
        return len(self._kept)

    def begin(self, epoch: str, floor: int) -> None:
        """Empty the ring and go on in `epoch` behind sequence `floor`."""
        self.epoch, self.floor, self.last, self.size = epoch, floor, floor, 0
        self._kept.clear()
        self._of_user.clear()

    def cursor(self, sequence: int | None = None) -> str:
        """Name a place in the feed; by default the newest."""
        return f"{self.epoch}-{self.last if sequence is None else sequence}"

    def skip(self, sequence: int, at_s: float) -> None:
        """Take note of the next fact of the stream, which nobody may see. Time: `at_s` never falls."""
        self.last = sequence
        self._forget(at_s)

    def keep(self, sequence: int, at_s: float, *, user: str, fact_id: str, frame: bytes) -> None:
        """Keep the next fact of the stream for its user. Time: `at_s` never falls."""
        self.last = sequence
        self._kept.append(_Kept(sequence, fact_id, user, at_s, len(frame)))
        self._of_user.setdefault(user, deque()).append((sequence, frame))
        self.size += len(frame)
        self._forget(at_s)

    def fact_ids(self) -> frozenset[str]:
        """List the facts that are kept."""
        return frozenset(kept.fact_id for kept in self._kept)

    def after(self, user: str, cursor: str) -> list[bytes] | None:
        """Return what `user` missed since `cursor`; None when that cannot be told any more."""
        found = _CURSOR.fullmatch(cursor)
        if found is None or found[1] != self.epoch:
            return None
        sequence = int(found[2])
        if not self.floor <= sequence <= self.last:
            return None
        missed: list[bytes] = []
        for kept, frame in reversed(self._of_user.get(user, ())):
            if kept <= sequence:
                break
            missed.append(frame)
        missed.reverse()
        return missed

    def _forget(self, now_s: float) -> None:
        bounds = self._bounds
        while self._kept and (
            len(self._kept) > bounds.most or self.size > bounds.largest or now_s - self._kept[0].at_s > bounds.oldest_s
        ):
            oldest = self._kept.popleft()
            frames = self._of_user[oldest.user]
            frames.popleft()
            if not frames:
                del self._of_user[oldest.user]
            self.size -= oldest.size
            self.floor = oldest.sequence
