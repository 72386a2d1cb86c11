"""The environment of one service of a running stack, so that a benchmark can stand where the service stands."""

from __future__ import annotations

import json

from tests.journey.stack import Stack


def environment_of(stack: Stack, service: str) -> dict[str, str]:
    """Return what the launcher tells `service`, as far as its settings need it."""
    secrets = json.loads((stack.data / "secrets.json").read_text())
    status = stack.status()
    name = service.upper()
    return {
        "DATABASE_URL": status["database_url"],
        f"{name}_DATABASE_PASSWORD": secrets["database_passwords"][service],
        "NATS_URL": status["nats_url"],
        f"{name}_NATS_PASSWORD": secrets["nats_passwords"][service],
        "ENCRYPTION_KEY": secrets["encryption_key"],
        "SIMULATOR_URL": status["simulator_url"],
    }
