"""Draws every secret that docker-compose.yml asks for: `python3 -m deploy.compose.secrets` writes `.env`.

Needs nothing but Python. An existing file is left alone: its passwords are in the database.
"""

from __future__ import annotations

import base64
import os
import secrets
import sys
from pathlib import Path

from deploy.nats import issuer

SERVICES = ("gateway", "orders", "pricing", "monitor", "forensics")


def drawn() -> dict[str, str]:
    """Draw a secret for each name. None holds a character that an address could trip over."""
    names = ["POSTGRES_PASSWORD", "BACKUP_DATABASE_PASSWORD", "NATS_ADMIN_PASSWORD", "NATS_OPERATOR_PASSWORD"]
    names += [f"{service.upper()}_{kind}_PASSWORD" for service in SERVICES for kind in ("DATABASE", "NATS")]
    # 32 random bytes in URL-safe base64: the form of a Fernet key.
    key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    seed = issuer.draw()
    bots = {"BOTS_ISSUER_SEED": seed, "BOTS_ISSUER": issuer.public_of(seed)}
    return {**{name: secrets.token_urlsafe(24) for name in names}, "ENCRYPTION_KEY": key, **bots}


def main(target: Path) -> int:
    """Write the file, readable by its owner only. Returns the exit code."""
    text = "".join(f"{name}={value}\n" for name, value in drawn().items())
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{target} is there already; its secrets are in use, so it stays as it is\n")
        return 1
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ".env")))
