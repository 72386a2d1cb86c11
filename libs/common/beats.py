"""The observer of beats: flows say where they are, so that tests can let them crash exactly there."""

from __future__ import annotations

from typing import Protocol


class Beats(Protocol):
    """Hears each mark of each flow, such as `orders.place.sent`."""

    async def at(self, beat: str) -> None:
        """Take note that the flow reached `beat`; whatever it raises is the crash."""
        ...


class NoBeats:
    """Nobody listens: production."""

    async def at(self, beat: str) -> None:
        """Do nothing."""


class Crash(BaseException):
    """The process died here, as far as the flow can tell: nothing catches it on the way out."""


class CrashAt:
    """Dies at the nth beat heard, and remembers all of them."""

    def __init__(self, nth: int | None = None, *, name: str | None = None) -> None:
        """Die at the `nth` beat (from 1), or at the first called `name`; with neither, only remember."""
        self._nth = nth
        self._name = name
        self.heard: list[str] = []

    async def at(self, beat: str) -> None:
        """Remember the beat and die if it is the one."""
        self.heard.append(beat)
        if len(self.heard) == self._nth or beat == self._name:
            self._nth = self._name = None
            raise Crash(beat)
