"""What a service is, and how one process of it is run: `__main__.py` is `run(build)`."""

from __future__ import annotations

import asyncio
import typing
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from libs.common import log
from libs.common.beats import Beats, NoBeats
from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.config import BaseServiceSettings, load_or_exit
from libs.common.db import Database
from libs.common.http import HttpClient
from libs.common.metrics import Metrics
from libs.common.streams import Streams

__all__ = ["Chassis", "Service", "run"]


@dataclass(frozen=True)
class Chassis:
    """What every service stands on. `stopping` is set at the first signal; whatever waits long watches it."""

    db: Database
    bus: Bus
    streams: Streams
    clock: Clock
    settings: Any
    http: HttpClient
    metrics: Metrics
    stopping: asyncio.Event
    beats: Beats = field(default_factory=NoBeats)


@dataclass(frozen=True)
class Service:
    """One service, described. `open` yields its dependencies, handed to every handler.

    `routes(deps)` returns an application or a router; each of `background` runs as long as the process and is started
    again when it fails with an expected error.
    """

    name: str
    settings: BaseServiceSettings
    open: Callable[[Chassis], AbstractAsyncContextManager[Any]]
    answers: tuple[Callable[..., Any], ...] = ()
    consumers: tuple[Callable[..., Any], ...] = ()
    hears: tuple[Callable[..., Any], ...] = ()
    jobs: tuple[Any, ...] = ()
    routes: Callable[[Any], Any] | None = None
    background: tuple[Callable[[Any], Awaitable[None]], ...] = ()


def run(build: Callable[[Any], Service], settings: type[BaseServiceSettings] | None = None) -> None:
    """Run one process of a service until a signal; leaves the interpreter with the exit code.

    The class of settings is that of `build`'s parameter unless it is given.
    """
    from libs.common.process import Process  # noqa: PLC0415 - the web server is only for processes, not for importers

    loaded = load_or_exit(settings or _settings_of(build))
    service = build(loaded)
    log.setup(service.name, level=loaded.log_level, form=loaded.log_format)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(Process(service).run())
    raise SystemExit(code)


def _settings_of(build: Callable[[Any], Service]) -> type[BaseServiceSettings]:
    hints = [hint for name, hint in typing.get_type_hints(build).items() if name != "return"]
    if len(hints) != 1 or not issubclass(hints[0], BaseServiceSettings):
        message = f"{build.__module__}.{build.__qualname__} must take one parameter typed with its settings"
        raise TypeError(message)
    found: type[BaseServiceSettings] = hints[0]
    return found


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop  # noqa: PLC0415 - absent on some systems
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
