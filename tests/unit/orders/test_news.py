"""Whether anybody brings news: as monitor answers, and as the bus is there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

from libs.common.bus import Bus
from libs.common.errors import UpstreamUnavailable
from libs.common.messages.monitor import GetMonitorStatus
from libs.common.testing import FakeBus, eventually
from services.orders.news import News

THERE: dict[str, list[object]] = {"banners": [], "feeds": []}


@asynccontextmanager
async def followed(bus: FakeBus) -> AsyncIterator[News]:
    news = News(cast("Bus", bus), every_s=0.001)
    following = asyncio.create_task(news.follow())
    try:
        yield news
    finally:
        following.cancel()


async def test_it_is_away_while_monitor_does_not_answer_and_back_when_it_does() -> None:
    bus = FakeBus({GetMonitorStatus: THERE})
    async with followed(bus) as news:
        assert not news.is_away
        bus.answers[GetMonitorStatus] = UpstreamUnavailable("the database is not reachable")
        await eventually(lambda: news.is_away)
        bus.answers[GetMonitorStatus] = THERE
        await eventually(lambda: not news.is_away)


async def test_it_is_away_with_the_bus_at_once_and_nobody_is_asked_over_none() -> None:
    bus = FakeBus({GetMonitorStatus: THERE})
    async with followed(bus) as news:
        await eventually(lambda: bus.asked)
        bus.connected = False
        assert news.is_away
        bus.connected = True
        await eventually(lambda: not news.is_away)
