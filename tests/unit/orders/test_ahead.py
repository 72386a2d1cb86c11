"""What is asked before it is decided: it counts only for what it was asked for, and only while nothing executed."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.common.clock import ManualClock
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus
from services.orders import asking, closing, lifecycle
from services.orders.ahead import Ahead
from services.orders.deps import Deps
from services.orders.plan import once_cancelled
from services.orders.steps import Moment, Outcome, PlaceBracket, PlaceSell, Read, Waits
from services.orders.trade import ActionState, View
from tests.unit.orders.views import NOW, protected

SELL = PlaceSell()
GROUP = "bk-oco"


def asked_to_close(reason: CloseReason = CloseReason.MANUAL_CLOSE) -> View:
    view = asking.with_close(protected(), action_id="a1", reason=reason, state=ActionState.RUNNING, now=NOW)
    return lifecycle.cancel_asked(view, GROUP, NOW)


def partly_sold(view: View) -> View:
    [stop] = [order for order in view.orders if order.role is OrderRole.STOP_LOSS]
    return view.with_order(replace(stop, filled_qty=1))


class House:
    """Stands for the parts of `Deps` that reading ahead needs."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.settings = SimpleNamespace(order_waits=Waits(guess_s=1.0))
        self.ahead = Ahead(cast("Deps", self))

    def spawn(self, work: Coroutine[Any, Any, Any], _view: View) -> asyncio.Task[Any]:
        return asyncio.create_task(work)


async def answer(**changes: Any) -> Outcome:
    return Outcome(lambda view, _: view, **changes)


async def guessed(house: House, view: View, **changes: Any) -> None:
    house.ahead.guess(SELL, answer(**changes), view)
    await house.ahead.guessed(1.0)


# ── what is guessed ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_confirmed_cancel_of_the_exits_is_followed_by_the_sale_or_by_the_new_exits() -> None:
    moment = Moment(NOW)
    assert once_cancelled(asked_to_close(), GROUP, moment) == SELL
    adjusting = asking.with_adjust(
        protected(), action_id="a1", sl=protected().trade.sl_price, tp=None, state=ActionState.RUNNING, now=NOW
    )
    step = once_cancelled(lifecycle.cancel_asked(adjusting, GROUP, NOW), GROUP, moment)
    assert step == PlaceBracket(protected().trade.sl_price, None)


def test_nothing_is_guessed_while_another_order_still_works() -> None:
    view = asked_to_close()
    [target] = [order for order in view.orders if order.role is OrderRole.TAKE_PROFIT]
    apart = view.with_order(replace(target, group_order_id="another"))
    assert once_cancelled(apart, GROUP, Moment(NOW)) is None


def test_nothing_is_guessed_of_a_sale_that_the_broker_refused_before() -> None:
    view = asked_to_close()
    [stop] = [order for order in view.orders if order.role is OrderRole.STOP_LOSS]
    refused = replace(stop, id="o-sale", role=OrderRole.CLOSE, tag="bk-sale", status=OrderStatus.REJECTED)
    assert once_cancelled(replace(view, orders=(*view.orders, refused)), GROUP, Moment(NOW)) is None


def test_what_the_kill_switch_cancels_is_confirmed_by_a_list() -> None:
    assert closing.reads_a_list(asked_to_close(CloseReason.KILL_SWITCH))
    assert not closing.reads_a_list(asked_to_close())
    assert not closing.reads_a_list(protected())


# ── what a guess is worth ────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_guess_counts_once_for_the_step_it_was_made_of() -> None:
    house, view = House(), asked_to_close()
    await guessed(house, view)
    assert house.ahead.known(PlaceBracket(None, None), view) is None
    assert house.ahead.known(SELL, view) is not None
    assert house.ahead.known(SELL, view) is None


async def test_a_guess_is_worth_nothing_once_something_was_executed_or_sent_since() -> None:
    house, view = House(), asked_to_close()
    await guessed(house, view)
    assert house.ahead.known(SELL, partly_sold(view)) is None
    more = replace(view, orders=(*view.orders, replace(view.orders[-1], id="o-another")))
    assert house.ahead.known(SELL, more) is None
    assert await house.ahead.outcome(SELL, partly_sold(view)) is None


async def test_a_guess_grows_old() -> None:
    house, view = House(), asked_to_close()
    await guessed(house, view)
    house.clock.advance(timedelta(seconds=1.1))
    assert house.ahead.known(SELL, view) is None
    assert await house.ahead.outcome(SELL, view) is None


@pytest.mark.parametrize("changes", [{"pause_s": 1.0}, {"among": lambda _: None}])
async def test_an_answer_that_needs_more_than_the_trade_is_taken_by_a_turn_of_its_own(changes: dict[str, Any]) -> None:
    house, view = House(), asked_to_close()
    await guessed(house, view, **changes)
    assert house.ahead.known(SELL, view) is None
    assert await house.ahead.outcome(SELL, view) is not None


async def test_a_guess_outlives_reads_that_do_not_confirm_and_is_let_go_with_the_flow() -> None:
    house, view = House(), asked_to_close()
    gate = asyncio.Event()

    async def slow() -> Outcome:
        await gate.wait()
        return await answer()

    house.ahead.guess(SELL, slow(), view)
    house.ahead.begin(Read(GROUP), answer(), view)
    assert house.ahead.has(SELL, view)
    assert await house.ahead.outcome(Read(GROUP), view) is not None
    assert house.ahead.known(SELL, view) is None
    gate.set()
    await house.ahead.guessed(1.0)
    assert house.ahead.known(SELL, view) is not None
    house.ahead.guess(SELL, slow(), view)
    house.ahead.let_go()
    assert not house.ahead.has(SELL, view)
