"""The live feed's hub: every fact of the house read once, framed once and handed to the readers it belongs to.

One task reads the stream; each reader's own request task writes. A reader is registered in the same step in which
what he missed is taken from the ring, so there is no gap and no repeat between the two.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import orjson

from libs.common.errors import Throttled, UpstreamUnavailable
from libs.common.messages.base import SYSTEM_USER
from libs.common.metrics import METRICS
from services.gateway import frames
from services.gateway.reader import Reader
from services.gateway.ring import Bounds, Ring

if TYPE_CHECKING:
    from libs.common.clock import Clock

_READERS = METRICS.gauge("stream_readers", "Live feeds that are open", [])
_RESYNCS = METRICS.counter("stream_resyncs_total", "Readers told to load again, by why", ["reason"])


class Hub:
    """The readers of this process and the ring they go on from."""

    def __init__(self, clock: Clock, *, per_user: int, ring: Ring | None = None) -> None:
        self.ring = ring or Ring()
        self.is_filled = asyncio.Event()
        self._clock = clock
        self._per_user = per_user
        self._readers: dict[str, set[Reader]] = {}
        self._shown: frozenset[str] = frozenset()
        self._news_since = datetime.min.replace(tzinfo=UTC)
        self._is_over = False

    def open(self, user: str, credential_id: str, cursor: str | None) -> Reader:
        """Register a reader who goes on after `cursor`, or from now.

        Raises: Throttled past the user's share, UpstreamUnavailable before the ring is filled and when we stop.
        """
        if self._is_over or not self.is_filled.is_set():
            raise UpstreamUnavailable("the live feed is not ready; try again in a second")
        readers = self._readers.get(user, set())
        if len(readers) >= self._per_user:
            raise Throttled(f"{self._per_user} live feeds are open already; close one first", retry_after_s=15)
        reader = Reader(user, credential_id)
        missed = self.ring.after(user, cursor) if cursor is not None else []
        if missed is None:
            _RESYNCS.labels("cursor").inc()
            missed = [frames.resync("cursor")]
        for frame in (*missed, frames.place(self.ring.cursor())):
            reader.give(frame)
        self._readers.setdefault(user, set()).add(reader)
        _READERS.inc()
        return reader

    def close(self, reader: Reader) -> None:
        """Forget a reader who is gone."""
        readers = self._readers.get(reader.user, set())
        if reader in readers:
            readers.discard(reader)
            _READERS.dec()
        if not readers:
            self._readers.pop(reader.user, None)

    def begin(self, epoch: str, floor: int, *, created_at: datetime, is_filled: bool) -> None:
        """Follow a stream made at `created_at` from behind `floor`. Readers must load again; new ones wait.

        A new stream gets the facts of the last days once more: what was shown before, or happened well before the
        stream was made, is in the lists that readers load now, and is not shown again.
        """
        self._shown |= self.ring.fact_ids()
        self._news_since = created_at - timedelta(seconds=Bounds().oldest_s)
        self.ring.begin(epoch, floor)
        if not is_filled:
            self.is_filled.clear()
        for reader in self.readers():
            _RESYNCS.labels("epoch").inc()
            reader.give(frames.resync("epoch"))
            reader.give(frames.place(self.ring.cursor()))

    def see(self, sequence: int, subject: str, envelope: bytes) -> None:
        """Take the next fact of the stream and hand it to its user's readers."""
        _, user, owner, topic = subject.split(".", 3)
        event = frames.EVENT_OF.get(f"{owner}.{topic}")
        now_s = self._clock.monotonic()
        if event is None or user == SYSTEM_USER:
            self.ring.skip(sequence, now_s)
            return
        outer = orjson.loads(envelope)
        fact_id = outer["id"]
        if fact_id in self._shown or datetime.fromisoformat(outer["occurred_at"]) < self._news_since:
            self.ring.skip(sequence, now_s)
            return
        frame = frames.fact(event, self.ring.cursor(sequence), orjson.dumps(outer["data"]))
        self.ring.keep(sequence, now_s, user=user, fact_id=fact_id, frame=frame)
        for reader in self._readers.get(user, ()):
            reader.give(frame)

    def tell(self, user: str, event: str, data: bytes) -> None:
        """Hand a tick to a user's readers ("_": to everybody's)."""
        frame = frames.tick(event, data)
        for reader in self.readers() if user == SYSTEM_USER else self._readers.get(user, ()):
            reader.give(frame, may_drop=True)

    def keep_awake(self) -> None:
        """Give everybody a comment line, and his place where it moved, so that proxies and cursors stay fresh."""
        place = frames.place(self.ring.cursor())
        for reader in self.readers():
            reader.give(frames.COMMENT if reader.has(place) else frames.COMMENT + place, may_drop=True)

    def end(self, credential_ids: Iterable[str]) -> None:
        """Close the feeds of sessions and keys that are over."""
        gone = set(credential_ids)
        for reader in self.readers():
            if reader.credential_id in gone:
                reader.end()

    def end_all(self) -> None:
        """Close every feed: the process stops, and readers go on elsewhere from where they are."""
        self._is_over = True
        for reader in self.readers():
            reader.end()

    def readers(self) -> list[Reader]:
        """List all readers."""
        return [reader for readers in self._readers.values() for reader in readers]
