"""Settings: everything wrong is listed at once, by the variable's name, never with a value."""

from __future__ import annotations

import pytest
from pydantic import Field, SecretStr

from libs.common.config import BaseServiceSettings, SettingsProblem, load, load_or_exit
from libs.common.vault import new_key
from services.forensics.settings import Settings as ForensicsSettings


class Settings(BaseServiceSettings):
    """A service's own."""

    service = "orders"

    encryption_key: SecretStr = Field(description="Fernet keys, comma-separated; the first encrypts")
    orats_token: SecretStr = Field(default=SecretStr(""), description="ORATS key")
    snapshot_s: float = Field(default=40.0, gt=0, description="how often")


GOOD = {
    "DATABASE_URL": "postgresql://127.0.0.1:5432/bookend",
    "ORDERS_DATABASE_PASSWORD": "db-word",
    "NATS_URL": "nats://127.0.0.1:4222",
    "ORDERS_NATS_PASSWORD": "nats-word",
    "ENCRYPTION_KEY": new_key(),
}


def test_settings_come_from_their_variables() -> None:
    settings = load(Settings, {**GOOD, "HTTP_PORT": "8010", "DATABASE_POOLED": "1", "SNAPSHOT_S": "0.5"})
    assert (settings.http_port, settings.database_pooled, settings.snapshot_s) == (8010, True, 0.5)
    assert settings.database_password.get_secret_value() == "db-word"
    assert (settings.http_host, settings.ask_try_s) == ("127.0.0.1", 4.0)


def test_everything_wrong_is_listed_at_once() -> None:
    wrong = {"HTTP_PORT": "eighty", "SNAPSHOT_S": "0", "LOG_LEVEL": "LOUD", "NATS_URL": "nats://x"}
    with pytest.raises(SettingsProblem) as caught:
        load(Settings, wrong)
    named = {problem.split(":")[0] for problem in caught.value.problems}
    assert named == {
        "DATABASE_URL",
        "ORDERS_DATABASE_PASSWORD",
        "ORDERS_NATS_PASSWORD",
        "ENCRYPTION_KEY",
        "HTTP_PORT",
        "SNAPSHOT_S",
        "LOG_LEVEL",
    }
    assert "eighty" not in str(caught.value)


def test_an_empty_variable_counts_as_not_set() -> None:
    with pytest.raises(SettingsProblem, match="DATABASE_URL: is not set"):
        load(Settings, {**GOOD, "DATABASE_URL": ""})
    assert load(Settings, {**GOOD, "HTTP_PORT": ""}).http_port == 0


def test_nothing_is_read_behind_loads_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PORT", "9999")
    assert load(Settings, GOOD).http_port == 0


def test_secrets_do_not_show() -> None:
    shown = repr(load(Settings, {**GOOD, "ORATS_TOKEN": "orats-word", "DATABASE_URL": "postgresql://u:in-url@h/d"}))
    for secret in ("db-word", "nats-word", "orats-word", "in-url", GOOD["ENCRYPTION_KEY"]):
        assert secret not in shown


def test_a_service_is_named_by_its_package() -> None:
    assert ForensicsSettings.variable("database_password") == "FORENSICS_DATABASE_PASSWORD"
    assert ForensicsSettings.variable("http_port") == "HTTP_PORT"


def test_a_wrong_start_says_what_is_wrong_and_leaves(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    with pytest.raises(SystemExit) as left:
        load_or_exit(Settings)
    assert left.value.code == 2
    assert "orders: the settings are wrong" in capsys.readouterr().err
