"""Writes the configuration of a NATS server whose passwords are in the environment: `python -m deploy.nats FILE`.

Reads <SERVICE>_NATS_PASSWORD of each service, NATS_ADMIN_PASSWORD, NATS_OPERATOR_PASSWORD and BOTS_ISSUER, the public
half of the key that the gateway signs with; its seed is nobody else's.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.nats.config import ADMINISTRATOR, OPERATOR, Login, ServerConfig, render
from deploy.nats.permissions import permissions_for
from libs.common.messages.durables import SERVICES


def required() -> list[str]:
    """Name every variable that has to be set."""
    services = [f"{service.upper()}_NATS_PASSWORD" for service in SERVICES]
    return [*services, "NATS_ADMIN_PASSWORD", "NATS_OPERATOR_PASSWORD", "BOTS_ISSUER"]


def config_text(environment: Mapping[str, str], *, host: str, port: int, store_dir: str) -> str:
    """Return the file's text. Raises: KeyError when a password is missing."""
    house = [Login(ADMINISTRATOR, environment["NATS_ADMIN_PASSWORD"])]
    house += [Login(one, environment[f"{one.upper()}_NATS_PASSWORD"], permissions_for(one)) for one in SERVICES]
    operator = Login(OPERATOR, environment["NATS_OPERATOR_PASSWORD"])
    issuer = environment["BOTS_ISSUER"]
    return render(
        ServerConfig(host=host, port=port, store_dir=store_dir, house=house, operator=operator, issuer=issuer)
    )


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Write the file, readable by its owner only. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.nats", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--host", default="0.0.0.0", help="address to listen on")  # noqa: S104
    parser.add_argument("--port", type=int, default=4222)
    parser.add_argument("--store", default="/data", help="where streams are kept")
    given = parser.parse_args(arguments)
    missing = [name for name in required() if not environment.get(name)]
    if missing:
        sys.stderr.write(f"no configuration for NATS: {', '.join(missing)} not set\n")
        return 2
    text = config_text(environment, host=given.host, port=given.port, store_dir=given.store)
    # Beside it and then in its place: a server that starts meanwhile never reads half of it.
    fresh = given.file.with_name(given.file.name + ".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)
    fresh.replace(given.file)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
