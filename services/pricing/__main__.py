"""Run pricing."""

from __future__ import annotations

from libs.common.service import run
from services.pricing.service import build

run(build)
