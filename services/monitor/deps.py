"""What monitor's handlers and jobs stand on."""

from __future__ import annotations

from dataclasses import dataclass

from libs.broker.venue_clock import VenueClocks
from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Database
from services.monitor.access import Access
from services.monitor.settings import Settings


@dataclass(frozen=True)
class Deps:
    """One process's connections and settings."""

    db: Database
    bus: Bus
    clock: Clock
    settings: Settings
    access: Access
    venues: VenueClocks
