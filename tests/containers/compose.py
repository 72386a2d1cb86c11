"""What docker-compose.yml says, as tests need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def compose() -> dict[str, Any]:
    """Read docker-compose.yml."""
    read: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return read


def image_of(service: str) -> str:
    """Name the image of a server that compose runs as it comes."""
    return str(compose()["services"][service]["image"])
