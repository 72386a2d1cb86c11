"""What the gateway's routes and handlers use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from fastapi import Request

if TYPE_CHECKING:
    from libs.common.bus import Bus
    from libs.common.clock import Clock
    from libs.common.db import Database
    from services.gateway.fanout import Hub
    from services.gateway.passwords import Passwords
    from services.gateway.settings import GatewaySettings
    from services.gateway.turns import Turns


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


def deps_of(request: Request) -> Deps:
    """Return what `routes` put beside the application."""
    return cast("Deps", request.app.state.deps)
