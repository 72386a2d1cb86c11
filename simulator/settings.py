"""How the simulator is started: arguments, each with an environment variable of the same name."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from simulator.clock import SESSIONS


@dataclass(frozen=True, slots=True)
class Settings:
    """What the process was told. Units: cash in dollars; speed is market seconds per real second."""

    host: str
    port: int
    port_file: Path | None
    data: Path
    seed: int
    speed: float
    session: str
    cash: Decimal
    rate_limit: bool


def _default(name: str, fallback: str) -> str:
    return os.environ.get(f"SIMULATOR_{name}", fallback)


def read_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line; what it leaves out comes from `SIMULATOR_<NAME>`."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description="Tradier and ORATS in a box.")
    parser.add_argument("--host", default=_default("HOST", "127.0.0.1"))
    parser.add_argument("--port", type=int, default=int(_default("PORT", "0")), help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, default=_default("PORT_FILE", "") or None)
    parser.add_argument("--data", type=Path, default=Path(_default("DATA", ".bookend/simulator")))
    parser.add_argument("--seed", type=int, default=int(_default("SEED", "7")))
    parser.add_argument("--speed", type=float, default=float(_default("SPEED", "1")))
    parser.add_argument("--session", choices=SESSIONS, default=_default("SESSION", "open"))
    parser.add_argument("--cash", type=Decimal, default=Decimal(_default("CASH", "100000")), help="of a new account")
    limit_by_default = _default("RATE_LIMIT", "true").lower() == "true"
    parser.add_argument("--rate-limit", action=argparse.BooleanOptionalAction, default=limit_by_default)
    return Settings(**vars(parser.parse_args(arguments)))
