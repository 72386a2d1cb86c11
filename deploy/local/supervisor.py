"""Keeps the parts running: starts them, starts again what dies, stops all of it in the reverse order.

One loop in the main thread does every start, because the kernel ties a child's leash to the thread that started it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from deploy.local.child import Child
from deploy.local.parts import Part, last_words
from deploy.local.problem import StackProblem
from deploy.local.state import PartState, observed

BACK_OFF_S = (0.1, 0.3, 1.0, 1.8)
"""How long a dead part stays down, by how often it died in a row. Never 2 s: a person is waiting."""

HEALTHY_AFTER_S = 60.0
_LOOK_EVERY_S = 0.1
_STARTS_TRIED = 3


@dataclass
class Watched:
    """A part with its life so far."""

    part: Part
    child: Child
    spawned_at_s: float
    restarts: int = 0
    deaths_in_a_row: int = 0
    respawn_at_s: float | None = None


class Supervisor:
    """The running parts of one stack."""

    def __init__(self, say: Callable[[str], None], changed: Callable[[dict[str, PartState]], None]) -> None:
        self._watched: dict[str, Watched] = {}
        self._say = say
        self._changed = changed
        self._stopping = False

    async def start(self, part: Part, *, within_s: float = 60.0) -> None:
        """Start one part and wait until it is ready. Raises: StackProblem."""
        watched = Watched(part, part.spawn(), time.monotonic())
        self._watched[part.name] = watched
        self._tell()
        deadline = time.monotonic() + within_s
        while not await part.ready():
            if watched.deaths_in_a_row >= _STARTS_TRIED:
                raise StackProblem(part.name, f"it ended at once: {last_words(part.log)}", f"read {part.log}")
            if time.monotonic() > deadline:
                why = f"not ready after {within_s:.0f} s: {last_words(part.log, lines=1)}"
                raise StackProblem(part.name, why, f"read {part.log}")
            await asyncio.sleep(0.03)

    async def watch(self) -> None:
        """Start again, for ever, whatever dies."""
        while True:
            for watched in list(self._watched.values()):
                if watched.respawn_at_s is not None:
                    self._respawn_when_due(watched)
                elif watched.child.exit_code is not None:
                    self._note_death(watched)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def stop(self, groups: Iterable[Iterable[str]], *, within_s: float) -> None:
        """Stop the parts, group after group, the members of a group side by side."""
        for names in groups:
            leaving = [self._watched.pop(name) for name in names if name in self._watched]
            for watched in leaving:
                watched.child.ask_to_stop(watched.part.stop_signal)
            deadline = time.monotonic() + within_s
            while time.monotonic() < deadline:
                if all(one.child.exit_code is not None for one in leaving):
                    break
                await asyncio.sleep(0.02)
            for watched in leaving:
                if watched.child.exit_code is None:
                    self._say(f"{watched.part.name} did not stop within {within_s:.0f} s and was killed")
                watched.child.kill()

    def kill_all(self) -> None:
        """End everything at once; data stays consistent, as after a power cut."""
        for watched in self._watched.values():
            watched.child.kill()
        self._watched.clear()

    def pids(self) -> set[int]:
        """Return the pids of the running parts."""
        return {watched.child.pid for watched in self._watched.values()}

    def names(self) -> list[str]:
        """Return the running parts in the order of their start."""
        return list(self._watched)

    def _note_death(self, watched: Watched) -> None:
        now = time.monotonic()
        if now - watched.spawned_at_s > HEALTHY_AFTER_S:
            watched.deaths_in_a_row = 0
        wait_s = BACK_OFF_S[min(watched.deaths_in_a_row, len(BACK_OFF_S) - 1)]
        watched.deaths_in_a_row += 1
        watched.respawn_at_s = now + wait_s
        self._say(f"{watched.part.name} ended (exit code {watched.child.exit_code}); starting it again")

    def _respawn_when_due(self, watched: Watched) -> None:
        if watched.respawn_at_s is None or time.monotonic() < watched.respawn_at_s:
            return
        watched.child.kill()
        try:
            watched.child = watched.part.spawn()
        except StackProblem as problem:
            self._say(f"{watched.part.name}: {problem.why}; trying again")
            watched.respawn_at_s = time.monotonic() + BACK_OFF_S[-1]
            return
        watched.spawned_at_s = time.monotonic()
        watched.respawn_at_s = None
        watched.restarts += 1
        self._tell()

    def _tell(self) -> None:
        self._changed(
            {
                name: observed(one.child.pid, port=one.part.port, restarts=one.restarts)
                for name, one in self._watched.items()
            }
        )
