"""`.env.example` tells every setting of every service, with the default that the code has, and nothing else."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from pydantic import SecretStr

from libs.common.config import OWN, BaseServiceSettings
from libs.common.messages.durables import SERVICES
from tools.gen_env_example import settings_of

ROOT = Path(__file__).parents[2]
MIGRATIONS = {"BACKUP_DATABASE_PASSWORD"}
COMPOSE = {"POSTGRES_PASSWORD", "NATS_ADMIN_PASSWORD", "NATS_OPERATOR_PASSWORD", "BOTS_ISSUER", "BOOKEND_PORT"}
ELSEWHERE = MIGRATIONS | COMPOSE
"""Read by what has no settings class."""

NEEDED = {
    "database_url": "postgresql://h/d",
    "nats_url": "nats://h",
    "encryption_key": "A" * 43 + "=",
    **dict.fromkeys(OWN, "p"),
}


def documented() -> dict[str, str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    pairs = [line.partition("=") for line in lines if line and not line.startswith("#")]
    names = [name for name, _, _ in pairs]
    assert len(names) == len(set(names)), "a variable stands twice"
    return {name: value for name, _, value in pairs}


def explained() -> set[str]:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    return {
        line.partition("=")[0]
        for above, line in itertools.pairwise(lines)
        if line and not line.startswith("#") and len(above.removeprefix("# ")) > 5 and above.startswith("# ")
    }


def test_every_setting_is_there_and_nothing_else() -> None:
    read = {settings_of(service).variable(name) for service in SERVICES for name in settings_of(service).model_fields}
    assert set(documented()) == read | ELSEWHERE


def test_every_setting_is_explained_in_the_line_above() -> None:
    assert explained() == set(documented())


@pytest.mark.parametrize("service", SERVICES)
def test_the_stated_defaults_are_those_of_the_code(service: str) -> None:
    settings = settings_of(service)
    needed = {settings.variable(name): value for name, value in NEEDED.items()}
    stated = settings.read({**documented(), **needed})
    silent = settings.read(needed)
    for name in BaseServiceSettings.model_fields | settings.model_fields:
        said, default = getattr(stated, name), getattr(silent, name)
        assert reveal(said) == reveal(default), settings.variable(name)


def reveal(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
