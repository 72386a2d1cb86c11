"""Logs: one JSON object a line, bound to the request, without anybody's secret."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

import orjson
import pytest
import structlog

from libs.common import log

SECRETS = [
    ("token", "abc"),
    ("access_token", "abc"),
    ("authorization", "Bearer abc"),
    ("Authorization", "Bearer abc"),
    ("password", "abc"),
    ("client_secret", "abc"),
    ("api_key", "abc"),
    ("encryption_key", "abc"),
    ("token_ciphertext", "abc"),
    ("cookie", "bookend_session=abc"),
]
TEXTS = [
    ("GET /v1/quotes?token=abcdef&symbols=SPY", "GET /v1/quotes?token=[hidden]&symbols=SPY"),
    (
        "https://api.orats.io/datav2/live?ticker=SPY&token=abcdef",
        "https://api.orats.io/datav2/live?ticker=SPY&token=[hidden]",
    ),
    ("postgresql://orders_service:pa%40ss@db:5432/bookend", "postgresql://orders_service:[hidden]@db:5432/bookend"),
    ("nats://orders:word@127.0.0.1:4222", "nats://orders:[hidden]@127.0.0.1:4222"),
    ("Authorization was Bearer eyJhbGciOi.J9-x", "Authorization was Bearer [hidden]"),
    ("key bk_0123456789abcdef was used", "key [hidden] was used"),
    ("tokens=3 keyword=open monkey=1", "tokens=3 keyword=open monkey=1"),
    ("http://127.0.0.1:8000/livez", "http://127.0.0.1:8000/livez"),
]


@pytest.fixture
def lines() -> Iterator[Any]:
    """Log into memory as a service does, and put everything back afterwards."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    out = io.StringIO()
    with redirect_stdout(out):
        log.setup("orders", level="DEBUG")
    yield lambda: [orjson.loads(line) for line in out.getvalue().splitlines()]
    root.handlers = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_an_event_is_one_json_object_with_time_level_and_service(lines: Any) -> None:
    log.get("test").info("order_placed", trade_id="t1", qty_contracts=2)
    (line,) = lines()
    assert line["event"] == "order_placed"
    assert (line["level"], line["service"], line["trade_id"], line["qty_contracts"]) == ("info", "orders", "t1", 2)
    assert line["at"].endswith("Z")


@pytest.mark.parametrize(("name", "value"), SECRETS)
def test_a_secret_is_hidden_by_its_name_at_any_depth(lines: Any, name: str, value: str) -> None:
    log.get("test").warning("refused", **{name: value}, request={"headers": {name: value}}, many=[{name: value}])
    (line,) = lines()
    assert line[name] == log.HIDDEN
    assert line["request"]["headers"][name] == log.HIDDEN
    assert line["many"] == [{name: log.HIDDEN}]


@pytest.mark.parametrize(("text", "shown"), TEXTS)
def test_a_secret_inside_a_text_is_hidden_by_its_shape(lines: Any, text: str, shown: str) -> None:
    log.get("test").info("asked", url=text)
    assert lines()[0]["url"] == shown


def test_names_that_only_sound_secret_are_shown(lines: Any) -> None:
    log.get("test").info("seen", idempotency_key="k1", token_hash="9f", key_version=3)
    (line,) = lines()
    assert (line["idempotency_key"], line["token_hash"], line["key_version"]) == ("k1", "9f", 3)


def test_a_traceback_is_logged_without_the_secret_in_it(lines: Any) -> None:
    try:
        raise ValueError("GET https://x/y?token=abcdef failed")
    except ValueError:
        log.get("test").exception("failed")
    (line,) = lines()
    assert "ValueError" in line["exception"]
    assert "abcdef" not in line["exception"]


def test_a_librarys_log_has_the_same_shape_and_no_secret(lines: Any) -> None:
    with log.bound_to("c-1"):
        logging.getLogger("some.library").warning("calling %s", "https://x/y?token=abcdef")
    (line,) = lines()
    assert line["event"] == "calling https://x/y?token=[hidden]"
    assert (line["service"], line["correlation_id"]) == ("orders", "c-1")


async def test_the_correlation_id_stays_with_its_task(lines: Any) -> None:
    async def handle(name: str) -> None:
        with log.bound_to(f"c-{name}", f"m-{name}"):
            await asyncio.sleep(0)
            log.get("test").info(name)
            assert log.causation_id.get() == f"m-{name}"

    await asyncio.gather(handle("one"), handle("two"))
    told = {line["event"]: line.get("correlation_id") for line in lines() if line["event"] in {"one", "two"}}
    assert told == {"one": "c-one", "two": "c-two"}
    assert log.correlation_id.get() is None


def test_values_json_cannot_hold_are_written_as_text(lines: Any) -> None:
    log.get("test").info("odd", value=object(), numbers={1: "one"})
    assert lines()[0]["value"].startswith("<object")
