"""Many bots at a real NATS server: no user's flood keeps another's bot out, and no inbox is two users'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import nats
import orjson
import pytest

from deploy.nats.permissions import inbox_of
from libs.common.messages import bots, durables
from libs.common.testing import eventually
from tests.integration.gateway.house import BOTS_EACH, KNOCKS, House
from tests.integration.gateway.test_bots import bot, key_of, refused

pytestmark = pytest.mark.integration


async def knock(house: House, name: str, key: str) -> asyncio.StreamWriter | None:
    """Come in by hand; None when turned away."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.nats.port)
    login = orjson.dumps({"user": name, "pass": key, "verbose": False, "lang": "test", "version": "1"})
    writer.write(b"CONNECT " + login + b"\r\nPING\r\n")
    await reader.readline()
    if (await asyncio.wait_for(reader.readline(), 10)).startswith(b"PONG"):
        return writer
    writer.close()
    return None


@asynccontextmanager
async def standing(house: House, user: str, key: str, count: int) -> AsyncIterator[list[asyncio.StreamWriter]]:
    """Knock so often at once, each under a bot's name of its own; yield those who are in."""
    found = await asyncio.gather(*(knock(house, f"{user}.bot{number}", key) for number in range(count)))
    inside = [writer for writer in found if writer is not None]
    try:
        yield inside
    finally:
        for writer in inside:
            writer.close()


async def turned_away(house: House, why: str) -> float:
    """Read how many bots were refused so."""
    told = (await house.client().get("/metrics")).text.splitlines()
    return sum(float(line.split()[-1]) for line in told if line.startswith(f'bookend_bot_logins_total{{answer="{why}"'))


async def test_a_users_bots_have_so_many_connections_and_keep_nobody_else_out(house: House) -> None:
    key, _ = await key_of(await house.signed_in("fay"), "signal")
    others, _ = await key_of(await house.signed_in("gus"), "signal")
    async with standing(house, "fay", key, 3 * BOTS_EACH) as inside:
        assert len(inside) == BOTS_EACH
        assert await turned_away(house, "throttled") >= 2 * BOTS_EACH
        async with bot(house, "gus.scan", others) as one:
            assert (await one.publish({"signal_id": "1"}))["stream"] == durables.SIGNALS
        assert await refused(house, "fay.more", key)
        inside[0].close()

        async def comes_in() -> bool:
            writer = await knock(house, "fay.more", key)
            if writer is not None:
                inside.append(writer)
            return writer is not None

        await eventually(comes_in, within_s=10)
        assert await refused(house, "fay.another", key)


async def test_who_comes_back_all_at_once_gets_all_his_places_again(house: House) -> None:
    key, _ = await key_of(await house.signed_in("hal"), "signal")
    for _ in range(2):
        async with standing(house, "hal", key, BOTS_EACH) as inside:
            assert len(inside) == BOTS_EACH
            assert await refused(house, "hal.more", key)
        await eventually(lambda: _is_alone(house, "hal"))


async def _is_alone(house: House, user: str) -> bool:
    return not [name for name in await connected(house) if name.startswith(f"{user}.")]


async def connected(house: House) -> list[str]:
    """List the bots that the server knows."""
    asking = await nats.connect(house.nats.url_of("gateway"), inbox_prefix=inbox_of("gateway").encode())
    try:
        answer = await asking.request(bots.CONNECTIONS, b'{"auth": true}', timeout=5)
    finally:
        await asking.close()
    return [one["authorized_user"] for one in orjson.loads(answer.data)["data"]["connections"]]


async def test_a_key_that_knocks_without_end_is_turned_away_unasked_and_another_comes_in(house: House) -> None:
    key, _ = await key_of(await house.signed_in("ivy"), "read")
    others, _ = await key_of(await house.signed_in("joe"), "signal")
    was = await turned_away(house, "throttled")
    await asyncio.gather(*(knock(house, "ivy.scan", key) for _ in range(KNOCKS + 5)))
    assert await turned_away(house, "throttled") >= was + 5
    async with bot(house, "joe.scan", others):
        pass


async def test_a_user_who_comes_later_gets_the_inboxes_of_his_bots_to_himself(house: House) -> None:
    key, _ = await key_of(await house.signed_in("kim"), "signal")
    async with AsyncExitStack() as stack:
        shared = await stack.enter_async_context(bot(house, "kim.of_scan", key))
        own = await stack.enter_async_context(bot(house, "kim.scan_of", key))
        await shared.listen(f"{bots.inbox('kim', 'of_scan')}.>")
        owner = await house.signed_in("kim_of")
        theirs, _ = await key_of(owner, "signal")
        assert "kim.of_scan" not in await connected(house)
        await eventually(lambda: shared.client.is_closed)
        assert await refused(house, "kim.of_scan", key)
        async with bot(house, "kim_of.scan", theirs) as other:
            assert (await other.publish({}))["stream"] == durables.SIGNALS
        assert shared.heard == []
        assert own.client.is_connected
