"""Dead letters as the operator has them: listed with their reason, and replayed to readers that drop what they know."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import nats
import pytest
from nats.aio.client import Client

from deploy.local.nats import EmbeddedNats
from deploy.nats import dead
from deploy.nats.dead import LetterProblem
from libs.common.bus import Bus
from libs.common.errors import PoisonMessage
from libs.common.streams import Streams
from libs.common.testing import eventually
from tests.integration.chassis.buses import bus_of, consuming, nats_server
from tests.integration.chassis.test_bus_facts import Desk, on_registered, say

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    folder: Path = tmp_path_factory.mktemp("dead-nats")
    with nats_server(folder) as running:
        yield running


@pytest.fixture
async def publisher(server: EmbeddedNats) -> AsyncIterator[Streams]:
    async with bus_of(server, "gateway") as bus:
        streams = Streams(bus, service="gateway")
        await streams.ensure()
        yield streams


@pytest.fixture
async def orders(server: EmbeddedNats, publisher: Streams) -> AsyncIterator[Bus]:
    async with bus_of(server, "orders") as bus:
        yield bus


@pytest.fixture
async def operator(server: EmbeddedNats, publisher: Streams) -> AsyncIterator[Client]:
    client = await nats.connect(server.url)
    yield client
    await client.close()


async def listed(operator: Client) -> list[str]:
    lines: list[str] = []
    assert await dead.show(operator, lines.append) == 0
    return lines


async def buried(operator: Client, user: str) -> dead.Letter:
    async def there() -> dead.Letter | None:
        found = [one for one in await dead.letters(operator.jetstream()) if f".{user}." in one.subject]
        return found[0] if found else None

    found = await eventually(there)
    assert found is not None
    return found


async def test_a_letter_whose_cause_is_gone_is_taken_and_leaves_the_list(
    publisher: Streams, orders: Bus, operator: Client
) -> None:
    desk = Desk()
    desk.troubles["bob"] = [PoisonMessage("an unknown word")]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "bob")
        letter = await buried(operator, "bob")
        assert any("an unknown word" in line and "orders-users" in line for line in await listed(operator))
        said: list[str] = []
        assert await dead.replay(operator, letter.id, said.append) == 0
        assert said[-1] == f"orders-users took it; {letter.id} left the list"
        assert desk.users() == ["bob", "bob"]
        assert await listed(operator) == ["no dead letters"]
        with pytest.raises(LetterProblem, match=f"there is no dead letter {letter.id}"):
            await dead.replay(operator, letter.id, said.append)


async def test_a_letter_that_fails_again_is_put_aside_anew_and_says_so(
    publisher: Streams, orders: Bus, operator: Client
) -> None:
    desk = Desk()
    desk.troubles["eve"] = [PoisonMessage("first"), PoisonMessage("second")]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "eve")
        letter = await buried(operator, "eve")
        said: list[str] = []
        assert await dead.replay(operator, letter.id, said.append) == 1
        again = await buried(operator, "eve")
        assert again.id != letter.id
        assert said[-1] == f"orders-users put it aside again, as {again.id}: poison_message: second"
        await dead.replay(operator, again.id, said.append)


async def test_a_replay_that_is_killed_after_publishing_is_repeated_and_changes_nothing_more(
    publisher: Streams, orders: Bus, operator: Client
) -> None:
    desk = Desk()
    desk.troubles["ida"] = [PoisonMessage("once")]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "ida")
        letter = await buried(operator, "ida")

        def killed(line: str) -> None:
            raise asyncio.CancelledError(line)

        with pytest.raises(asyncio.CancelledError):
            await dead.replay(operator, letter.id, killed)
        await eventually(lambda: desk.users() == ["ida", "ida"])
        assert (await buried(operator, "ida")).id == letter.id, "it stays until somebody saw it taken"
        assert await dead.replay(operator, letter.id, lambda _: None) == 0
        assert await listed(operator) == ["no dead letters"]


async def test_while_its_reader_is_away_a_letter_stays(
    publisher: Streams, orders: Bus, operator: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    desk.troubles["kim"] = [PoisonMessage("once")]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "kim")
        letter = await buried(operator, "kim")
    monkeypatch.setattr(dead, "TAKEN_WITHIN_S", 0.3)
    with pytest.raises(LetterProblem, match="has not taken it yet"):
        await dead.replay(operator, letter.id, lambda _: None)
    assert (await buried(operator, "kim")).id == letter.id


async def test_an_operator_without_a_launcher_sees_the_same_letters(
    server: EmbeddedNats, operator: Client, publisher: Streams, orders: Bus, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = Desk()
    desk.troubles["far"] = [PoisonMessage("an unknown word")]
    async with consuming(orders, on_registered, deps=desk):
        await say(publisher, "far")
        letter = await buried(operator, "far")
    address = urlsplit(server.url)
    told = {"NATS_URL": f"nats://{address.hostname}:{address.port}", "NATS_ADMIN_PASSWORD": address.password or ""}
    assert await asyncio.to_thread(dead.main, ["list"], told) == 0
    assert letter.line() in capsys.readouterr().out
    assert await asyncio.to_thread(dead.main, ["replay", "999999"], told) == 1
    assert "there is no dead letter 999999" in capsys.readouterr().err
    assert await asyncio.to_thread(dead.main, ["list"], told | {"NATS_URL": "nats://127.0.0.1:1"}) == 1
    assert "NATS does not answer" in capsys.readouterr().err
    assert await asyncio.to_thread(dead.main, ["list"], {}) == 2
