"""What a person asks of trades over HTTP: place, close, adjust, resolve. Source: public API, §2."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from libs.common.messages.inputs import Body, EntryBody, PlaceBody, PriceIn

__all__ = ["AdjustBody", "CloseBody", "EntryBody", "PlaceBody", "ResolveBody"]

VersionIn = Annotated[int, Field(ge=0, le=2**31 - 1)]


class CloseBody(Body):
    """Close the trade as the caller saw it."""

    version: VersionIn


class AdjustBody(Body):
    """Move stop or target of the trade as the caller saw it; a price left out stays."""

    version: VersionIn
    new_sl: PriceIn | None = None
    new_tp: PriceIn | None = None


class ResolveBody(Body):
    """Name the broker's order behind an `UNKNOWN` one, or null: there is none. Either is checked before it counts."""

    broker_order_id: Annotated[str, Field(pattern=r"^[0-9]{1,20}$")] | None
