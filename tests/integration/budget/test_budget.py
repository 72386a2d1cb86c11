"""Four processes, one token, one broker that counts: nobody passes the ceiling, and exits always get out."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from deploy.local.nats import EmbeddedNats
from libs.broker.base import Duration, OptionOrder, OrderReport, OrderSide, OrderStatus, OrderType, Priority
from libs.broker.budget import RateClass, token_hash
from libs.broker.budget_entries import SharedEntries
from libs.common.clock import ManualClock, SystemClock
from libs.common.errors import UpstreamUnavailable
from libs.common.streams import Streams
from libs.common.testing import eventually
from libs.market.options import OccSymbol
from tests.integration.budget.contenders import Contenders, contenders
from tests.integration.chassis.buses import PASSWORD, nats_server, restart

pytestmark = pytest.mark.integration

ALLOWED, CEILING, POLLED = 24, 20, 12
"""What the broker is set to allow, our ceiling of it, and how much of that polling may use."""
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def own_nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """Run a server that these tests may take away."""
    with nats_server(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture
async def four(own_nats: EmbeddedNats, simulator: str) -> AsyncIterator[Contenders]:
    """Return four processes' brokers for one account."""
    async with contenders(own_nats, simulator) as made:
        yield made


async def held(four: Contenders) -> tuple[OccSymbol, str]:
    """Buy two contracts and protect them; returns the contract and the OCO."""
    contract = await four.venue.contract()
    await four.venue.filled(contract)
    exits = await four.venue.broker().place(four.venue.exits(contract))
    return contract, exits.id


async def close(four: Contenders, contract: OccSymbol, exits_id: str, process: int = 0) -> None:
    """Cancel the exits, see them gone, sell, see it filled: all of a close, its confirming reads included."""
    broker = four.broker(process, Priority.EXIT)
    await broker.cancel(exits_id)

    async def order(order_id: str) -> OrderReport | None:
        report = await broker.order(order_id)
        return report if report.is_terminal else None

    gone = await eventually(lambda: order(exits_id), every_s=0.1)
    assert gone is not None
    assert gone.status is OrderStatus.CANCELLED
    sell = OptionOrder(
        occ_symbol=str(contract),
        underlying=contract.root,
        side=OrderSide.SELL_TO_CLOSE,
        qty=2,
        type=OrderType.MARKET,
        duration=Duration.DAY,
        tag=four.venue.tag(),
        price=None,
    )
    sold = await broker.place(sell)
    done = await eventually(lambda: order(sold.id), every_s=0.1)
    assert done is not None
    assert done.status is OrderStatus.FILLED


async def test_four_processes_never_pass_the_ceiling_nor_hear_429(four: Contenders) -> None:
    await four.rates(standard=ALLOWED)
    answered = await asyncio.gather(*(four.poll(process, 20) for process in range(4)))
    assert sum(answered) == POLLED - 1
    exits = four.broker(2, Priority.EXIT)
    for _ in range(CEILING - POLLED):
        await exits.balances()
    assert four.most_used(RateClass.STANDARD) == CEILING
    assert min(reading.available for _, reading in four.readings) == ALLOWED - CEILING


async def test_a_close_goes_out_while_polling_is_starved(four: Contenders) -> None:
    contract, exits_id = await held(four)
    # What the venue did outside the budget counts at the broker all the same.
    await four.rates(standard=60, trading=ALLOWED)
    await four.starve()
    with pytest.raises(UpstreamUnavailable, match="used up"):
        await four.broker(1, Priority.POLL).balances()
    async with asyncio.timeout(8):
        await close(four, contract, exits_id)
    assert four.most_used(RateClass.STANDARD) <= 50
    assert four.most_used(RateClass.TRADING) <= CEILING


async def test_a_close_goes_out_with_nats_away_and_entries_and_polls_are_refused(
    four: Contenders, own_nats: EmbeddedNats
) -> None:
    contract, exits_id = await held(four)
    await four.rates(standard=60, trading=60)
    own_nats.stop()
    try:
        await eventually(lambda: not any(bus.connected for bus in four.buses), within_s=10.0)
        for priority in (Priority.ENTRY, Priority.POLL):
            with pytest.raises(UpstreamUnavailable, match="cannot be reached") as refused:
                await four.broker(1, priority).balances()
            assert refused.value.extra["retry_after_s"] > 0
        with pytest.raises(UpstreamUnavailable, match="cannot be reached"):
            await four.broker(0, Priority.ENTRY).place(four.venue.entry(contract))
        async with asyncio.timeout(8):
            await close(four, contract, exits_id, process=3)
    finally:
        own_nats.start()
    await four.connected()
    assert await four.poll(1, 1) == 1


async def test_with_nats_frozen_an_exit_waits_a_moment_only(four: Contenders, own_nats: EmbeddedNats) -> None:
    await four.rates(standard=60)
    assert own_nats.child is not None
    os.kill(own_nats.child.pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(1.5):
            await four.broker(1, Priority.EXIT).balances()
        async with asyncio.timeout(0.5):
            await four.broker(1, Priority.EXIT).balances()
        with pytest.raises(UpstreamUnavailable):
            await four.broker(2, Priority.POLL).balances()
    finally:
        os.kill(own_nats.child.pid, signal.SIGCONT)
    await four.connected()
    await eventually(lambda: four.poll(2, 1), within_s=10.0, every_s=0.2)


async def test_a_lost_bucket_comes_back_with_what_was_used(four: Contenders, own_nats: EmbeddedNats) -> None:
    await four.rates(standard=ALLOWED)
    await four.starve()
    assert four.most_used(RateClass.STANDARD) == POLLED
    restart(own_nats, emptied=True)
    await four.connected()
    answered = await asyncio.gather(*(four.poll(process, 10) for process in range(4)))
    assert sum(answered) == 0
    await four.broker(3, Priority.EXIT).balances()
    assert four.most_used(RateClass.STANDARD) == POLLED + 1


async def test_the_next_window_is_granted_anew(own_nats: EmbeddedNats, simulator: str) -> None:
    clock = ManualClock(SystemClock().now())
    async with contenders(own_nats, simulator, clock=clock) as four:
        await four.rates(standard=ALLOWED)
        await four.starve()
        assert await four.poll(0, 1) == 0
        # The broker forgets its minute; ours is over because our clock went on.
        await four.venue.control("reset", {})
        await four.venue.control("toggles", {"rate_standard": ALLOWED})
        clock.advance(61)
        answered = await asyncio.gather(*(four.poll(process, 20) for process in range(4)))
        assert sum(answered) == POLLED


async def test_a_frozen_process_holds_nobody_up(four: Contenders, own_nats: EmbeddedNats) -> None:
    await four.rates(trading=60, standard=60)
    name = token_hash(four.venue.token)
    entries = SharedEntries(Streams(four.buses[0], service="orders"))
    taker = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.budget.taker", own_nats.address, PASSWORD, name, cwd=ROOT
    )

    async def used() -> int:
        window, _ = await entries.read(f"{name}.{RateClass.TRADING}")
        return window.used if window else 0

    try:
        await eventually(used, within_s=20.0)
        taker.send_signal(signal.SIGSTOP)
        before = await used()
        left = 50 - before
        async with asyncio.timeout(5):
            for _ in range(left - 5):
                await four.budgets[1].take(name, RateClass.TRADING, Priority.EXIT)
        assert before < await used() <= 50
    finally:
        taker.kill()
        await taker.wait()


async def test_what_the_broker_allows_is_learned_by_all(four: Contenders) -> None:
    await four.rates(standard=600)
    answered = await asyncio.gather(*(four.poll(process, 30) for process in range(4)))
    assert sum(answered) == 120
    assert four.most_used(RateClass.STANDARD) == 121
