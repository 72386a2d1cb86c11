"""What is asked of the broker while the mark before it is still being stored: only reads, which change nothing.

1. Nothing that an early answer says is applied before that mark is stored.
2. An early answer that does not come is asked for again; one that is not needed is let go.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from services.orders.deps import Deps
from services.orders.steps import Outcome, Question, Talk
from services.orders.trade import View


@dataclass(slots=True)
class Ahead:
    """The one step of a flow that was begun early."""

    deps: Deps
    _early: tuple[Question, asyncio.Task[Outcome | None]] | None = None

    def has(self, step: Question) -> bool:
        """Say whether this very step was begun."""
        return self._early is not None and self._early[0] == step

    def begin(self, step: Question, work: Coroutine[Any, Any, Outcome], view: View) -> None:
        """Begin a step that only reads."""
        self.let_go()
        self._early = step, self.deps.spawn(work, view)

    async def outcome(self, step: Talk) -> Outcome | None:
        """Return what came of a step that was begun early; None: it was not, or it failed in our own code."""
        early, self._early = self._early, None
        if early is None or early[0] == step:
            return None if early is None else await early[1]
        early[1].cancel()
        return None

    def let_go(self) -> None:
        """Stop waiting for what nobody needs any more."""
        if self._early is not None:
            self._early[1].cancel()
        self._early = None
