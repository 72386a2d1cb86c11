"""Keyset cursors: where a list goes on, opaque to whoever carries it."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime

import orjson

from libs.common.errors import InvalidInput


def encode(at: datetime, row_id: str) -> str:
    """Name the place after the row of `row_id` at time `at`."""
    return base64.urlsafe_b64encode(orjson.dumps([at.isoformat(), row_id])).decode().rstrip("=")


def decode(cursor: str | None) -> tuple[datetime, str] | None:
    """Read a cursor; None stays None. Raises: InvalidInput."""
    if cursor is None:
        return None
    try:
        at, row_id = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        moment = datetime.fromisoformat(at)
    except (binascii.Error, ValueError, TypeError):
        detail = "this cursor is not one of ours"
        raise InvalidInput(detail) from None
    if moment.tzinfo is None or not isinstance(row_id, str):
        detail = "this cursor is not one of ours"
        raise InvalidInput(detail)
    return moment, row_id
