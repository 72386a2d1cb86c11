"""A bucket of small values on the bus, kept in memory and changed by compare-and-set, in the layout of NATS' KV.

It may be gone whenever the server was: whoever uses it knows how to begin again.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

import orjson

from libs.common import log
from libs.common.errors import UpstreamUnavailable
from libs.common.link import Message
from libs.common.streams import SECOND_NS, Streams

_log = log.get(__name__)

WRONG_REVISION: Final = frozenset({10071, 10164})
"""JetStream's codes for `wrong last sequence`."""
NOT_FOUND: Final = "404"


@dataclass(frozen=True, slots=True)
class Entry:
    """A value and the revision it was written with."""

    value: bytes
    revision: int


class Bucket:
    """One bucket, made when it is missing. Units: `kept_s` after its last change a value is dropped."""

    def __init__(self, streams: Streams, name: str, *, kept_s: int, timeout_s: float = 0.25) -> None:
        self._streams = streams
        self._bus = streams.bus
        self._name = name
        self._kept_s = kept_s
        self._timeout_s = timeout_s

    @property
    def reachable(self) -> bool:
        """Whether the connection is up."""
        return self._bus.connected

    async def read(self, key: str) -> Entry | None:
        """Return the value of `key`, None when there is none. Raises: UpstreamUnavailable."""
        message = await self._ask(f"$JS.API.DIRECT.GET.KV_{self._name}.$KV.{self._name}.{key}", b"", {})
        headers = message.headers or {}
        if headers.get("Status") == NOT_FOUND:
            return None
        if "Nats-Sequence" not in headers:
            detail = f"the bucket {self._name} answered with status {headers.get('Status')}"
            raise UpstreamUnavailable(detail)
        return Entry(message.data, int(headers["Nats-Sequence"]))

    async def swap(self, key: str, value: bytes, revision: int) -> int | None:
        """Write if `key` is still at `revision` (0: absent); None when somebody was quicker.

        Raises: UpstreamUnavailable; it may have been written nevertheless.
        """
        headers = {"Nats-Expected-Last-Subject-Sequence": str(revision)}
        said = orjson.loads((await self._ask(f"$KV.{self._name}.{key}", value, headers)).data)
        error = said.get("error")
        if error is None:
            return int(said["seq"])
        if error.get("err_code") in WRONG_REVISION:
            return None
        detail = f"the bucket {self._name} refused a write: {error.get('description')}"
        raise UpstreamUnavailable(detail)

    async def _ask(self, subject: str, payload: bytes, headers: dict[str, str]) -> Message:
        try:
            async with asyncio.timeout(2 * self._timeout_s):
                answer = await self._asked(subject, payload, headers)
        except TimeoutError:
            answer = None
        if answer is None:
            detail = f"the bucket {self._name} did not answer in {self._timeout_s:g} s"
            raise UpstreamUnavailable(detail)
        return answer

    async def _asked(self, subject: str, payload: bytes, headers: dict[str, str]) -> Message | None:
        try:
            return await self._bus.request(subject, payload, timeout_s=self._timeout_s, headers=headers)
        except UpstreamUnavailable:
            if not self._bus.connected:
                raise
        # Nobody stores this subject: the bucket is not there (any more).
        await self._ensure()
        return await self._bus.request(subject, payload, timeout_s=self._timeout_s, headers=headers)

    async def _ensure(self) -> None:
        stream = f"KV_{self._name}"
        if await self._streams.api(f"STREAM.INFO.{stream}", {}) is not None:
            return
        config = {
            "name": stream,
            "subjects": [f"$KV.{self._name}.>"],
            "retention": "limits",
            "storage": "memory",
            "discard": "old",
            "max_msgs_per_subject": 1,
            "max_age": self._kept_s * SECOND_NS,
            "allow_direct": True,
            "num_replicas": self._streams.replicas,
            "deny_delete": True,
            "deny_purge": True,
        }
        await self._streams.api(f"STREAM.CREATE.{stream}", config)
        _log.warning("bucket_created", bucket=self._name)
