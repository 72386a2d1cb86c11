"""Names for new things: sortable ids and broker tags."""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from datetime import datetime


def new_id() -> str:
    """Make a UUIDv7: unique, and in the order of its making to the millisecond. Source: RFC 9562 §5.7."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    return _version_7(milliseconds, noise)


def _version_7(milliseconds: int, noise: int) -> str:
    value = milliseconds << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def derived_id(made_at: datetime, name: str) -> str:
    """Make the UUIDv7 of what was made at a moment under a name: the same for the same, however often it is asked."""
    noise = int.from_bytes(hashlib.sha256(name.encode()).digest()[:10], "big")
    return _version_7(int(made_at.timestamp() * 1000), noise)


def new_tag() -> str:
    """Make the tag of one order at the broker: ours by its prefix, guessable by nobody."""
    return f"bk-{uuid.uuid4().hex}"
