"""What pricing's handlers and jobs stand on."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Database
from services.pricing.chain import Chains
from services.pricing.feed import Feed
from services.pricing.settings import Settings
from services.pricing.venue import Venue


@dataclass(frozen=True)
class Deps:
    """One process's connections and settings."""

    db: Database
    bus: Bus
    clock: Clock
    settings: Settings
    feed: Feed
    chains: Chains
    venue: Venue
