"""Run the gateway."""

from __future__ import annotations

from libs.common.service import run
from services.gateway.service import build

run(build)
