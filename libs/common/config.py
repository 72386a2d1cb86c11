"""Settings from the environment: read once, checked whole, so that a wrong start lists everything that is wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, NoReturn, Self, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

OWN = ("database_password", "nats_password")
"""Settings whose variable carries the service's name: ORDERS_DATABASE_PASSWORD."""

S = TypeVar("S", bound="BaseServiceSettings")


class SettingsProblem(Exception):
    """The environment does not do; one line for each thing that is wrong, none with a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


class BaseServiceSettings(BaseSettings):
    """What every service is told. A service's own class adds to it. Units: as named."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    service: ClassVar[str] = ""

    database_url: str = Field(
        repr=False, description="where PostgreSQL listens: postgresql://host:port/name; a login in it is not used"
    )
    database_password: SecretStr = Field(description="password of this service's database login")
    database_pooled: bool = Field(default=False, description="the address is a transaction-mode pooler")
    nats_url: str = Field(repr=False, description="where NATS listens: nats://host:port")
    nats_password: SecretStr = Field(description="password of this service's NATS user")
    nats_replicas: int = Field(default=1, ge=1, le=5, description="copies of each stream (3 on a cluster)")
    http_host: str = Field(default="127.0.0.1", description="address to listen on")
    http_port: int = Field(default=0, ge=0, le=65535, description="port to listen on; 0 chooses a free one")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="least level logged")
    log_format: Literal["json", "console"] = Field(default="json", description="one JSON object a line, or for people")
    ask_try_s: float = Field(
        default=4.0, gt=0, description="how long one try of a question waits before it is repeated"
    )
    stop_grace_s: float = Field(default=10.0, gt=0, description="how long what is in flight may take at shutdown")

    @classmethod
    def service_name(cls) -> str:
        """Name the service: as the class states, else by the package it is in."""
        if cls.service:
            return cls.service
        parts = cls.__module__.split(".")
        return parts[1] if parts[0] == "services" and len(parts) > 1 else parts[-1]

    @classmethod
    def variable(cls, field: str) -> str:
        """Name the environment variable of a field."""
        own = f"{cls.service_name()}_" if field in OWN else ""
        return f"{own}{field}".upper()

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Self:
        """Build from `environment` only. Raises: SettingsProblem naming every variable that is wrong."""
        given: dict[str, Any] = {
            field: environment[cls.variable(field)]
            for field in cls.model_fields
            if environment.get(cls.variable(field))
        }
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SettingsProblem([cls._problem(dict(one)) for one in error.errors(include_input=False)]) from None

    @classmethod
    def settings_customise_sources(cls, *_: Any, **given: Any) -> tuple[Any, ...]:
        """Take values from what `read` or a test passes, never from the environment behind its back."""
        return (given["init_settings"],)

    @classmethod
    def _problem(cls, error: dict[str, Any]) -> str:
        field = str(error["loc"][0]) if error["loc"] else ""
        if field not in cls.model_fields:
            return str(error["msg"])
        said = "is not set" if error["type"] == "missing" else str(error["msg"])
        return f"{cls.variable(field)}: {said} ({cls.model_fields[field].description or field})"


def load(settings: type[S], environment: Mapping[str, str] | None = None) -> S:
    """Read the settings of this process. Raises: SettingsProblem."""
    return settings.read(os.environ if environment is None else environment)


def load_or_exit(settings: type[S]) -> S:
    """Read the settings of this process; say everything that is wrong and end it when something is."""
    try:
        return load(settings)
    except SettingsProblem as problem:
        _leave(settings.service_name(), problem)


def _leave(service: str, problem: SettingsProblem) -> NoReturn:
    lines = [f"{service}: the settings are wrong", *(f"  {line}" for line in problem.problems)]
    sys.stderr.write("\n".join(lines) + "\n")
    raise SystemExit(2)
