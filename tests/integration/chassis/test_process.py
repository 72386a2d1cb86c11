"""A service's life in one process: up in order while things are away, honest about readiness, down without a loss."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from deploy.local.nats import EmbeddedNats
from deploy.local.ports import free_port
from libs.common.bus import Bus, Context, Reply, answers
from libs.common.config import BaseServiceSettings
from libs.common.errors import NotFound, UpstreamUnavailable
from libs.common.jobs import Job, job
from libs.common.messages.orders import CloseTrade, GetTrade
from libs.common.process import Process
from libs.common.service import Chassis, Service
from libs.common.testing import TestDatabase, eventually
from tests.integration.chassis.buses import PASSWORD, bus_of, nats_server

pytestmark = pytest.mark.integration


class Settings(BaseServiceSettings):
    """Those of a service for tests."""

    service = "orders"


@dataclass
class Deps:
    """What the test's handlers stand on."""

    chassis: Chassis
    ran: list[str] = field(default_factory=list)
    may_finish: asyncio.Event = field(default_factory=asyncio.Event)
    opened: bool = True
    troubles: list[Exception] = field(default_factory=list)


@answers(GetTrade)
async def get_trade(query: GetTrade, ctx: Context, deps: Deps) -> dict[str, str]:
    """Answer at once."""
    return {"id": query.trade_id}


@answers(CloseTrade)
async def close_trade(command: CloseTrade, ctx: Context, deps: Deps) -> Reply:
    """Answer once the test allows."""
    deps.ran.append("closing")
    await deps.may_finish.wait()
    return Reply.of({"closed": command.trade_id})


@job("count", lease_s=5)
async def count(work: Job, deps: Deps) -> timedelta:
    """Count the runs."""
    deps.ran.append("job")
    return timedelta(seconds=60)


def routes(deps: Deps) -> Starlette:
    """Answer three paths."""

    async def hello(_request: Request) -> Response:
        return JSONResponse({"hello": True})

    async def missing(_request: Request) -> Response:
        raise NotFound("no such thing")

    async def bug(_request: Request) -> Response:
        raise ZeroDivisionError("the secret of bob")

    return Starlette(routes=[Route("/api/hello", hello), Route("/api/missing", missing), Route("/api/bug", bug)])


async def background(deps: Deps) -> None:
    """Fail as told, then go on."""
    deps.ran.append("background")
    if deps.troubles:
        raise deps.troubles.pop(0)
    await asyncio.Event().wait()


class House:
    """A process under test and what it opened."""

    def __init__(self, settings: Settings, troubles: list[Exception]) -> None:
        self.deps: Deps | None = None
        self.troubles = troubles
        self.service = Service(
            name="orders",
            settings=settings,
            open=self._open,
            answers=(get_trade, close_trade),
            jobs=(count,),
            routes=routes,
            background=(background,),
        )
        self.process = Process(self.service)

    @asynccontextmanager
    async def _open(self, chassis: Chassis) -> AsyncIterator[Deps]:
        self.deps = Deps(chassis, troubles=self.troubles)
        yield self.deps
        self.deps.opened = False

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.process.port}") as client:
            return await client.get(path)

    async def is_ready(self) -> bool:
        return (await self.get("/readyz")).status_code == 200


@pytest.fixture
def server(tmp_path: Any) -> Iterator[EmbeddedNats]:
    with nats_server(tmp_path) as running:
        yield running


Start = Callable[..., Any]


@pytest.fixture
def settings(database: TestDatabase, server: EmbeddedNats) -> Settings:
    return Settings(
        database_url=database.url,
        database_password=database.passwords["orders"],  # type: ignore[arg-type]
        nats_url=server.address,
        nats_password=PASSWORD,  # type: ignore[arg-type]
        stop_grace_s=5,
    )


@asynccontextmanager
async def running(settings: Settings, troubles: list[Exception] | None = None) -> AsyncIterator[House]:
    house = House(settings, troubles or [])
    run = asyncio.ensure_future(house.process.run(signals=False))
    try:
        await eventually(lambda: house.process.is_listening or run.done())
        yield house
    finally:
        house.process.stop()
        if house.deps is not None:
            house.deps.may_finish.set()
        await run


async def test_a_service_comes_up_answers_and_goes_down(settings: Settings, gateway: Bus) -> None:
    async with running(settings) as house:
        await eventually(house.is_ready)
        assert (await house.get("/livez")).text == "alive"
        assert (await house.get("/api/hello")).json() == {"hello": True}
        assert (await gateway.ask(GetTrade(trade_id="t1"), user="bob")).json() == {"id": "t1"}
        report = (await house.get("/readyz")).json()
        assert report["stage"] == "ready"
        assert set(report["dependencies"]) == {"database", "bus"}
        assert all(one["ok"] and one["age_s"] < 15 for one in report["dependencies"].values())
        metrics = (await house.get("/metrics")).text
        assert 'bookend_http_seconds_count{method="GET",route="/api/hello",status="200"}' in metrics
    assert house.deps is not None
    assert not house.deps.opened
    with pytest.raises(UpstreamUnavailable, match="nobody answers"):
        await gateway.ask(GetTrade(trade_id="t1"), user="bob")


@pytest.fixture
async def gateway(server: EmbeddedNats) -> AsyncIterator[Bus]:
    async with bus_of(server, "gateway") as bus:
        yield bus


async def test_errors_of_routes_have_the_one_public_shape(settings: Settings) -> None:
    async with running(settings) as house:
        await eventually(house.is_ready)
        missing = await house.get("/api/missing")
        bug = await house.get("/api/bug")
        nowhere = await house.get("/nowhere")
    for answer, status, code in (
        (missing, 404, "not_found"),
        (bug, 500, "invariant_broken"),
        (nowhere, 404, "not_found"),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == code
        assert answer.json()["correlation_id"] == answer.headers["x-correlation-id"]
    assert "secret" not in bug.text


async def test_without_the_bus_it_starts_and_runs_jobs_and_is_ready_later(
    settings: Settings, server: EmbeddedNats
) -> None:
    server.stop()
    async with running(settings) as house:
        await eventually(lambda: house.deps is not None and "background" in house.deps.ran)
        assert house.deps is not None
        ran = house.deps.ran
        async with house.process.db.for_worker() as unit:
            await unit.schedule("count", "k", None)
        await eventually(lambda: "job" in ran)
        report = await house.get("/readyz")
        assert report.status_code == 503
        assert report.json()["waits_for"] == "bus"
        assert (await house.get("/api/hello")).status_code == 200
        server.start()
        await eventually(house.is_ready, within_s=10)


async def test_without_the_database_only_health_is_answered_until_it_is_back(settings: Settings) -> None:
    port = free_port()
    away = settings.model_copy(update={"database_url": f"postgresql://127.0.0.1:{port}/bookend"})
    async with running(away) as house:
        await eventually(lambda: house.process.ready.waits_for == "database")
        assert (await house.get("/livez")).status_code == 200
        answer = await house.get("/api/hello")
        assert (answer.status_code, answer.json()["code"]) == (503, "upstream_unavailable")
        assert answer.headers["retry-after"] == "1"
        assert (await house.get("/readyz")).json()["stage"] == "starting"
        assert house.deps is None


async def test_losing_the_bus_is_told_at_readyz_and_heals(settings: Settings, server: EmbeddedNats) -> None:
    async with running(settings) as house:
        await eventually(house.is_ready)
        server.stop()
        await eventually(lambda: _is_unready(house))
        report = (await house.get("/readyz")).json()
        assert not report["dependencies"]["bus"]["ok"]
        assert report["dependencies"]["database"]["ok"]
        server.start()
        await eventually(house.is_ready, within_s=10)


async def _is_unready(house: House) -> bool:
    return not await house.is_ready()


async def test_what_is_in_flight_at_the_stop_is_answered(settings: Settings, gateway: Bus) -> None:
    async with running(settings) as house, asyncio.TaskGroup() as tasks:
        await eventually(house.is_ready)
        command = CloseTrade(idempotency_key="k", trade_id="t1", version=1)
        asked = tasks.create_task(gateway.ask(command, user="bob"))
        await eventually(lambda: house.deps is not None and "closing" in house.deps.ran)
        house.process.stop()
        assert house.deps is not None
        house.deps.may_finish.set()
        assert (await asked).json() == {"closed": "t1"}


async def test_background_work_with_an_expected_error_is_started_again(settings: Settings) -> None:
    async with running(settings, [UpstreamUnavailable("away"), UpstreamUnavailable("away")]) as house:
        await eventually(lambda: house.deps is not None and house.deps.ran.count("background") == 3)
        await eventually(house.is_ready)


async def test_background_work_with_a_bug_ends_the_process_with_an_error(settings: Settings) -> None:
    house = House(settings, [ZeroDivisionError()])
    assert await house.process.run(signals=False) == 1


async def test_a_taken_port_ends_the_process_with_an_error(settings: Settings) -> None:
    async with running(settings) as first:
        taken = settings.model_copy(update={"http_port": first.process.port})
        second = Process(replace(first.service, settings=taken))
        assert await second.run(signals=False) == 1


async def test_a_connection_closed_for_good_ends_the_process_with_an_error(settings: Settings) -> None:
    house = House(settings, [])
    run = asyncio.ensure_future(house.process.run(signals=False))
    await eventually(lambda: house.process.ready.is_ready)
    await house.process.bus.client.close()
    assert await run == 1
