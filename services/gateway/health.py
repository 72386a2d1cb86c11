"""The state of the house: every service asked at once, none waited for long, silence told as such."""

from __future__ import annotations

import asyncio
from typing import TypeVar

from pydantic import ValidationError

from libs.common import log
from libs.common.errors import AppError
from libs.common.messages.base import Query
from libs.common.messages.forensics import GetForensicsStatus
from libs.common.messages.monitor import GetMonitorStatus
from libs.common.messages.orders import GetOrdersStatus
from libs.common.messages.pricing import GetMarketStatus, GetPricingStatus
from libs.common.messages.vocabulary import Severity
from libs.market.session import MarketState
from services.gateway.caller import Caller
from services.gateway.models_base import Answer
from services.gateway.models_market import MarketStatus
from services.gateway.models_system import Banner, ServiceLine, SystemStatus, Told

_log = log.get(__name__)

A = TypeVar("A", bound=Answer)

ASKED: dict[str, Query] = {
    "orders": GetOrdersStatus(),
    "monitor": GetMonitorStatus(),
    "pricing": GetPricingStatus(),
    "forensics": GetForensicsStatus(),
}
WITHOUT = {
    "orders": "nothing can be placed or closed from here, exits at the broker stay",
    "monitor": "entries that fill get their exits, the rest is noticed once it is back",
    "pricing": "prices do not move",
    "forensics": "results are counted once it is back",
}
LOUDNESS = {Severity.CRITICAL: 0, Severity.ERROR: 1, Severity.WARNING: 2, Severity.INFO: 3}


async def status(caller: Caller) -> SystemStatus:
    """Merge what every service says. A silent one becomes a line and a banner, never an error."""
    market, told = await asyncio.gather(
        _told(caller, GetMarketStatus(), MarketStatus),
        asyncio.gather(*(_told(caller, question, Told) for question in ASKED.values())),
    )
    answers = dict(zip(ASKED, told, strict=True))
    silent = [name for name, answer in answers.items() if answer is None]
    banners = [banner for answer in told if answer for banner in answer.banners]
    return SystemStatus(
        banners=sorted(
            [*_ours(caller, silent), *banners, *_closed(caller, market)], key=lambda banner: LOUDNESS[banner.level]
        ),
        feeds=[feed for answer in told if answer for feed in answer.feeds],
        services=[ServiceLine(name="gateway", ok=True), *(ServiceLine(name=n, ok=n not in silent) for n in answers)],
        market=market,
        page_fallback_s=caller.deps.settings.page_fallback_s,
    )


def _closed(caller: Caller, market: MarketStatus | None) -> list[Banner]:
    """Say that the market is closed, and since when: by its calendar, or as this process saw it while it is held."""
    if market is None:
        return []
    deps = caller.deps
    seen = deps.outages.note("market", deps.clock.now(), is_away=market.state != MarketState.OPEN)
    if seen is None:
        return []
    text = "The market is closed. Closes and moved exits wait for the open; brackets keep resting at the broker."
    return [Banner(code="market_closed", level=Severity.INFO, text=text, since=market.since or seen)]


def _ours(caller: Caller, silent: list[str]) -> list[Banner]:
    """Say what the gateway itself misses."""
    deps = caller.deps
    now = deps.clock.now()
    since = deps.outages.note("bus", now, is_away=not deps.bus.connected)
    if since is not None:
        text = "The message bus is away: nothing can be placed or closed from here. Exits at the broker stay."
        return [Banner(code="bus_unavailable", level=Severity.ERROR, text=text, since=since)]
    banners = []
    for name in ASKED:
        since = deps.outages.note(name, now, is_away=name in silent)
        if since is not None:
            text = f"{name.capitalize()} does not answer. What is shown may be old; {WITHOUT[name]}."
            banners.append(Banner(code=f"{name}_unavailable", level=Severity.ERROR, text=text, since=since))
    return banners


async def _told(caller: Caller, question: Query, shape: type[A]) -> A | None:
    """Ask one service. No answer, an error in its place or one that cannot be read is None."""
    try:
        async with asyncio.timeout(caller.deps.settings.status_timeout_s):
            reply = await caller.deps.bus.ask(question, user=caller.username)
        return shape.model_validate_json(reply.body)
    except (AppError, TimeoutError):
        return None
    except ValidationError as error:
        _log.error("status_unreadable", question=type(question).__name__, fields=error.error_count())
        return None
