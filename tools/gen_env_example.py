"""Writes `.env.example` from the settings classes: every variable once, with its default and what it means.

`python -m tools.gen_env_example` writes it, `--check` only says whether it is current.
"""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import asdict, dataclass, field, is_dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from libs.common.config import OWN, BaseServiceSettings
from libs.common.messages.durables import SERVICES

ROOT = Path(__file__).resolve().parents[1]
TARGET = ROOT / ".env.example"

HEADER = """\
# Every setting of every service, with its default (nothing after the = where there is none).
# `./bookend up` chooses all that it needs and passes on whatever your environment sets beside it.
# Generated from the settings classes by `python -m tools.gen_env_example`; do not edit.
"""

MIGRATIONS = (
    "# Read by `python -m libs.common.migrate`, which also wants every DATABASE_PASSWORD above, and a DATABASE_URL",
    "# with an administrator's login.",
    "# password of the read-only login that backups use",
    "BACKUP_DATABASE_PASSWORD=",
)

COMPOSE = (
    "# Read by docker-compose.yml, with every password above; `python3 -m deploy.compose.secrets` draws them all.",
    "# password of the database's administrator",
    "POSTGRES_PASSWORD=",
    "# password of the NATS user that may do everything among the services",
    "NATS_ADMIN_PASSWORD=",
    "# password of the NATS user that sees connections and no message",
    "NATS_OPERATOR_PASSWORD=",
    "# public half of BOTS_ISSUER_SEED, which the NATS server knows bots' logins by",
    "BOTS_ISSUER=",
    "# where the page is on this machine",
    "BOOKEND_PORT=8000",
)


class SettingsDisagree(Exception):
    """Two services mean different things by one variable."""


@dataclass
class Variable:
    """One environment variable and who reads it."""

    name: str
    default: str
    meanings: dict[str, list[str]] = field(default_factory=dict)

    @property
    def readers(self) -> tuple[str, ...]:
        """The services that read it."""
        told = [service for services in self.meanings.values() for service in services]
        return tuple(sorted(told, key=SERVICES.index))

    @property
    def lines(self) -> list[str]:
        """What it means, service by service where that differs, and the variable with its default."""
        if len(self.meanings) == 1:
            told = list(self.meanings)
        else:
            told = [f"{', '.join(services)}: {meaning}" for meaning, services in self.meanings.items()]
        return [*(f"# {line}" for line in told), f"{self.name}={self.default}"]


def render() -> str:
    """Return the file's text. Raises: SettingsDisagree."""
    found = variables()
    shared = {name for name in BaseServiceSettings.model_fields if name not in OWN}
    everyone = [one for one in found.values() if one.name.lower() in shared]
    own = [one for one in found.values() if one.name.lower() not in shared]
    blocks = [HEADER, _block("All services", everyone)]
    readers = sorted({one.readers for one in own}, key=_order)
    blocks += [_block(" and ".join(who), [one for one in own if one.readers == who]) for who in readers]
    blocks.append("\n".join(("# ── Migrations", *MIGRATIONS, "")))
    blocks.append("\n".join(("# ── Compose", *COMPOSE, "")))
    return "\n".join(blocks)


def variables() -> dict[str, Variable]:
    """Return every variable by name, in the order of services and fields. Raises: SettingsDisagree."""
    found: dict[str, Variable] = {}
    for service in SERVICES:
        settings = settings_of(service)
        for name, info in settings.model_fields.items():
            made = Variable(settings.variable(name), _default(info))
            known = found.setdefault(made.name, made)
            if known.default != made.default:
                message = f"{made.name} is {known.default!r} in {known.readers[0]} and {made.default!r} in {service}"
                raise SettingsDisagree(message)
            known.meanings.setdefault(info.description or "", []).append(service)
    return found


def settings_of(service: str) -> type[BaseServiceSettings]:
    """Find a service's settings class. Raises: ImportError, LookupError."""
    module = importlib.import_module(f"services.{service}.settings")
    for one in vars(module).values():
        if isinstance(one, type) and issubclass(one, BaseServiceSettings) and one.__module__ == module.__name__:
            return one
    message = f"services/{service}/settings.py has no settings class"
    raise LookupError(message)


def _order(readers: tuple[str, ...]) -> tuple[int, tuple[int, ...]]:
    return -len(readers), tuple(SERVICES.index(one) for one in readers)


def _block(title: str, members: list[Variable]) -> str:
    lines = [line for one in members for line in one.lines]
    return "\n".join([f"# ── {title}", *lines]) + "\n"


def _default(info: FieldInfo) -> str:
    return "" if info.is_required() or info.default is None else _text(info.default)


def _text(value: Any) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, bool):
        return str(value).lower()
    if is_dataclass(value) and not isinstance(value, type):
        return json.dumps(asdict(value))
    if isinstance(value, float):
        # 60.0 is written 60: what a person would type.
        return format(Decimal(str(value)).normalize(), "f")
    return str(value)


def main(arguments: list[str]) -> int:
    """Write the file, or compare it with `--check`."""
    wanted = render()
    if "--check" not in arguments:
        TARGET.write_text(wanted, encoding="utf-8")
        return 0
    if TARGET.exists() and TARGET.read_text(encoding="utf-8") == wanted:
        return 0
    sys.stderr.write(f"{TARGET.name} is stale: run `python -m tools.gen_env_example`\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
