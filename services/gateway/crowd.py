"""How many bots of whom stand inside. Pure.

1. A connection counts for its user from the moment it is let in until the server no longer tells of it.
2. Nobody's connections count against another user.
3. What is remembered is bounded by the connections that stand.
Time: seconds of a clock that only goes forward.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

Place = tuple[str, int]
"""A connection: the server's id and its number there."""

SETTLES_S = 2.0
"""Sooner than that after it was let in the server tells of a connection, or it came to nothing: its login timed out."""


class Crowd:
    """Whose connections stand, as one process knows: those the server told of, and those let in since."""

    def __init__(self) -> None:
        self._told: dict[str, set[Place]] = {}
        self._let_in: dict[str, dict[Place, float]] = defaultdict(dict)
        self.asked_at = float("-inf")
        """When the server was asked for what it told last."""

    def let_in(self, user: str, place: Place, now: float) -> None:
        """Remember one who is let in now."""
        self._let_in[user][place] = now

    def told(self, standing: Iterable[tuple[str, Place]], asked_at: float) -> None:
        """Take the server's word for who stands, as it was asked at `asked_at`."""
        found: dict[str, set[Place]] = defaultdict(set)
        for user, place in standing:
            found[user].add(place)
        self._told, self.asked_at = dict(found), asked_at
        # Of whom the server told once, its word is enough from then on: he may have gone again.
        kept = {
            user: {
                one: at for one, at in places.items() if at > asked_at - SETTLES_S and one not in found.get(user, ())
            }
            for user, places in self._let_in.items()
        }
        self._let_in = defaultdict(dict, {user: places for user, places in kept.items() if places})

    def count(self, user: str) -> int:
        """Say how many connections of a user stand, or are about to."""
        return len(self._told.get(user, set()) | self._let_in.get(user, {}).keys())
