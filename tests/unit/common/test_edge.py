"""The outermost layer of HTTP: one shape of error, limits, headers, correlation."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Header
from pydantic import BaseModel, Field

from libs.common import log
from libs.common.clock import ManualClock
from libs.common.edge import MAX_BODY_BYTES
from libs.common.errors import InvariantBroken, OutcomeUnknown, StaleVersion, Throttled
from libs.common.readiness import Readiness
from libs.common.web import Web

router = APIRouter(prefix="/api")


class Body(BaseModel):
    """What is posted."""

    qty: int = Field(gt=0)
    note: str = ""


@router.post("/things/{thing_id}")
async def post_thing(thing_id: str, body: Body) -> dict[str, Any]:
    """Take a body."""
    return {"id": thing_id, "length": len(body.note), "correlation_id": log.correlation_id.get()}


@router.get("/raise/{what}")
async def raise_it(what: str, number: Annotated[int, Header()] = 0) -> None:
    """Raise what is asked for."""
    match what:
        case "stale":
            raise StaleVersion("now 4", current={"version": 4})
        case "throttled":
            raise Throttled("too many tries", retry_after_s=30)
        case "unknown":
            raise OutcomeUnknown("no word from the broker")
        case "broken":
            raise InvariantBroken("row 7 of bob")
        case _:
            raise ZeroDivisionError("bob's secret")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    web = Web(Readiness(ManualClock()))
    web.mount(router)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web.edge), base_url="http://test") as made:
        yield made


@pytest.mark.parametrize(
    ("what", "status", "code"),
    [
        ("stale", 409, "stale_version"),
        ("throttled", 429, "throttled"),
        ("unknown", 202, "outcome_unknown"),
        ("broken", 500, "invariant_broken"),
        ("surprise", 500, "invariant_broken"),
    ],
)
async def test_every_error_is_a_problem(client: httpx.AsyncClient, what: str, status: int, code: str) -> None:
    answer = await client.get(f"/api/raise/{what}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]
    assert "bob" not in answer.text


async def test_extras_and_waits_are_handed_on(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/raise/stale")).json()["current"] == {"version": 4}
    assert (await client.get("/api/raise/throttled")).headers["retry-after"] == "30"


async def test_invalid_input_names_the_field_and_not_the_value(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/things/t1", json={"qty": -7712})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert answer.json()["fields"] == [{"field": "qty", "problem": "Input should be greater than 0"}]
    assert "7712" not in answer.text
    garbage = await client.post("/api/things/t1", content=b"{", headers={"content-type": "application/json"})
    assert (garbage.status_code, garbage.json()["code"]) == (422, "invalid_input")


async def test_what_is_not_there_and_what_is_not_done_are_problems(client: httpx.AsyncClient) -> None:
    assert (await client.get("/api/nothing")).json()["code"] == "not_found"
    answer = await client.delete("/api/things/t1")
    assert (answer.status_code, answer.json()["code"], answer.headers["allow"]) == (405, "method_not_allowed", "POST")


async def test_a_body_over_the_limit_is_refused_by_its_length(client: httpx.AsyncClient) -> None:
    fits = await client.post("/api/things/t1", json={"qty": 1, "note": "x" * (MAX_BODY_BYTES - 100)})
    assert fits.status_code == 200
    answer = await client.post("/api/things/t1", json={"qty": 1, "note": "x" * MAX_BODY_BYTES})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_body_over_the_limit_is_refused_however_it_is_chunked(client: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield b'{"qty": 1, "note": "'
        for _ in range(100):
            yield b"x" * 1024
        yield b'"}'

    answer = await client.post("/api/things/t1", content=endless(), headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


async def test_a_correlation_id_is_kept_when_it_is_one_and_made_when_it_is_not(client: httpx.AsyncClient) -> None:
    async def answered(given: str) -> str:
        reply = await client.post("/api/things/t1", json={"qty": 1}, headers={"x-correlation-id": given})
        assert reply.json()["correlation_id"] == reply.headers["x-correlation-id"]
        return reply.headers["x-correlation-id"]

    assert await answered("from-the-browser-1") == "from-the-browser-1"
    assert await answered("x") != "x"
    assert "evil" not in await answered("evil id with spaces")


async def test_every_answer_has_the_security_headers(client: httpx.AsyncClient) -> None:
    for path in ("/api/raise/stale", "/nowhere", "/livez"):
        headers = (await client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "default-src 'self'" in headers["content-security-policy"]
    assert (await client.get("/api/raise/stale")).headers["cache-control"] == "no-store"


async def test_before_there_are_routes_only_health_is_answered() -> None:
    web = Web(Readiness(ManualClock()))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(web.edge), base_url="http://test") as client:
        assert (await client.get("/livez")).status_code == 200
        assert (await client.get("/readyz")).status_code == 503
        answer = await client.get("/api/raise/stale")
    assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")


async def test_metrics_count_by_template_and_known_method(client: httpx.AsyncClient) -> None:
    await client.post("/api/things/one", json={"qty": 1})
    await client.post("/api/things/two", json={"qty": 1})
    await client.request("BREW", "/api/things/two")
    await client.get("/some/strangers/path")
    text = (await client.get("/metrics")).text
    assert 'route="/api/things/{thing_id}",status="200"' in text
    assert "/api/things/one" not in text
    assert "strangers" not in text
    assert "BREW" not in text
