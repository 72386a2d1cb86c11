"""Places where cases play side by side: each has a database and a contract of its own, all share one simulator.

One job runner takes up any trade of its database, so two cases in one would drive each other's.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from libs.common.ids import new_id
from libs.common.testing import TestDatabase
from tests.integration.orders.house import House, Wire, a_house, wired

LEASE_S = 8.0
"""Long, so that a busy machine ends no claim; `let_claims_end` ends them."""
LANES = 6

T = TypeVar("T")


@dataclass(frozen=True)
class Lane:
    """One place: for one case at a time, whose user is new."""

    number: int
    database: TestDatabase
    simulator: str
    wire: Wire | None = None
    user: str = ""

    def house(self, **options: Any) -> AbstractAsyncContextManager[House]:
        """Open one process of this lane; several at once are replicas."""
        values: dict[str, Any] = {"user": self.user, "lease_s": LEASE_S, "nth_contract": self.number, "wire": self.wire}
        return a_house(self.database, self.simulator, **values | options)

    def later(self, **options: Any) -> AbstractAsyncContextManager[House]:
        """Open a process that finds the market as it is."""
        return self.house(quote=None, **options)


async def side_by_side(lanes: tuple[Lane, ...], cases: Iterable[T], play: Callable[[Lane, T], Awaitable[None]]) -> None:
    """Play every case, each in a lane that is free, until one goes wrong. Raises: AssertionError that names it."""
    left = iter(list(cases))
    wrong: list[str] = []

    async def worker(lane: Lane) -> None:
        async with wired(lane.simulator) as wire:
            for case in left:
                if wrong:
                    return
                await lane.database.truncate()
                try:
                    await play(replace(lane, wire=wire, user=f"u{new_id()[-10:]}"), case)
                except Exception as error:  # noqa: BLE001 - every case is told of, whatever became of it
                    wrong.append(f"{case}: {_told(error)}")

    async with asyncio.TaskGroup() as tasks:
        for lane in lanes:
            tasks.create_task(worker(lane))
    if wrong:
        raise AssertionError("\n".join(wrong))


def _told(error: BaseException) -> str:
    """Word the first thing that went wrong, and where."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    where = [f"{Path(at.filename).name}:{at.lineno}" for at in traceback.extract_tb(error.__traceback__)[-4:]]
    return f"{type(error).__name__}: {error} ({' '.join(where)})"
