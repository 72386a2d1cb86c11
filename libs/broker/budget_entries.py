"""Where windows are kept: in a bucket that all processes see, or in this process alone."""

from __future__ import annotations

from typing import Final, Protocol

from libs.broker.budget_window import Window, decoded, encoded
from libs.common.kv import Bucket
from libs.common.streams import Streams

BUCKET: Final = "budget"
KEPT_S: Final = 600
"""Far beyond a window: an idle token's entry goes by itself."""

Found = tuple[Window | None, int]
"""A window and its revision; 0 where there is none yet."""


class Entries(Protocol):
    """One window a key, changed by compare-and-set."""

    @property
    def reachable(self) -> bool:
        """Whether asking has any prospect."""

    async def read(self, key: str) -> Found:
        """Return what is stored. Raises: UpstreamUnavailable."""

    async def swap(self, key: str, window: Window, revision: int) -> int | None:
        """Store if nobody else did since `revision`, else None. Raises: UpstreamUnavailable; it may have happened."""


class SharedEntries:
    """Windows in the bucket `budget`."""

    def __init__(self, streams: Streams) -> None:
        self._bucket = Bucket(streams, BUCKET, kept_s=KEPT_S)

    @property
    def reachable(self) -> bool:
        """Whether the bus is connected."""
        return self._bucket.reachable

    async def read(self, key: str) -> Found:
        """Return what is stored. Raises: UpstreamUnavailable."""
        entry = await self._bucket.read(key)
        return (None, 0) if entry is None else (decoded(entry.value), entry.revision)

    async def swap(self, key: str, window: Window, revision: int) -> int | None:
        """Store if nobody else did since `revision`, else None. Raises: UpstreamUnavailable; it may have happened."""
        return await self._bucket.swap(key, encoded(window), revision)


class OwnEntries:
    """Windows in this process, for one that shares its tokens with nobody."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Window, int]] = {}
        self.reachable = True

    async def read(self, key: str) -> Found:
        """Return what is stored."""
        return self._kept.get(key, (None, 0))

    async def swap(self, key: str, window: Window, revision: int) -> int | None:
        """Store if nobody else did since `revision`, else None."""
        if self._kept.get(key, (None, 0))[1] != revision:
            return None
        self._kept[key] = (window, revision + 1)
        return revision + 1
