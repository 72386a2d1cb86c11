"""Signals among the dead letters: listed, handed out again, and never placed or lost by that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import nats
import orjson
import pytest
from nats.aio.client import Client

from deploy.local.nats import EmbeddedNats
from deploy.nats import dead
from deploy.nats.dead import LetterProblem
from libs.common.bus import Bus
from libs.common.errors import PoisonMessage
from libs.common.handlers import Raw, receive
from libs.common.messages.durables import SIGNALS
from libs.common.messages.signals import signal_subject
from libs.common.streams import Streams
from libs.common.testing import eventually
from services.orders.handlers_signals import MOST_LETTERS, on_signal
from tests.integration.chassis.buses import bus_of, consuming, nats_server
from tests.integration.orders.bots import BOT, entries, outcomes, rows_of, signal, until
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    folder: Path = tmp_path_factory.mktemp("dead-signals")
    with nats_server(folder) as running:
        yield running


@pytest.fixture
async def orders(server: EmbeddedNats) -> AsyncIterator[Bus]:
    async with bus_of(server, "orders") as bus:
        await Streams(bus, service="orders").ensure()
        yield bus


@pytest.fixture
async def operator(server: EmbeddedNats, orders: Bus) -> AsyncIterator[Client]:
    client = await nats.connect(server.url)
    yield client
    await client.close()


@receive(durable="orders-signals")
async def flawed(raw: Raw, deps: House) -> None:
    raise PoisonMessage("a flaw of ours")


@receive(durable="orders-signals")
async def taken(raw: Raw, deps: House) -> None:
    """Make room."""


async def lies_dead(operator: Client, house: House) -> dead.Letter:
    async def there() -> dead.Letter | None:
        found = [one for one in await dead.letters(operator.jetstream()) if f".{house.user}." in one.subject]
        return found[0] if found else None

    found = await eventually(there)
    assert found is not None
    return found


async def waiting(operator: Client) -> int:
    """Count what still lies in the queue."""
    return (await operator.jetstream().stream_info(SIGNALS)).state.messages


async def publish(operator: Client, house: House, raw: bytes) -> None:
    ack = await operator.jetstream().publish(signal_subject(house.user, BOT), raw)
    assert ack.stream == SIGNALS


async def test_a_signal_that_cannot_be_read_is_refused_again_whenever_it_is_replayed(
    house: House, orders: Bus, operator: Client
) -> None:
    async with consuming(orders, on_signal, deps=house.deps):
        await publish(operator, house, b'{"signal_id": "s1", "v": 7}')
        first = await lies_dead(operator, house)
        assert (first.durable, first.reason) == ("orders-signals", "poison_message")
        lines: list[str] = []
        await dead.show(operator, lines.append)
        assert any(f"signals.{house.user}.{BOT}" in line and "cannot be read" in line for line in lines)
        said: list[str] = []
        assert await dead.replay(operator, first.id, said.append) == 1
        again = await lies_dead(operator, house)
        assert (again.id > first.id, again.data) == (True, first.data)
        assert said[-1].startswith(f"orders-signals put it aside again, as {again.id}: poison_message")
        await eventually(lambda: _is_empty(operator))
        assert [one.id for one in await dead.letters(operator.jetstream())] == [again.id], (
            "put aside once, not for ever"
        )
    told = await outcomes(house)
    assert [(topic, data["code"], data["signal_id"]) for topic, data in told] == 2 * [
        ("signal_rejected", "invalid_input", "s1")
    ]
    assert await entries(house) == []


async def _is_empty(operator: Client) -> bool:
    return not await waiting(operator)


async def test_a_signal_that_was_put_aside_for_a_flaw_of_ours_is_placed_once_when_it_is_replayed_in_time(
    house: House, orders: Bus, operator: Client
) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house)
    async with consuming(orders, flawed, deps=house):
        await publish(operator, house, orjson.dumps(body))
        letter = await lies_dead(operator, house)
    async with consuming(orders, on_signal, deps=house.deps):

        def killed(line: str) -> None:
            raise KeyboardInterrupt(line)

        with pytest.raises(KeyboardInterrupt):
            await dead.replay(operator, letter.id, killed)
        said: list[str] = []
        assert await dead.replay(operator, letter.id, said.append) == 0
        assert said[-1] == f"orders-signals took it; {letter.id} left the list"
        (row,) = await rows_of(house)
        await until(house, row["id"], state="accepted")
        assert len(await entries(house)) == 1


async def test_a_signal_that_is_replayed_too_late_is_told_so_and_is_no_trade(
    house: House, orders: Bus, operator: Client
) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house, expires_at="2026-01-02T15:00:00Z")
    async with consuming(orders, flawed, deps=house):
        await publish(operator, house, orjson.dumps(body))
        letter = await lies_dead(operator, house)
    async with consuming(orders, on_signal, deps=house.deps):
        assert await dead.replay(operator, letter.id, lambda _: None) == 0
    ((topic, told),) = await outcomes(house)
    assert (topic, told["code"], told["signal_id"]) == ("signal_rejected", "expired", body["signal_id"])
    assert await entries(house) == []


async def test_where_too_many_of_the_bots_signals_wait_a_letter_stays_and_says_why(
    house: House, orders: Bus, operator: Client
) -> None:
    async with consuming(orders, flawed, deps=house):
        await publish(operator, house, b"{}")
        letter = await lies_dead(operator, house)
    for _ in range(256):
        await publish(operator, house, b"{}")
    with pytest.raises(LetterProblem, match="did not take it"):
        await dead.replay(operator, letter.id, lambda _: None)
    assert (await lies_dead(operator, house)).id == letter.id
    async with consuming(orders, taken, deps=house):
        await eventually(lambda: _is_empty(operator))


async def test_of_a_bot_that_cannot_write_only_so_many_letters_a_minute_are_kept_and_all_are_answered(
    house: House,
) -> None:
    kept = 0
    for number in range(MOST_LETTERS + 3):
        try:
            await on_signal(Raw(signal_subject(house.user, BOT), b"{", f"letter-{number}"), house.deps)
        except PoisonMessage:
            kept += 1
    assert kept == MOST_LETTERS
    assert [told["code"] for _, told in await outcomes(house)] == ["invalid_input"] * (MOST_LETTERS + 3)
    with pytest.raises(PoisonMessage):
        await on_signal(Raw(signal_subject("somebody-else", BOT), b"{", "letter-of-another"), house.deps)
