"""Every error of the HTTP library becomes one of ours, wherever in a call it comes up."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NoReturn

import aiohttp
import pytest
from aiohttp import client_exceptions, http_exceptions

from libs.common import http as ours
from libs.common.errors import AppError, OutcomeUnknown, UpstreamUnavailable
from libs.common.http import Answer, Call, HttpClient
from libs.common.http_limits import rate_reading, retry_after_s

OF_CONNECTING: tuple[type[Exception], ...] = (aiohttp.ClientError, OSError)
OF_TALKING: tuple[type[Exception], ...] = (
    *OF_CONNECTING,
    http_exceptions.HttpProcessingError,
    aiohttp.WSMessageTypeError,
    ValueError,
    RuntimeError,
    AssertionError,
    EOFError,
)


def _leaves(root: type[Exception]) -> set[type[Exception]]:
    return {root}.union(*(_leaves(child) for child in root.__subclasses__()))


def _known(roots: tuple[type[Exception], ...]) -> list[type[Exception]]:
    """List the errors of the library and of the system; others' children of OSError are theirs."""
    found = set().union(*(_leaves(root) for root in roots))
    near = {one for one in found if one.__module__.split(".")[0] in {"aiohttp", "builtins", "ssl", "socket", "asyncio"}}
    return sorted(near - _leaves(AppError), key=lambda error: f"{error.__module__}.{error.__name__}")


def _raised(error: type[Exception]) -> Exception:
    made: Exception = error.__new__(error, "text token=secret")
    return made


class Place:
    """A local server that answers each request alike, and counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self.status = 200
        self.url = ""

    def call(self, method: str = "POST") -> Call:
        return Call(method, f"{self.url}/x", "place order", {"X-Token": "secret"}, query={"token": "secret"})

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                self.asked += 1
                writer.write(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\n\r\n" % self.status)
        except (ConnectionError, asyncio.IncompleteReadError):
            writer.close()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place()
    listening = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    async with listening:
        made.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        yield made


@pytest.fixture
async def client() -> AsyncIterator[HttpClient]:
    async with HttpClient(first_pause_s=0.0) as made:
        yield made


def test_the_roots_are_all_that_the_library_names() -> None:
    named = {getattr(module, name) for module in (client_exceptions, http_exceptions) for name in module.__all__}
    assert {one for one in named if issubclass(one, Exception)} <= set(_known(OF_TALKING))


@pytest.mark.parametrize("error", _known(OF_CONNECTING), ids=lambda error: error.__name__)
async def test_an_error_before_there_is_a_connection_is_proven_not_sent(
    error: type[Exception], place: Place, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any) -> NoReturn:
        raise _raised(error)

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", fail)
    for method in ("POST", "DELETE"):
        with pytest.raises(UpstreamUnavailable) as ended:
            await client.write(place.call(method), lambda answer: answer.status, deadline_s=5.0)
        assert "secret" not in str(ended.value)
    assert place.asked == 0


@pytest.mark.parametrize("moment", ["send", "start", "read"])
@pytest.mark.parametrize("error", _known(OF_TALKING), ids=lambda error: error.__name__)
async def test_an_error_once_there_is_a_connection_leaves_a_write_unknown_and_is_not_answered_by_a_repeat(
    error: type[Exception], moment: str, place: Place, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0

    async def fail(*_: Any) -> NoReturn:
        nonlocal failed
        failed += 1
        raise _raised(error)

    monkeypatch.setattr(aiohttp.ClientRequest if moment == "send" else aiohttp.ClientResponse, moment, fail)
    for method in ("POST", "DELETE"):
        with pytest.raises(OutcomeUnknown) as ended:
            await client.write(place.call(method), lambda answer: answer.status, deadline_s=5.0)
        assert "secret" not in str(ended.value)
    assert failed == 2
    with pytest.raises(UpstreamUnavailable):
        await client.read(place.call("GET"), lambda answer: answer.status, deadline_s=5.0)
    assert failed == 5


async def test_only_success_and_listed_refusals_reach_a_writes_parser(place: Place, client: HttpClient) -> None:
    for place.status in range(200, 600):
        try:
            seen = await client.write(place.call(), lambda answer: answer.status, deadline_s=5.0)
        except OutcomeUnknown:
            assert place.status not in {400, 401, 403, 429}
            assert not 200 <= place.status < 300
        except UpstreamUnavailable:
            assert place.status == 429
        else:
            assert seen == place.status
            assert 200 <= place.status < 300 or place.status in {400, 401, 403}
    assert place.asked == 400


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("x"), ValueError("x"), ArithmeticError("x"), AttributeError()]
)
async def test_a_parser_that_stumbles_leaves_the_outcome_unknown(
    error: Exception, place: Place, client: HttpClient
) -> None:
    def stumble(_answer: Answer) -> None:
        raise error

    with pytest.raises(OutcomeUnknown):
        await client.write(place.call(), stumble, deadline_s=5.0)
    assert place.asked == 1


async def test_fractions_stay_exact_and_nonsense_numbers_are_unreadable() -> None:
    assert str(Answer(200, {}, b'{"a":0.1}').exact_json()["a"]) == "0.1"
    for body in (b'{"a":NaN}', b'{"a":Infinity}', b"<html>", b"\xff", b"[" * 100_000):
        with pytest.raises(ours.Unreadable):
            Answer(200, {}, body).exact_json()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "Fri, 20 Nov 2026 15:00:10 GMT"}, 10.0),
        ({"retry-after": "soon"}, None),
        ({"x-ratelimit-expiry": "1795186830000"}, 30.0),
        ({"x-ratelimit-expiry": "1795186700000"}, 0.0),
        ({"x-ratelimit-reset": "1795186860"}, 60.0),
        ({"x-ratelimit-expiry": "nonsense", "x-ratelimit-reset": "1795186801"}, 1.0),
    ],
)
def test_when_to_come_back_is_read_in_seconds_dates_and_milliseconds(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after_s(headers, now_s=1795186800) == seconds


def test_a_window_is_read_from_whichever_counts_are_there() -> None:
    reading = rate_reading({"x-ratelimit-allowed": "120", "x-ratelimit-available": "100"})
    assert reading is not None
    assert (reading.used, reading.expires_at) == (20, None)
    assert rate_reading({"x-ratelimit-used": "3"}) is None
