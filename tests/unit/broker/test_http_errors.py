"""Every error of the HTTP library becomes one of ours."""

import httpx
import pytest

from libs.common import http as ours
from libs.common.errors import AppError, OutcomeUnknown, UpstreamUnavailable
from libs.common.http import Answer, Call, HttpClient
from libs.common.http_limits import rate_reading, retry_after_s

ROOTS: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, httpx.CookieConflict)
CALL = Call("POST", "http://broker.test/x?token=secret", "place order")


def _leaves(root: type[Exception]) -> list[type[Exception]]:
    children = root.__subclasses__()
    return [root, *(leaf for child in children for leaf in _leaves(child))]


def _instance(error: type[Exception]) -> Exception:
    request = httpx.Request("POST", CALL.url)
    if issubclass(error, httpx.HTTPStatusError):
        return error("text token=secret", request=request, response=httpx.Response(500))
    if issubclass(error, httpx.StreamError) and error is not httpx.StreamError:
        return error()  # type: ignore[call-arg]
    return error("text token=secret")


EVERY = [leaf for root in ROOTS for leaf in _leaves(root)]
NEVER_SENT = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol, httpx.InvalidURL}


def test_the_roots_are_all_the_library_can_raise() -> None:
    public = [getattr(httpx, name) for name in httpx.__all__]
    errors = {each for each in public if isinstance(each, type) and issubclass(each, Exception)}
    assert errors <= set(EVERY)


@pytest.mark.parametrize("error", EVERY, ids=lambda error: error.__name__)
async def test_an_error_of_the_library_is_mapped(error: type[Exception]) -> None:
    def fail(_request: httpx.Request) -> httpx.Response:
        raise _instance(error)

    client = HttpClient(transport=httpx.MockTransport(fail), first_pause_s=0.0)
    with pytest.raises(AppError) as ended:
        await client.write(CALL, lambda answer: answer.status, deadline_s=1.0)
    assert type(ended.value) is (UpstreamUnavailable if error in NEVER_SENT else OutcomeUnknown)
    assert "secret" not in str(ended.value)
    with pytest.raises(UpstreamUnavailable):
        await client.read(CALL, lambda answer: answer.status, deadline_s=1.0)


@pytest.mark.parametrize("status", [*range(200, 300), *range(300, 600)])
async def test_only_success_and_listed_refusals_reach_a_writes_parser(status: int) -> None:
    client = HttpClient(transport=httpx.MockTransport(lambda _request: httpx.Response(status)))
    try:
        seen = await client.write(CALL, lambda answer: answer.status, deadline_s=1.0)
    except OutcomeUnknown:
        assert status not in {400, 401, 403, 429}
        assert not 200 <= status < 300
    except UpstreamUnavailable:
        assert status == 429
    else:
        assert seen == status
        assert 200 <= status < 300 or status in {400, 401, 403}


@pytest.mark.parametrize(
    "error", [KeyError("x"), TypeError("x"), ValueError("x"), ArithmeticError("x"), AttributeError()]
)
async def test_a_parser_that_stumbles_leaves_the_outcome_unknown(error: Exception) -> None:
    def stumble(_answer: Answer) -> None:
        raise error

    client = HttpClient(transport=httpx.MockTransport(lambda _request: httpx.Response(200)))
    with pytest.raises(OutcomeUnknown):
        await client.write(CALL, stumble, deadline_s=1.0)


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
