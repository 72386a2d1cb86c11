"""Writes `docs/messages.md` and `docs/asyncapi.json` from the message classes.

`python -m tools.gen_messages` writes them, `--check` only says whether they are current.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import orjson
from pydantic import BaseModel

from libs.common.messages.base import COMMANDS, FACTS, QUERIES, TICKS, Asked, Envelope, Fact, Message, Tick
from libs.common.messages.durables import DAY_S, DURABLES, SERVICES, STREAMS
from libs.common.messages.signals import SignalBody, signal_subject

ROOT = Path(__file__).resolve().parents[1]
MARKDOWN = ROOT / "docs" / "messages.md"
_MODULES = re.compile(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])")
_TABLE = ("| field | type | default |", "|---|---|---|")
_SCHEMAS = "#/components/schemas/"
ASYNCAPI = ROOT / "docs" / "asyncapi.json"

INTRODUCTION = """\
# Messages on the bus

Generated from `libs/common/messages` by `python -m tools.gen_messages`; do not edit. The same as an AsyncAPI document:
[asyncapi.json](asyncapi.json).

Every message, but for the signals of bots, is an envelope `{id, user, key, key_version, occurred_at, deadline_at,
causation_id, correlation_id, data}` around the data below. Money is written as strings, times are ISO 8601 in UTC.
Unknown fields are refused when a message is made and ignored when it is read; a breaking change is a new edition beside
the old one.
"""

Parts = list[tuple[str, str]]


def markdown() -> str:
    """Return the text of `docs/messages.md`."""
    sections = [INTRODUCTION]
    for service in SERVICES:
        blocks = [*_asked(COMMANDS.values(), service), *_asked(QUERIES.values(), service)]
        blocks += [_fact(one) for one in FACTS.values() if one.owner == service]
        blocks += [_tick(one) for one in TICKS.values() if one.owner == service]
        if blocks:
            sections += [f"## {service}\n", *blocks]
    return "\n".join([*sections, _signal(), _streams(), _durables()])


def asyncapi() -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document. Source: https://www.asyncapi.com/docs/reference/specification/v3.0.0."""
    classes: list[type[Message]] = [*COMMANDS.values(), *QUERIES.values(), *FACTS.values(), *TICKS.values()]
    names = {one: f"{one.owner}.{one.__name__}" for one in classes}
    signal = _signal_document()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Bookend's bus",
            "version": "1",
            "description": "Commands, queries, facts and ticks between Bookend's services, and the signals of bots.",
        },
        "defaultContentType": "application/json",
        "channels": {
            names[one]: {
                "address": _subject(one).replace("*", "{token}"),
                "description": _first_line(one),
                "parameters": {"token": {"description": _token(one)}},
                "messages": {one.__name__: {"$ref": f"#/components/messages/{names[one]}"}},
            }
            for one in classes
        }
        | signal["channels"],
        "operations": {
            f"{names[one]}.{action}": {
                "action": action,
                "channel": {"$ref": f"#/channels/{names[one]}"},
                "x-services": by,
            }
            for one in classes
            for action, by in (("send", _senders(one)), ("receive", _receivers(one)))
        }
        | signal["operations"],
        "components": {
            "messages": {
                names[one]: {"name": one.__name__, "summary": _first_line(one), "payload": _payload(one)}
                for one in classes
            }
            | signal["messages"],
            "schemas": _schemas([Envelope, SignalBody, *classes]),
        },
    }


def _signal_document() -> dict[str, Any]:
    """Return what the document says of a bot's signal: the one message without an envelope."""
    name, address = "bots.Signal", signal_subject("{user}", "{bot}")
    token = {"description": "what a username may look like"}
    operations = {
        f"{name}.{action}": {"action": action, "channel": {"$ref": f"#/channels/{name}"}, "x-services": by}
        for action, by in (("send", ["bots"]), ("receive", ["orders"]))
    }
    about = {"name": "Signal", "summary": _first_line(SignalBody), "payload": {"$ref": f"{_SCHEMAS}SignalBody"}}
    return {
        "channels": {
            name: {
                "address": address,
                "description": _first_line(SignalBody),
                "parameters": {"user": token, "bot": token},
                "messages": {"Signal": {"$ref": f"#/components/messages/{name}"}},
            }
        },
        "operations": operations,
        "messages": {name: about},
    }


def _signal() -> str:
    rows = _fields(SignalBody)
    lines = [
        "## Bots\n",
        "### Signal\n",
        f"{_first_line(SignalBody)} In no envelope; see [bots.md](bots.md).\n",
        f"- subject `{signal_subject('<user>', '<bot>')}`",
        "- read by: orders",
        "",
        *_TABLE,
        *rows,
        "",
    ]
    return "\n".join(lines)


def _asked(classes: Iterable[type[Asked]], service: str) -> list[str]:
    return [
        _block(
            one,
            [
                ("asked by", ", ".join(one.askers)),
                ("deadline", f"{one.timeout_s:g} s"),
            ],
        )
        for one in classes
        if one.owner == service
    ]


def _fact(one: type[Fact]) -> str:
    return _block(one, [("key", f"`{one.key_field}`"), ("read by", ", ".join(_receivers(one)) or "nobody yet")])


def _tick(one: type[Tick]) -> str:
    heard = "one process of each" if one.queued else "every process of"
    return _block(one, [("said by", ", ".join(one.publishers)), ("heard by", f"{heard} {', '.join(one.listeners)}")])


def _block(one: type[Message], about: Parts) -> str:
    lines = [f"### {one.__name__}", "", inspect.cleandoc(one.__doc__ or ""), ""]
    lines += [f"- subject `{_subject(one)}`", *(f"- {name}: {value}" for name, value in about)]
    rows = _fields(one)
    if rows:
        lines += ["", *_TABLE, *rows]
    return "\n".join([*lines, ""])


def _fields(one: type[BaseModel]) -> list[str]:
    return [
        f"| `{name}` | {_type(field.annotation)} | {'' if field.is_required() else _default(field.default)} |"
        for name, field in one.model_fields.items()
    ]


def _streams() -> str:
    rows = [
        f"| {one.name} | {', '.join(f'`{subject}`' for subject in one.subjects)} | {one.max_age_s // DAY_S} days |"
        for one in STREAMS.values()
    ]
    return "\n".join(["## Streams\n", "| stream | subjects | kept |", "|---|---|---|", *rows, ""])


def _durables() -> str:
    rows = [f"| {one.name} | {one.service} | {one.stream} | `{one.filter}` |" for one in DURABLES.values()]
    return "\n".join(["## Durable consumers\n", "| durable | service | of | reads |", "|---|---|---|---|", *rows, ""])


def _subject(one: type[Message]) -> str:
    subject: str = one.subject("*")  # type: ignore[attr-defined]
    return subject


def _senders(one: type[Message]) -> list[str]:
    if issubclass(one, Asked):
        return list(one.askers)
    return list(one.publishers) if issubclass(one, Tick) else [one.owner]


def _receivers(one: type[Message]) -> list[str]:
    if issubclass(one, Asked):
        return [one.owner]
    if issubclass(one, Tick):
        return list(one.listeners)
    parts = _subject(one).split(".")
    reading = {durable.service for durable in DURABLES.values() if _covers(durable.filter.split("."), parts)}
    return [service for service in SERVICES if service in reading]


def _covers(wanted: Sequence[str], parts: Sequence[str]) -> bool:
    return len(wanted) == len(parts) and all(want in {"*", part} for want, part in zip(wanted, parts, strict=True))


def _token(one: type[Message]) -> str:
    return "a ticker" if one.__name__ == "Marks" else 'a username, or "_" for the system'


def _first_line(one: type[BaseModel]) -> str:
    return inspect.cleandoc(one.__doc__ or "").split("\n")[0]


def _type(annotation: Any) -> str:
    is_plain = isinstance(annotation, type) and not getattr(annotation, "__args__", ())
    if typing.get_origin(annotation) in {typing.Union, types.UnionType}:
        return " \\| ".join(_type(one) for one in typing.get_args(annotation)).replace(" \\| NoneType", "?")
    if typing.get_origin(annotation) is typing.Annotated:
        # How a value is checked is in the schema; the table says what it is.
        return _type(typing.get_args(annotation)[0])
    text = _MODULES.sub("", annotation.__name__ if is_plain else str(annotation))
    return text.replace(" | None", "?").replace("|", "\\|")


def _default(value: Any) -> str:
    return {None: "null", True: "true", False: "false", (): "[]"}.get(value, str(value)) if _is_plain(value) else "{}"


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, str, tuple)) or type(value).__module__ == "decimal"


def _payload(one: type[Message]) -> dict[str, Any]:
    data = {"$ref": f"#/components/schemas/{one.__name__}"}
    return {"allOf": [{"$ref": "#/components/schemas/Envelope"}, {"properties": {"data": data}}]}


def _schemas(classes: Sequence[type[Any]]) -> dict[str, Any]:
    schemas: dict[str, Any] = {}
    for one in classes:
        schema = one.model_json_schema(ref_template="#/components/schemas/{model}", mode="serialization")
        schemas.update(schema.pop("$defs", {}))
        schemas[one.__name__] = schema
    return dict(sorted(schemas.items()))


def rendered() -> dict[Path, str]:
    """Return every generated file with its text."""
    document = orjson.dumps(asyncapi(), option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS).decode() + "\n"
    return {MARKDOWN: markdown(), ASYNCAPI: document}


def main(arguments: Sequence[str]) -> int:
    """Write the files, or with `--check` compare them."""
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(ROOT)} is stale: run python -m tools.gen_messages\n")
        return 1 if stale else 0
    for path, text in rendered().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
