"""How long a write without an answer takes to be settled at the waits of production, by a clock that is only told.

Found, an answer is knowable at once; of what was never placed, once two lists can prove it. Ten seconds later all is
right. Source: order path §1.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.common.messages.vocabulary import CloseReason, Protection, TradeStatus
from services.orders import asking
from services.orders.plan import next_step
from services.orders.steps import Cancel, Send, Step, Wait, Waits
from services.orders.trade import ActionState
from tests.unit.orders.test_machine import Machine

WITHIN_S = 10.0
EVERY_S = 0.05
"""What a step takes, about."""
MOST_ASLEEP_S = 10.2
"""Between two looks at a broker that does not answer."""
REAL = Waits()


class Play(Machine):
    """One trade that is driven, with one of its writes going wrong."""

    def until_rest(self, wrong: type[Step] | None = None, fault: str | None = None) -> float | None:
        """Drive to rest by the waits alone; returns how long that took from the write that went wrong."""
        since = None
        for _ in range(400):
            step = self.upcoming()
            is_it = wrong is not None and isinstance(step, wrong) and since is None
            since = self.clock.monotonic() if is_it else since
            done = self.turn(fault if is_it else None)
            if not isinstance(done, Wait):
                self.pass_time(EVERY_S)
            elif done.until is None:
                return None if since is None else self.clock.monotonic() - since
            else:
                self.pass_time(max((done.until - self.clock.now()).total_seconds(), 0.001))
        raise AssertionError(f"does not come to rest: {self.view}")

    def upcoming(self) -> Step:
        """Return what the next turn does."""
        return next_step(self.view, self.deps.moment())

    def close(self) -> None:
        """Ask for the sale."""
        self.keep(
            asking.with_close(
                asking.acted(self.view),
                action_id=self.new_id(),
                reason=CloseReason.MANUAL_CLOSE,
                state=ActionState.RUNNING,
                now=self.clock.now(),
            )
        )


@pytest.fixture
def play() -> Iterator[Play]:
    """Return a market entry that is an intent."""
    made = Play()
    made.begin(entry="market", qty=2, sl=True, tp=True, release="full_fill")
    yield made
    made.loop.close()


def held(play: Play) -> None:
    play.until_rest()
    assert (play.view.trade.status, play.view.trade.protection) == (TradeStatus.FILLED, Protection.PROTECTED)


@pytest.mark.parametrize(("fault", "proof_s"), [("lost_after", 0.0), ("lost_before", REAL.look_gap_entry_s)])
def test_an_entry_is_settled_in_time(play: Play, fault: str, proof_s: float) -> None:
    took_s = play.until_rest(Send, fault)
    assert took_s is not None
    assert took_s <= proof_s + WITHIN_S
    trade = play.view.trade
    if fault == "lost_after":
        assert (trade.status, trade.protection, play.broker.position) == (TradeStatus.FILLED, Protection.PROTECTED, 2)
    else:
        assert (trade.close_reason, trade.reason, play.broker.position) == (CloseReason.REJECTED, "not_placed", 0)


@pytest.mark.parametrize(("fault", "proof_s"), [("lost_after", 0.0), ("lost_before", REAL.look_gap_exit_s)])
def test_exits_are_settled_in_time(play: Play, fault: str, proof_s: float) -> None:
    while not play.view.trade.filled_qty:
        play.turn()
    took_s = play.until_rest(Send, fault)
    assert took_s is not None
    assert took_s <= proof_s + WITHIN_S
    assert play.view.trade.protection is Protection.PROTECTED
    assert len(play.broker.orders_by_id) == 2


@pytest.mark.parametrize("write", [Cancel, Send])
@pytest.mark.parametrize(("fault", "proof_s"), [("lost_after", 0.0), ("lost_before", REAL.look_gap_exit_s)])
def test_a_close_is_settled_in_time(play: Play, write: type[Step], fault: str, proof_s: float) -> None:
    held(play)
    play.close()
    took_s = play.until_rest(write, fault)
    assert took_s is not None
    assert took_s <= proof_s + WITHIN_S
    assert (play.view.trade.close_reason, play.broker.position) == (CloseReason.MANUAL_CLOSE, 0)
    assert play.broker.cash == Decimal(-40)


@pytest.mark.parametrize("away_s", range(5, 305, 15))
def test_a_broker_that_is_back_after_minutes_is_asked_again_soon(play: Play, away_s: int) -> None:
    while not play.view.trade.filled_qty:
        play.turn()
    play.broker.away_until = play.clock.now() + timedelta(seconds=away_s)
    took_s = play.until_rest(Send, "lost_before")
    assert took_s is not None
    assert took_s - away_s <= MOST_ASLEEP_S + REAL.look_gap_exit_s + REAL.settle_s + 1
    assert play.view.trade.protection is Protection.PROTECTED
