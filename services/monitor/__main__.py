"""Run monitor."""

from __future__ import annotations

from libs.common.service import run
from services.monitor.service import build

run(build)
