"""What forensics' handlers stand on."""

from __future__ import annotations

from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.db import Database


@dataclass(frozen=True)
class Deps:
    """One process's connections."""

    db: Database
    clock: Clock
