"""docker-compose.yml gives every service what it needs, its own secrets only, and opens nothing but the page."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.compose.secrets import drawn, main
from deploy.nats.__main__ import required as nats_passwords
from libs.common.messages.durables import SERVICES
from libs.common.roles import password_variable
from libs.common.vault import Vault
from tests.containers.compose import ROOT, compose
from tools.gen_env_example import settings_of

ASKED = re.compile(r"\$\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<rest>[^}]*))?\}")
ONCE = ("nats-config", "migrate", "dead")


def texts(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        for value in part.values():
            yield from texts(value)
    elif isinstance(part, list):
        for value in part:
            yield from texts(value)
    else:
        yield str(part)


def variables(part: Any) -> set[str]:
    return {match["name"] for text in texts(part) for match in ASKED.finditer(text)}


def environment_of(service: str, given: dict[str, str]) -> dict[str, str]:
    """Return what compose would pass with `given` in .env."""

    def filled(match: re.Match[str]) -> str:
        value = given.get(match["name"], "")
        if not value and match["kind"] == "?":
            pytest.fail(f"compose asks for {match['name']}")
        return value or (match["rest"] if match["kind"] == "-" else "")

    stated = compose()["services"][service]["environment"]
    return {name: ASKED.sub(filled, str(value)) for name, value in stated.items()}


@pytest.mark.parametrize("service", SERVICES)
def test_drawn_secrets_are_all_a_service_needs_to_start(service: str) -> None:
    given = environment_of(service, drawn())
    settings = settings_of(service)
    read = settings.read(given)
    assert read.database_password.get_secret_value()
    assert set(given) <= {settings.variable(name) for name in settings.model_fields}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_gets_no_password_of_another(service: str) -> None:
    secret = {name for name in variables(compose()["services"][service]["environment"]) if name in drawn()}
    own = {f"{service.upper()}_DATABASE_PASSWORD", f"{service.upper()}_NATS_PASSWORD"}
    door = {"BOTS_ISSUER_SEED"} if service == "gateway" else set()
    assert secret == own | door | ({"ENCRYPTION_KEY"} if service in {"orders", "monitor"} else set())


def test_every_variable_of_compose_is_explained_in_the_example() -> None:
    lines = (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
    assert variables(compose()) <= {line.partition("=")[0] for line in lines}


def test_every_secret_that_compose_asks_for_is_drawn_and_no_other() -> None:
    asked = {match["name"] for text in texts(compose()) for match in ASKED.finditer(text) if match["kind"] == "?"}
    assert asked == set(drawn())


def test_migrations_and_the_bus_are_told_every_password() -> None:
    services = compose()["services"]
    assert set(services["nats-config"]["environment"]) == set(nats_passwords())
    roles = {password_variable(one) for one in (*SERVICES, "backup")}
    assert set(services["migrate"]["environment"]) == roles | {"DATABASE_URL"}


def test_the_operators_command_is_told_where_the_bus_is_and_is_not_started_with_the_others() -> None:
    one = compose()["services"]["dead"]
    assert set(one["environment"]) == {"NATS_URL", "NATS_ADMIN_PASSWORD"}
    assert one["profiles"] == ["operator"]


def test_only_the_page_is_reachable_and_from_this_machine_only() -> None:
    ports = {name: one.get("ports", []) for name, one in compose()["services"].items()}
    assert ports.pop("gateway") == ["127.0.0.1:${BOOKEND_PORT:-8000}:8080"]
    assert not any(ports.values())


def test_our_containers_may_do_nothing_beyond_their_own_files() -> None:
    for name in (*SERVICES, *ONCE, "simulator", "nats"):
        one = compose()["services"][name]
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name


def test_every_image_of_ours_is_a_target_of_the_dockerfile_with_an_extra_of_its_own() -> None:
    targets = set(re.findall(r"^FROM \S+ AS (\S+)$", (ROOT / "deploy/Dockerfile").read_text(), re.M))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name, one in compose()["services"].items():
        if "build" in one:
            assert one["build"]["target"] in targets
            assert one["build"].get("args", {}).get("SERVICE", name) == name
            assert name in extras or name in ONCE


def test_what_is_waited_for_and_mounted_is_there() -> None:
    whole = compose()
    for one in whole["services"].values():
        for name, how in one.get("depends_on", {}).items():
            other = whole["services"][name]
            assert how["condition"] != "service_healthy" or "healthcheck" in other
            assert (how["condition"] == "service_completed_successfully") == (name in ONCE)
        mounted = {str(volume).partition(":")[0] for volume in one.get("volumes", [])}
        assert mounted <= set(whole["volumes"])


def test_secrets_are_drawn_once_and_for_their_owner_only(tmp_path: Path) -> None:
    target = tmp_path / ".env"
    assert main(target) == 0
    assert target.stat().st_mode & 0o077 == 0
    first = target.read_text()
    key = first.split("ENCRYPTION_KEY=")[1].splitlines()[0]
    assert Vault(key).open(Vault(key).seal("token", "row"), "row") == "token"
    assert main(target) == 1
    assert target.read_text() == first
