"""A flow as a case: what there is before, what is asked or happens, and its right ends."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from libs.common.messages.base import Command
from libs.common.testing import eventually
from tests.integration.orders.house import House


@dataclass
class Play:
    """One performance: the trade it is about, and what was asked."""

    trade_id: str = ""
    command: Command | None = None


Before = Callable[[House], Awaitable[str]]
Ask = Callable[[House, Play], Awaitable[Command]]
Happen = Callable[[House, Play], Awaitable[None]]
End = Callable[[dict[str, Any]], bool]


async def _nothing(house: House) -> str:
    return ""


async def _itself(house: House, play: Play) -> str | None:
    play.trade_id = play.trade_id or await house.only_trade() or ""
    return play.trade_id or None


async def _no_event(house: House, play: Play) -> None:
    """Nothing happens but what is asked."""


@dataclass(frozen=True)
class Flow:
    """One flow. Its begin is a command, or an event at the broker that the world is told of."""

    name: str
    ends: End
    marks: frozenset[str]
    """Those it must pass; a proof that missed one would prove less than it says."""
    before: Before = _nothing
    ask: Ask | None = None
    happens: Happen = _no_event
    """What the market or somebody at the broker does. Idempotent: repeated until the flow is at its end."""
    subject: Callable[[House, Play], Awaitable[str | None]] = _itself
    """The trade that is to end right: the one that was asked for, unless it says otherwise."""
    alone: bool = False
    """It moves the clock, which all cases share: one at a time."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    may_fail: bool = False
    """The caller is told a refusal, and that is right."""

    def __str__(self) -> str:
        """Name it."""
        return self.name

    async def prepare(self, house: House) -> Play:
        """Bring everything to where the flow begins."""
        if self.settings:
            await house.prefer(**self.settings)
        return Play(await self.before(house))

    async def begin(self, house: House, play: Play) -> None:
        """Ask what begins the flow; asking again uses the same key."""
        if self.ask is not None and play.command is None:
            play.command = await self.ask(house, play)
        if play.command is not None:
            await house.ask(play.command)
        await self.happens(house, play)

    async def end(self, house: House, play: Play, within_s: float = 20.0) -> dict[str, Any]:
        """Wait for a right end at which nothing runs any more, and return the trade."""
        ended: list[dict[str, Any]] = []

        async def is_over() -> bool:
            await self.happens(house, play)
            subject = await self.subject(house, play)
            if subject is None:
                return False
            ended[:] = [await house.trade(subject)]
            return self.ends(ended[0]) and await house.is_at_rest(subject)

        try:
            await eventually(is_over, within_s=within_s, every_s=0.05)
        except AssertionError:
            raise AssertionError(f"{self.name} ended as {await told(house, play)}") from None
        return ended[0]


async def told(house: House, play: Play) -> Any:
    """Word where a trade stands and how it came there."""
    if not play.trade_id:
        return "nothing stored"
    row = await house.trade(play.trade_id)
    names = ("status", "protection", "close_reason", "reason", "filled_qty", "sl_price", "tp_price")
    orders = [f"{o['role']} {o['status']} {o['filled_qty']}/{o['qty']}" for o in row["orders"]]
    return {name: row[name] for name in names} | {"orders": orders, "story": await house.story(play.trade_id)}
