"""What the gateway's routes and handlers use."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from fastapi import Request

if TYPE_CHECKING:
    from libs.common.bus import Bus
    from libs.common.clock import Clock
    from libs.common.db import Database
    from libs.common.knocks import Knocks
    from services.gateway.crowd import Crowd
    from services.gateway.fanout import Hub
    from services.gateway.following import Following
    from services.gateway.passwords import Passwords
    from services.gateway.settings import GatewaySettings
    from services.gateway.turns import Turns


class Outages:
    """Since when each thing has been away, as this process saw it."""

    def __init__(self) -> None:
        self._since: dict[str, datetime] = {}

    def note(self, what: str, now: datetime, *, is_away: bool) -> datetime | None:
        """Take note of how `what` is; return since when it has been away, None when it is there."""
        if not is_away:
            self._since.pop(what, None)
            return None
        return self._since.setdefault(what, now)


@dataclass(frozen=True)
class Deps:
    """Everything with a connection or a lifetime."""

    settings: GatewaySettings
    db: Database
    bus: Bus
    clock: Clock
    passwords: Passwords
    turns: Turns
    hub: Hub
    following: Following
    outages: Outages
    stopping: asyncio.Event
    crowd: Crowd
    knocks: Knocks
    counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while the server is asked how many bots there are, so that many who knock ask once."""
    bots_concerned: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a key was revoked here, or a user came whose bots' inboxes were another's: connections end now."""


def deps_of(request: Request) -> Deps:
    """Return what `routes` put beside the application."""
    return cast("Deps", request.app.state.deps)
