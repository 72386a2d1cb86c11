"""Whether this process may be given work: how far it started, and when each thing it depends on last answered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from libs.common.clock import Clock


class Stage(StrEnum):
    """How far the process is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


@dataclass
class Dependency:
    """Something that must answer. Units: `limit_s` seconds since its last success."""

    limit_s: float
    age_s: Callable[[], float | None]
    reason: str | None = None

    @property
    def is_ok(self) -> bool:
        """Whether it answered lately and its last try did not fail."""
        age_s = self.age_s()
        return self.reason is None and age_s is not None and age_s <= self.limit_s


class Readiness:
    """The stage and the dependencies of one process."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._dependencies: dict[str, Dependency] = {}
        self.stage = Stage.STARTING
        self.waits_for = "settings"

    def watch(self, name: str, limit_s: float, age_s: Callable[[], float | None]) -> Dependency:
        """Count `name` among what must answer; whoever tries it sets its `reason` while it fails."""
        self._dependencies[name] = Dependency(limit_s, age_s)
        return self._dependencies[name]

    def noted(self, name: str, limit_s: float) -> Callable[[], None]:
        """Watch `name` by the returned function, which is called at each success."""
        last_at: float | None = None

        def succeeded() -> None:
            nonlocal last_at
            last_at = self._clock.monotonic()

        def age_s() -> float | None:
            return None if last_at is None else self._clock.monotonic() - last_at

        self.watch(name, limit_s, age_s)
        return succeeded

    @property
    def is_ready(self) -> bool:
        """Whether it is started and everything answers."""
        return self.stage is Stage.READY and all(one.is_ok for one in self._dependencies.values())

    def report(self) -> dict[str, Any]:
        """Return what `/readyz` says. Units: `age_s` seconds since the last success."""
        ages = {name: one.age_s() for name, one in self._dependencies.items()}
        return {
            "ready": self.is_ready,
            "stage": self.stage,
            **({"waits_for": self.waits_for} if self.stage is Stage.STARTING else {}),
            "dependencies": {
                name: {
                    "ok": one.is_ok,
                    "age_s": None if (age := ages[name]) is None else round(age, 3),
                    **({"reason": one.reason} if one.reason else {}),
                }
                for name, one in self._dependencies.items()
            },
        }
