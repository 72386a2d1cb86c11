"""What forensics is told by its environment."""

from __future__ import annotations

from libs.common.config import BaseServiceSettings


class Settings(BaseServiceSettings):
    """Nothing beyond what every service is told."""
