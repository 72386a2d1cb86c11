"""Questions over a real NATS: an answer is the truth, silence is named, and nothing is sent or done late."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.nats import EmbeddedNats
from libs.common import log
from libs.common.bus import Bus, Context, Reply, answers, hears
from libs.common.clock import ManualClock, SystemClock
from libs.common.errors import (
    AppError,
    Expired,
    Forbidden,
    InvariantBroken,
    NoAnswer,
    NotFound,
    StaleVersion,
    TooLarge,
    UpstreamUnavailable,
)
from libs.common.messages.monitor import BannerChanged
from libs.common.messages.orders import CloseTrade, GetTrade, ListTracked, PlaceTrade
from libs.common.messages.pricing import GetMarketStatus, Marks
from libs.common.problems import PROBLEM_HEADER
from libs.common.testing import eventually
from tests.integration.chassis.buses import answering, bus_of, nats_server, restart

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    with nats_server(tmp_path_factory.mktemp("nats")) as running:
        yield running


@pytest.fixture
async def gateway(server: EmbeddedNats) -> AsyncIterator[Bus]:
    async with bus_of(server, "gateway", try_s=0.3) as bus:
        yield bus


@pytest.fixture
async def orders(server: EmbeddedNats) -> AsyncIterator[Bus]:
    async with bus_of(server, "orders") as bus:
        yield bus


@answers(GetTrade)
async def get_trade(query: GetTrade, ctx: Context, deps: Any) -> Any:
    """Answer by what the id says."""
    match query.trade_id:
        case "missing":
            raise NotFound("there is no trade missing")
        case "stale":
            raise StaleVersion("now 4", current={"id": "stale", "version": 4})
        case "bug":
            raise ZeroDivisionError("the secret of bob")
        case "huge":
            return b'"' + b"x" * (512 * 1024) + b'"'
        case "tagged":
            return Reply.of({"id": "tagged"}, status=203, ETag='"v1"', Idempotent_Replayed="true")
        case _:
            return {"id": query.trade_id, "user": ctx.user, "correlation": log.correlation_id.get()}


class Till:
    """Closes trades as slowly as it is told, and counts."""

    def __init__(self, *, opens_at_once: bool = False) -> None:
        self.closed: list[str] = []
        self.may_finish = asyncio.Event()
        if opens_at_once:
            self.may_finish.set()


@answers(CloseTrade)
async def close_trade(command: CloseTrade, ctx: Context, deps: Till) -> Reply:
    """Close one trade."""
    deps.closed.append(ctx.id)
    await deps.may_finish.wait()
    return Reply.of({"closed": command.trade_id}, status=202)


def closing(trade_id: str = "t1") -> CloseTrade:
    return CloseTrade(idempotency_key="k1", trade_id=trade_id, version=1)


async def test_an_answer_carries_status_body_and_headers(gateway: Bus, orders: Bus) -> None:
    async with answering(orders, get_trade):
        plain = await gateway.ask(GetTrade(trade_id="t1"), user="bob")
        tagged = await gateway.ask(GetTrade(trade_id="tagged"), user="bob")
    assert (plain.status, plain.json()["id"], plain.json()["user"]) == (200, "t1", "bob")
    assert (tagged.status, tagged.headers) == (203, {"ETag": '"v1"', "Idempotent-Replayed": "true"})


async def test_the_correlation_id_goes_along(gateway: Bus, orders: Bus) -> None:
    async with answering(orders, get_trade):
        with log.bound_to("c-from-the-browser"):
            reply = await gateway.ask(GetTrade(trade_id="t1"), user="bob")
    assert reply.json()["correlation"] == "c-from-the-browser"


@pytest.mark.parametrize(
    ("trade_id", "error", "detail"),
    [
        ("missing", NotFound, "there is no trade missing"),
        ("stale", StaleVersion, "now 4"),
        ("bug", InvariantBroken, "an internal error; the log has it under the correlation id"),
        ("huge", TooLarge, "the answer to GetTrade has 524290 bytes, over 524288"),
    ],
)
async def test_an_error_over_there_is_raised_here(
    gateway: Bus, orders: Bus, trade_id: str, error: type[AppError], detail: str
) -> None:
    async with answering(orders, get_trade):
        with pytest.raises(error) as caught:
            await gateway.ask(GetTrade(trade_id=trade_id), user="bob")
    assert caught.value.detail == detail
    assert caught.value.extra == ({"current": {"id": "stale", "version": 4}} if error is StaleVersion else {})


async def test_nobody_there_is_said_at_once(gateway: Bus) -> None:
    began = asyncio.get_running_loop().time()
    with pytest.raises(UpstreamUnavailable, match="nobody answers"):
        await gateway.ask(GetMarketStatus(), user="bob")
    assert asyncio.get_running_loop().time() - began < 1.0


async def test_a_silent_command_may_have_been_done_and_a_silent_query_was_not(gateway: Bus, orders: Bus) -> None:
    till = Till()

    @answers(GetTrade)
    async def never(query: GetTrade, ctx: Context, deps: Till) -> dict[str, Any]:
        await deps.may_finish.wait()
        return {}

    async with answering(orders, close_trade, never, deps=till):
        with pytest.raises(NoAnswer, match="it may have been done"):
            await gateway.ask(closing(), user="bob", timeout_s=0.7)
        with pytest.raises(UpstreamUnavailable, match="was not answered"):
            await gateway.ask(GetTrade(trade_id="t1"), user="bob", timeout_s=0.4)
        till.may_finish.set()


async def test_a_repeated_try_waits_for_the_first_and_runs_nothing_twice(gateway: Bus, orders: Bus) -> None:
    till = Till()
    async with answering(orders, close_trade, deps=till), asyncio.TaskGroup() as tasks:
        asked = tasks.create_task(gateway.ask(closing(), user="bob", timeout_s=5))
        await eventually(lambda: till.closed)
        # The second try is on its way once the first has been silent for 0.3 s.
        await eventually(lambda: len(gateway._waiting) == 2)
        till.may_finish.set()
        reply = await asked
    assert (reply.status, reply.json()) == (202, {"closed": "t1"})
    assert len(till.closed) == 1


async def test_the_same_envelope_again_gets_the_same_answer_without_running(gateway: Bus, orders: Bus) -> None:
    till = Till(opens_at_once=True)
    envelope = gateway._envelope("bob", SystemClock().now().replace(year=2099), closing())
    payload = envelope.encode(closing())
    async with answering(orders, close_trade, deps=till):
        first = await gateway.request(CloseTrade.subject("bob"), payload, timeout_s=2)
        second = await gateway.request(CloseTrade.subject("bob"), payload, timeout_s=2)
    assert first is not None
    assert second is not None
    assert first.data == second.data
    assert till.closed == [envelope.id]


async def test_a_question_past_its_deadline_is_refused_and_not_run(gateway: Bus, orders: Bus) -> None:
    till = Till(opens_at_once=True)
    clock = ManualClock(SystemClock().now())
    clock.advance(11)
    async with answering(orders, close_trade, deps=till, clock=clock):
        with pytest.raises(Expired, match="the deadline passed 1"):
            await gateway.ask(closing(), user="bob")
    assert till.closed == []


async def test_a_user_in_the_payload_that_is_not_the_subjects_is_refused(gateway: Bus, orders: Bus) -> None:
    till = Till(opens_at_once=True)
    payload = gateway._envelope("alice", SystemClock().now().replace(year=2099), closing()).encode(closing())
    async with answering(orders, close_trade, deps=till):
        answer = await gateway.request(CloseTrade.subject("bob"), payload, timeout_s=2)
    assert answer is not None
    assert (answer.headers or {})[PROBLEM_HEADER] == Forbidden.code
    assert till.closed == []


@pytest.mark.parametrize("payload", [b"", b"not json", b'{"id": 1}', b"[]"])
async def test_garbage_gets_an_answer_too(gateway: Bus, orders: Bus, payload: bytes) -> None:
    async with answering(orders, get_trade):
        answer = await gateway.request(GetTrade.subject("bob"), payload, timeout_s=2)
    assert answer is not None
    assert (answer.headers or {})[PROBLEM_HEADER] == InvariantBroken.code


async def test_a_publish_the_server_forbids_is_an_error_and_no_silence(orders: Bus, gateway: Bus) -> None:
    async with answering(orders, get_trade):
        with pytest.raises(InvariantBroken, match=r"gateway may not publish qry\.orders\._\.list_tracked"):
            await gateway.ask(ListTracked(), user="_")


async def test_no_more_than_the_bound_runs_at_once_and_all_are_answered(gateway: Bus, orders: Bus) -> None:
    running = 0
    most = 0

    @answers(GetTrade)
    async def slow(query: GetTrade, ctx: Context, deps: Any) -> dict[str, str]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1
        return {"id": query.trade_id}

    async with answering(orders, slow, at_once=4):
        asked = [gateway.ask(GetTrade(trade_id=str(n)), user="bob") for n in range(100)]
        replies = await asyncio.gather(*asked)
    assert [reply.json()["id"] for reply in replies] == [str(n) for n in range(100)]
    assert most == 4


async def test_stopping_answers_what_was_taken_and_takes_nothing_new(gateway: Bus, orders: Bus) -> None:
    till = Till()
    async with asyncio.TaskGroup() as tasks:
        async with answering(orders, close_trade, deps=till) as responders:
            asked = tasks.create_task(gateway.ask(closing(), user="bob", timeout_s=5))
            await eventually(lambda: till.closed)
            await responders.stop()
            with pytest.raises(UpstreamUnavailable, match="nobody answers"):
                await gateway.ask(closing("t2"), user="bob")
            till.may_finish.set()
        assert (await asked).status == 202


async def test_whoever_asks_while_the_last_one_leaves_is_answered_or_told_that_nobody_is_there(
    gateway: Bus, orders: Bus
) -> None:
    for _ in range(30):
        assert await _ends_around_a_stop(gateway, orders) <= {"closed", "nobody"}


async def _ends_around_a_stop(gateway: Bus, orders: Bus) -> set[str]:
    ends: list[str] = []
    enough = asyncio.Event()
    async with (
        answering(orders, close_trade, deps=Till(opens_at_once=True)) as responders,
        asyncio.TaskGroup() as tasks,
    ):
        for _ in range(20):
            tasks.create_task(_keep_closing(gateway, enough, ends))
        await eventually(lambda: len(ends) > 100)
        await responders.stop()
        enough.set()
    return set(ends)


async def _keep_closing(gateway: Bus, enough: asyncio.Event, ends: list[str]) -> None:
    while not enough.is_set():
        try:
            await gateway.ask(closing(), user="bob", timeout_s=2)
            ends.append("closed")
        except UpstreamUnavailable:
            ends.append("nobody")
        except NoAnswer:
            ends.append("lost")


async def test_while_the_bus_is_away_every_call_says_so_and_nothing_is_sent_later(
    tmp_path: Path,
) -> None:
    till = Till(opens_at_once=True)
    with nats_server(tmp_path) as server:
        async with (
            bus_of(server, "gateway") as gateway,
            bus_of(server, "orders") as orders,
            answering(orders, close_trade, get_trade, deps=till),
        ):
            server.stop()
            await eventually(lambda: not gateway.connected)
            for _ in range(3):
                with pytest.raises(UpstreamUnavailable, match="not connected"):
                    await gateway.ask(closing(), user="bob")
            with pytest.raises(UpstreamUnavailable, match="not connected"):
                await gateway.tick(BannerChanged(origin="orders", banners=()), "bob")
            server.start()
            await eventually(lambda: gateway.connected and orders.connected)
            await eventually(lambda: _is_answered(gateway))
    assert till.closed == []


async def _is_answered(gateway: Bus) -> bool:
    try:
        return (await gateway.ask(GetTrade(trade_id="t9"), user="bob")).status == 200
    except UpstreamUnavailable:
        return False


async def test_a_restart_under_load_ends_every_question_with_an_answer_or_a_clear_error(tmp_path: Path) -> None:
    ends: list[str] = []
    enough = asyncio.Event()

    async def keep_asking(gateway: Bus) -> None:
        while not enough.is_set():
            try:
                await gateway.ask(GetTrade(trade_id="t1"), user="bob")
            except UpstreamUnavailable as error:
                ends.append(error.code)
                await asyncio.sleep(0.005)
            else:
                ends.append("answered")

    async def fifty_more() -> None:
        before = ends.count("answered")
        await eventually(lambda: ends.count("answered") > before + 50, within_s=10)

    with nats_server(tmp_path) as server:
        async with (
            bus_of(server, "gateway") as gateway,
            bus_of(server, "orders") as orders,
            answering(orders, get_trade),
            asyncio.TaskGroup() as tasks,
        ):
            for _ in range(8):
                tasks.create_task(keep_asking(gateway))
            await fifty_more()
            for _ in range(3):
                await asyncio.to_thread(restart, server)
                await fifty_more()
            enough.set()
    assert set(ends) == {"answered", "upstream_unavailable"}


FROZEN = """
import asyncio, sys
from libs.common.bus import Bus, answers
from libs.common.clock import SystemClock
from libs.common.messages.orders import CloseTrade
from libs.common.responders import Responders

@answers(CloseTrade)
async def close_trade(command, ctx, deps):
    print("ran", command.trade_id, file=sys.stderr, flush=True)
    return {"closed": command.trade_id}

async def main():
    bus = Bus(sys.argv[1], name="orders", password=sys.argv[2])
    await bus.connect()
    responders = Responders(bus, service="orders", deps=None, clock=SystemClock())
    async with asyncio.TaskGroup() as tasks:
        await responders.start(tasks, [close_trade], [])
        print("listening", file=sys.stderr, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_replica_that_was_frozen_does_nothing_that_is_too_late(server: EmbeddedNats, gateway: Bus) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        FROZEN,
        server.address,
        "between-tests-only",
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert process.stderr is not None
    try:
        assert await process.stderr.readline() == b"listening\n"
        await gateway.ask(closing("before"), user="bob")
        process.send_signal(signal.SIGSTOP)
        asked = [gateway.ask(closing(f"frozen-{n}"), user="bob", timeout_s=0.6) for n in range(5)]
        ends = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(end) for end in ends] == [NoAnswer] * 5
        process.send_signal(signal.SIGCONT)
        await gateway.ask(closing("after"), user="bob")
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        said = await process.stderr.read()
        await process.wait()
    assert said == b"ran before\nran after\n"


async def test_a_tick_reaches_every_process_or_one_of_each_service(server: EmbeddedNats, gateway: Bus) -> None:
    heard: list[tuple[str, str]] = []

    def listener(name: str) -> Any:
        @hears(BannerChanged)
        async def on_banner(tick: BannerChanged, token: str, deps: Any) -> None:
            heard.append((name, token))

        return on_banner

    async with (
        bus_of(server, "orders") as orders,
        bus_of(server, "gateway") as second,
        answering(gateway, hears=[listener("one")]),
        answering(second, hears=[listener("two")]),
    ):
        await orders.tick(BannerChanged(origin="orders", banners=()), "bob")
        await eventually(lambda: sorted(heard) == [("one", "bob"), ("two", "bob")])


async def test_marks_reach_one_process_of_orders_and_a_failing_handler_does_not_stop_them(server: EmbeddedNats) -> None:
    heard: list[str] = []

    @hears(Marks)
    async def on_marks(tick: Marks, token: str, deps: Any) -> None:
        heard.append(token)
        if tick.ticker == "BRK/B":
            raise ZeroDivisionError

    def marks(ticker: str) -> Marks:
        return Marks(ticker=ticker, underlying_price=None, source="test", as_of=SystemClock().now(), marks=())

    async with (
        bus_of(server, "pricing") as pricing,
        bus_of(server, "orders") as one,
        bus_of(server, "orders") as two,
        answering(one, hears=[on_marks]),
        answering(two, hears=[on_marks]),
    ):
        for ticker in ("BRK/B", "SPY", "BRK/B", "QQQ"):
            await pricing.tick(marks(ticker), ticker)
        await eventually(lambda: len(heard) >= 4)
        await pricing.beat()
    assert sorted(heard) == ["BRK_B", "BRK_B", "QQQ", "SPY"]


async def test_a_handler_of_somebody_elses_message_is_refused_at_start(orders: Bus) -> None:
    @answers(GetMarketStatus)
    async def answer(query: GetMarketStatus, ctx: Context, deps: Any) -> dict[str, Any]:
        return {}

    with pytest.RaisesGroup(ValueError, flatten_subgroups=True):
        async with answering(orders, answer):
            pytest.fail("it answers another service's question")


async def test_a_handler_knows_the_idempotency_key_and_the_deadline(gateway: Bus, orders: Bus) -> None:
    @answers(PlaceTrade)
    async def place(command: PlaceTrade, ctx: Context, deps: Any) -> dict[str, Any]:
        left = (ctx.deadline_at or ctx.occurred_at) - ctx.occurred_at
        return {"key": ctx.key, "left_s": left.total_seconds(), "user": ctx.user}

    entry = {"type": "market"}
    body = {"ticker": "SPY", "option_type": "CALL", "strike": "500", "expiry": "2026-12-18", "qty": 1, "entry": entry}
    async with answering(orders, place):
        reply = await gateway.ask(PlaceTrade.model_validate({"idempotency_key": "k-7", **body}), user="bob")
    assert reply.json()["key"] == "k-7"
    assert reply.json()["user"] == "bob"
    assert abs(reply.json()["left_s"] - 10) < 0.1
