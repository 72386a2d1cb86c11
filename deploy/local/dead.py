"""`./bookend dead`: the dead letters of the stack that runs here. What is done with them is `deploy.nats.dead`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from deploy.local.layout import Layout
from deploy.local.problem import StackProblem
from deploy.local.state import alive, load_state
from deploy.nats import dead


def show_or_replay(layout: Layout, letter_id: int | None, say: Callable[[str], None]) -> int:
    """List the letters of the stack that runs with this data, or replay one; returns the exit code."""
    state = load_state(layout)
    if state is None or not alive(state.launcher):
        raise StackProblem("dead", "the stack is not running", "start it first with ./bookend up --detach")
    try:
        return asyncio.run(dead.show_or_replay(state.nats_url, letter_id, say))
    except dead.LetterProblem as problem:
        raise StackProblem("dead", problem.why, problem.advice) from None
