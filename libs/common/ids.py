"""Names for new things: sortable ids and broker tags."""

from __future__ import annotations

import os
import time
import uuid


def new_id() -> str:
    """Make a UUIDv7: unique, and in the order of its making to the millisecond. Source: RFC 9562 §5.7."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = milliseconds << 80 | 0x7 << 76 | (noise >> 68 & 0xFFF) << 64 | 0b10 << 62 | noise & (1 << 62) - 1
    return str(uuid.UUID(int=value))


def new_tag() -> str:
    """Make the tag of one order at the broker: ours by its prefix, guessable by nobody."""
    return f"bk-{uuid.uuid4().hex}"
