"""What is asked of the broker before it is decided: only reads, which change nothing.

1. Nothing that an early answer says is applied before the mark it follows is stored.
2. An early answer that does not come is asked for again; one that is not needed is let go.
3. A guess counts for the very step that was guessed, while it is fresh and nothing executed since it was asked for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

from services.orders.deps import Deps
from services.orders.steps import Outcome, Question, Talk
from services.orders.trade import View

Executed = frozenset[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class _Guess:
    """The market as it was asked for beside a cancel's confirmation. Time: `begun_s` monotonic."""

    step: Question
    asked: asyncio.Task[Outcome | None]
    executed: Executed
    begun_s: float


@dataclass(slots=True)
class Ahead:
    """What a flow began early: the step that follows, and one guess of what comes after it."""

    deps: Deps
    _early: tuple[Question, asyncio.Task[Outcome | None]] | None = None
    _guess: _Guess | None = field(default=None)

    def has(self, step: Question, view: View) -> bool:
        """Say whether this very step was begun, and counts for the view."""
        return (self._early is not None and self._early[0] == step) or self._is_guessed(step, view)

    def begin(self, step: Question, work: Coroutine[Any, Any, Outcome], view: View) -> None:
        """Begin a step that only reads."""
        self._drop_early()
        self._early = step, self.deps.spawn(work, view)

    def guess(self, step: Question, work: Coroutine[Any, Any, Outcome], view: View) -> None:
        """Begin a step that will follow if nothing executes."""
        self._drop_guess()
        task = self.deps.spawn(work, view)
        self._guess = _Guess(step, task, _executed(view), self.deps.clock.monotonic())

    async def outcome(self, step: Talk, view: View) -> Outcome | None:
        """Return what came of a step that was begun early; None: it was not, or it failed in our own code."""
        early, self._early = self._early, None
        if early is not None and early[0] == step:
            return await early[1]
        if early is not None:
            early[1].cancel()
        guess = self._guess
        if guess is None or not self._is_guessed(step, view):
            return None
        self._guess = None
        return await guess.asked

    async def guessed(self, within_s: float) -> None:
        """Wait a moment for the answer to a guess, which was asked for beside another."""
        if self._guess is not None:
            await asyncio.wait([self._guess.asked], timeout=within_s)

    def known(self, step: Talk, view: View) -> Outcome | None:
        """Return what is known already of a step that was guessed, once, where it only makes an intent."""
        guess = self._guess
        if guess is None or not self._is_guessed(step, view) or not guess.asked.done() or guess.asked.cancelled():
            return None
        outcome = guess.asked.result()
        if outcome is None or outcome.pause_s or outcome.among is not None:
            return None
        self._guess = None
        return outcome

    def let_go(self) -> None:
        """Stop waiting for what nobody needs any more."""
        self._drop_early()
        self._drop_guess()

    def _is_guessed(self, step: Talk, view: View) -> bool:
        guess = self._guess
        if guess is None or guess.step != step or guess.executed != _executed(view):
            return False
        return self.deps.clock.monotonic() - guess.begun_s <= self.deps.settings.order_waits.guess_s

    def _drop_early(self) -> None:
        if self._early is not None:
            self._early[1].cancel()
        self._early = None

    def _drop_guess(self) -> None:
        if self._guess is not None:
            self._guess.asked.cancel()
        self._guess = None


def _executed(view: View) -> Executed:
    return frozenset((order.id, order.filled_qty) for order in view.orders)
