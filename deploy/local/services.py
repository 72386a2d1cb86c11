"""How the services are started: their names, replicas and environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.keyring import SERVICES, Keyring
from deploy.local.layout import PROJECT
from deploy.local.ports import LOOPBACK
from deploy.local.problem import StackProblem

DOOR = "gateway"
"""Who lets bots in, and alone has the key that says so."""

OPENS_TOKENS = ("orders", "monitor")
"""Who may have the key to the brokers' tokens."""

SERVER_PARTS = ("postgres", "nats", "simulator")


@dataclass(frozen=True)
class Addresses:
    """Where the embedded servers listen."""

    postgres_port: int
    nats_port: int
    simulator_port: int
    gateway_port: int

    @property
    def simulator_url(self) -> str:
        """The paper broker."""
        return f"http://{LOOPBACK}:{self.simulator_port}"

    @property
    def gateway_url(self) -> str:
        """Where people and programs connect."""
        return f"http://{LOOPBACK}:{self.gateway_port}"


def existing_services() -> tuple[str, ...]:
    """Return the services of this checkout that can be started."""
    return tuple(name for name in SERVICES if (PROJECT / "services" / name / "__main__.py").exists())


def replica_names(replicas: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return (part, service) for each process; a second replica of orders is the part `orders-2`."""
    unknown = set(replicas) - set(SERVICES)
    if unknown:
        raise StackProblem("replicas", f"there is no service named {sorted(unknown)[0]}", f"use one of {SERVICES}")
    return [
        (service if number == 1 else f"{service}-{number}", service)
        for service in existing_services()
        for number in range(1, replicas.get(service, 1) + 1)
    ]


def parse_replicas(text: str) -> dict[str, int]:
    """Read `orders=2,monitor=3`. Raises: StackProblem."""
    replicas = {}
    for item in filter(None, text.split(",")):
        name, _, count = item.partition("=")
        if not count.isdigit() or int(count) < 1:
            raise StackProblem("replicas", f"{item!r} is not a count", "write --replicas orders=2,monitor=2")
        replicas[name.strip()] = int(count)
    return replicas


def service_environment(service: str, keyring: Keyring, addresses: Addresses, *, http_port: int) -> dict[str, str]:
    """Return the whole environment of one service process: the caller's, with ours on top.

    A service gets its own passwords and nobody else's.
    """
    return {
        **common_environment(),
        "DATABASE_URL": f"postgresql://{LOOPBACK}:{addresses.postgres_port}/bookend",
        f"{service.upper()}_DATABASE_PASSWORD": keyring.database_passwords[service],
        "NATS_URL": f"nats://{LOOPBACK}:{addresses.nats_port}",
        f"{service.upper()}_NATS_PASSWORD": keyring.nats_passwords[service],
        "HTTP_HOST": LOOPBACK,
        "HTTP_PORT": str(http_port),
        "SIMULATOR_URL": addresses.simulator_url,
        "LOG_FORMAT": "json",
        **_key_environment(service, keyring),
        "BOTS_ISSUER_SEED": keyring.bots_issuer_seed if service == DOOR else "",
        **_market_data_environment(addresses),
    }


def _key_environment(service: str, keyring: Keyring) -> dict[str, str]:
    """Return the key to the tokens for who opens them; for the others an empty one, whatever the caller's holds."""
    return {"ENCRYPTION_KEY": keyring.encryption_key if service in OPENS_TOKENS else ""}


def migration_environment(keyring: Keyring, database_url: str) -> dict[str, str]:
    """Return the environment of the migrations: an administrator's address and the passwords the roles shall have."""
    passwords = {f"{name.upper()}_DATABASE_PASSWORD": word for name, word in keyring.database_passwords.items()}
    return {
        **common_environment(),
        **passwords,
        "BACKUP_DATABASE_PASSWORD": keyring.backup_database_password,
        "DATABASE_URL": database_url,
    }


def common_environment() -> dict[str, str]:
    """Return the caller's environment as every Python process of ours gets it."""
    ours = {
        "PYTHONPATH": str(PROJECT),
        "PYTHONUNBUFFERED": "1",
        # glibc keeps an arena per core and thread; two are enough and save memory in seven processes.
        "MALLOC_ARENA_MAX": "2",
        "TZ": "UTC",
    }
    return {**os.environ, **ours}


def _market_data_environment(addresses: Addresses) -> dict[str, str]:
    """Market data comes from the simulator unless the caller has a vendor's token."""
    ours: dict[str, str] = {}
    if not os.environ.get("ORATS_TOKEN"):
        ours |= {"ORATS_URL": f"{addresses.simulator_url}/datav2", "ORATS_TOKEN": "simulator"}
    if not os.environ.get("TRADIER_MARKET_TOKEN"):
        ours |= {"TRADIER_MARKET_URL": addresses.simulator_url, "TRADIER_MARKET_TOKEN": "market-0"}
    return ours


def python() -> Path:
    """Return the interpreter of this checkout's environment."""
    return PROJECT / ".venv" / "bin" / "python"
