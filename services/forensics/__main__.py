"""Run forensics."""

from __future__ import annotations

from libs.common.service import run
from services.forensics.service import build

run(build)
