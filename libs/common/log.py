"""Logs: one JSON object a line, bound to the request they belong to, without anybody's secret.

Events are snake_case facts (`order_placed`), everything else is a bound value.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, cast

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

correlation_id: ContextVar[str | None] = ContextVar("correlation_id", default=None)
"""The thread through HTTP, bus and outbox: one id for everything that one request caused."""

causation_id: ContextVar[str | None] = ContextVar("causation_id", default=None)
"""The message being handled, which causes what is emitted meanwhile."""

HIDDEN = "[hidden]"

_SECRET_KEY = re.compile(
    r"token|secret|password|passwd|authorization|cookie|credential|api_?key|access_?key|encryption_?key|ciphertext",
    re.I,
)
_HARMLESS_KEY = re.compile(r"^(token_hash|key_version|idempotency_key|account_key|order_key|concern_key)$", re.I)
_SECRET_TEXT: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"([?&\s\"']|^)((?:access_|api_)?(?:token|key|secret)|password)=[^&\s\"']+", re.I), rf"\1\2={HIDDEN}"),
    (re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]+", re.I), rf"\1 {HIDDEN}"),
    (re.compile(r"(\w+://[^\s/:@]*):[^\s/@]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"\bbk_[A-Za-z0-9_-]{8,}"), HIDDEN),
)


def redact(value: Any) -> Any:
    """Return `value` without secrets: by the name of a key, and by shape inside texts."""
    if isinstance(value, str):
        for pattern, instead in _SECRET_TEXT:
            value = pattern.sub(instead, value)
        return value
    if isinstance(value, Mapping):
        return {key: HIDDEN if _is_secret(str(key)) else redact(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [redact(inner) for inner in value]
    return value


def _is_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None and _HARMLESS_KEY.match(key) is None


def setup(service: str, *, level: str = "INFO", form: str = "json") -> None:
    """Send all logs of this process, ours and the libraries', to standard output."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        _bind(service),
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.format_exc_info,
        _redact_event,
    ]
    people = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    render: Processor = _as_json if form == "json" else cast("Processor", people)
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render], foreign_pre_chain=shared
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # One line a request is the edge's business (metrics count them); clients of vendors would log whole addresses.
    for noisy in ("uvicorn.error", "uvicorn.access", "aiohttp"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def get(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of one module."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


@contextmanager
def bound_to(correlation: str | None, causation: str | None = None) -> Iterator[None]:
    """Let everything said and sent inside belong to `correlation`, caused by message `causation`."""
    correlated = correlation_id.set(correlation)
    caused = causation_id.set(causation)
    try:
        yield
    finally:
        causation_id.reset(caused)
        correlation_id.reset(correlated)


def _bind(service: str) -> Callable[[WrappedLogger, str, EventDict], EventDict]:
    def bind(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        found = correlation_id.get()
        if found is not None:
            event.setdefault("correlation_id", found)
        return event

    return bind


def _redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    # Underscored entries are structlog's own and are removed before rendering.
    return {key: value if key.startswith("_") else redact({key: value})[key] for key, value in event.items()}


def _as_json(_logger: WrappedLogger, _method: str, event: EventDict) -> str:
    ordered = {"at": event.pop("at", None), "level": event.pop("level", None), "event": event.pop("event", None)}
    return orjson.dumps({**ordered, **event}, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
