"""What trades are worth: every new mark of a ticker applied to all users' trades in one statement."""

from __future__ import annotations

from libs.common.errors import UpstreamUnavailable
from libs.common.handlers import hears
from libs.common.messages.orders import PriceMark, Prices
from libs.common.messages.pricing import Marks
from services.orders import store_marks
from services.orders.deps import Deps


@hears(Marks)
async def on_marks(tick: Marks, token: str, deps: Deps) -> None:
    """Apply one ticker's marks and tell each user what changed. A mark older than the one stored is dropped."""
    async with deps.db.for_worker() as unit:
        changed = await store_marks.apply(unit, tick)
    by_user: dict[str, list[PriceMark]] = {}
    for username, mark in changed:
        by_user.setdefault(username, []).append(mark)
    for username, marks in by_user.items():
        try:
            await deps.bus.tick(Prices(prices=tuple(marks)), username)
        except UpstreamUnavailable:
            return
