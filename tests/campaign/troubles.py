"""Carries out troubles on a whole stack, and takes all of them back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import nats
import nats.errors
from nats.js import JetStreamContext

from libs.common.messages.durables import EVENTS
from tests.campaign.asking import Ledger
from tests.campaign.hours import moved
from tests.campaign.script import Trouble
from tests.campaign.switches import Switches
from tests.faults.outage import state_of
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import eventually

TOLD_AGAIN = 40
"""How many of the last facts are told once more, twice each, newest first."""


@dataclass
class Mischief:
    """Makes trouble in the order of the script; `counted` says how much of what kind there was."""

    stack: Stack
    world: Simulator
    ledger: Ledger
    nats_url: str
    remember: Callable[[], None]
    """Asks the broker for what it forgets when it dies: the requests that came in."""
    switches: Switches
    counted: Counter[str] = field(default_factory=Counter)
    calm: dict[str, Any] = field(default_factory=dict)
    """How the broker behaves when it is left in peace."""
    _frozen: dict[int, float] = field(default_factory=dict)

    def make(self, troubles: tuple[Trouble, ...], over: threading.Event) -> None:
        """Make a chapter's troubles, each at its time, until the chapter is over."""
        began = time.monotonic()
        for trouble in troubles:
            while (left_s := began + trouble.at_s - time.monotonic()) > 0:
                if over.wait(min(left_s, 0.2)):
                    return
                self._thaw(time.monotonic())
                self.switches.release_due(time.monotonic())
            self.make_one(trouble)

    def make_one(self, trouble: Trouble) -> None:
        """Make one trouble; what cannot be done just now, because another one is at work, is left out."""
        try:
            DOERS[trouble.kind](self, trouble)
        except (httpx.HTTPError, OSError, nats.errors.Error, KeyError) as error:
            self.ledger.say(f"trouble {trouble.kind} {trouble.what} could not be made: {error!r}")
            return
        self.counted[f"{trouble.kind} {trouble.what}"] += 1
        self.ledger.say(f"trouble {trouble.kind} {trouble.what} {trouble.terms}")

    def take_back(self) -> None:
        """Let everything run, and the broker behave as it did at first."""
        self._thaw(float("inf"))
        for act in (self.world.forget_faults, lambda: self.world.toggle(**self.calm)):
            with contextlib.suppress(httpx.HTTPError):
                act()

    def set_clock(self, step: str) -> None:
        """Move market time; a broker that is just being killed is waited for."""
        told: dict[str, str] = {}

        def is_set() -> bool:
            told.update(moved(step, datetime.fromisoformat(self.world.clock()["now"])))
            self.world.set_clock(**told)
            return True

        assert eventually(is_set, 20), f"market time could not be set to {step}"
        self.ledger.say(f"market time: {step} {told}")

    def freeze(self, part: str, seconds: float) -> None:
        """Stop a process where it stands, for a while."""
        pid = self._pid(part)
        os.kill(pid, signal.SIGSTOP)
        self._frozen[pid] = time.monotonic() + seconds

    def kill(self, part: str) -> None:
        """Kill a part without warning; its launcher starts it again."""
        os.kill(self._pid(part), signal.SIGKILL)

    def _pid(self, part: str) -> int:
        return int(state_of(self.stack)["parts"][part]["pid"])

    def _thaw(self, now: float) -> None:
        for pid in [pid for pid, until in self._frozen.items() if until <= now]:
            del self._frozen[pid]
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _fault(one: Mischief, trouble: Trouble) -> None:
    one.world.fault(trouble.what, **trouble.terms)


def _stream_fault(one: Mischief, trouble: Trouble) -> None:
    one.world.fault(trouble.what, method="GET", path=".*", times=trouble.terms["times"])


def _toggle(one: Mischief, trouble: Trouble) -> None:
    one.world.toggle(**{trouble.what: trouble.terms["value"]})


def _kill(one: Mischief, trouble: Trouble) -> None:
    if trouble.what == "simulator":
        one.remember()
    one.kill(trouble.what)


def _freeze(one: Mischief, trouble: Trouble) -> None:
    one.freeze(trouble.what, trouble.terms["seconds"])


def _kill_switch(one: Mischief, trouble: Trouble) -> None:
    one.switches.engage(int(trouble.what), trouble.terms["seconds"])


def _told_again(one: Mischief, trouble: Trouble) -> None:
    asyncio.run(_with_streams(one.nats_url, _tell_again))


def _forgotten(one: Mischief, trouble: Trouble) -> None:
    """Drop every fact that is on the bus, those that nobody has read yet among them, and who reads them."""
    asyncio.run(_with_streams(one.nats_url, _forget))


async def _with_streams(url: str, act: Callable[[JetStreamContext], Awaitable[object]]) -> None:
    client = await nats.connect(url, allow_reconnect=False, connect_timeout=2)
    try:
        await act(client.jetstream(timeout=2))
    finally:
        await client.close()


async def _forget(streams: JetStreamContext) -> None:
    await streams.delete_stream(EVENTS)


async def _tell_again(streams: JetStreamContext) -> None:
    state = (await streams.stream_info(EVENTS)).state
    for sequence in range(state.last_seq, max(state.first_seq, state.last_seq - TOLD_AGAIN) - 1, -1):
        message = await streams.get_msg(EVENTS, sequence)
        for _ in range(2):
            await streams.publish(str(message.subject), message.data or b"")


def _clock(one: Mischief, trouble: Trouble) -> None:
    one.set_clock(trouble.what)


DOERS: dict[str, Callable[[Mischief, Trouble], None]] = {
    "write_fault": _fault,
    "place_fault": _fault,
    "read_fault": _fault,
    "list_fault": _fault,
    "stream_fault": _stream_fault,
    "toggle": _toggle,
    "kill": _kill,
    "server": _kill,
    "freeze": _freeze,
    "told_again": _told_again,
    "forgotten": _forgotten,
    "clock": _clock,
    "kill_switch": _kill_switch,
}
