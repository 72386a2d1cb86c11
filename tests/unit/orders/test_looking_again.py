"""Who looks again, and until when: holdings without exits, entries that are sent once more, alarms that go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from libs.common.messages.vocabulary import CloseReason, EntryType, Finding, OrderRole, OrderStatus, Protection
from services.orders import concerns, deciding, lifecycle, repairing
from services.orders.contract import Beside
from services.orders.plan import is_running, next_step
from services.orders.repairing import Standing
from services.orders.steps import GiveUpEntry, LookAgain, Moment, ResendEntry, Wait
from services.orders.trade import Action, ActionKind, ActionState, View
from tests.unit.orders.test_repairing import known, looked, resting, sale
from tests.unit.orders.views import NOW, a_report, a_view, filled, protected, working

LATER = NOW + timedelta(seconds=60)
NUMBERS = count(1)


def new_id() -> str:
    return f"id-{next(NUMBERS):08d}"


# ── holdings without exits ───────────────────────────────────────────────────────────────────────────────────────────


def bare() -> View:
    return filled(a_view(sl_price=None, tp_price=None))


def test_a_holding_without_exits_is_looked_at_again_while_somebody_else_offers_it() -> None:
    assert next_step(bare(), Moment(LATER)) == Wait()
    view = known(bare(), looked(2, resting()))
    assert (view.trade.foreign_exit, view.trade.protection) == ("other", Protection.NONE)
    assert next_step(view, Moment(LATER)) == LookAgain()
    assert not is_running(view, Moment(LATER))
    assert repairing.standing(view, Finding.VANISHED, view.key_version, is_running=False) is Standing.STARTED
    gone = known(view, looked(2))
    assert (gone.trade.foreign_exit, next_step(gone, Moment(LATER))) == (None, Wait())
    over = known(view, looked(0, sale()))
    assert (over.trade.close_reason, over.held_qty) == (CloseReason.CLOSED_AT_BROKER, 0)


def test_a_holding_without_exits_is_looked_at_again_while_the_broker_shows_less_of_it() -> None:
    view = known(bare(), looked(1))
    assert (view.trade.shown_qty, next_step(view, Moment(LATER))) == (1, LookAgain())
    assert next_step(known(view, looked(2)), Moment(LATER)) == Wait()


def test_what_other_trades_took_since_the_look_is_not_taken_again() -> None:
    before = looked(0, sale(), beside=Beside(held_qty=2, ours=frozenset({"1"})))
    stale = known(bare(), before)
    assert stale.trade.is_locked
    now = Beside(held_qty=0, ours=frozenset({"1"}), explained=(("700", 2),))
    assert not known(bare(), before.beside_of(now)).trade.is_locked
    bought = before.beside_of(Beside(held_qty=5))
    assert bought.beside.held_qty == 2, "what was bought since is not in the positions that were read"


# ── alarms ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_naked_alarm_goes_on_while_an_adjust_has_no_exit_resting() -> None:
    late = Moment(NOW + timedelta(seconds=30))
    view = filled()
    (raised,) = concerns.changes(view, late)
    view = replace(view, concerns=(raised.concern,))
    adjust = Action(
        id="a1",
        trade_id="t1",
        username="ann",
        kind=ActionKind.ADJUST,
        state=ActionState.RUNNING,
        new_sl=Decimal("2.80"),
        new_tp=Decimal("7.00"),
        created_at=late.now,
        begun_at=late.now,
    )
    running = lifecycle.settled(view.with_action(adjust), late.now)
    assert running.trade.protection is Protection.PENDING
    assert concerns.changes(running, late) == ()
    rests = replace(protected(), concerns=(raised.concern,))
    (ended,) = concerns.changes(rests, late)
    assert ended.ended_at == late.now


# ── entries that are sent once more ──────────────────────────────────────────────────────────────────────────────────


def refused_for_its_tick() -> View:
    view = working(a_view(occ_symbol="AAPL261218C00100000", entry_type=EntryType.LIMIT, limit_price=Decimal("3.93")))
    order = view.entry_orders[0]
    report = a_report(order, OrderStatus.REJECTED, reason="OrderPriceIsInvalid")
    return lifecycle.applied(view, (report,), NOW)


def replaced_group() -> View:
    view = working(a_view(as_group=True, entry_type=EntryType.LIMIT, limit_price=Decimal("3.90")))
    view = lifecycle.cancel_asked(lifecycle.repriced(view, Decimal("2.80"), Decimal("7.00"), NOW), "100", NOW)
    return lifecycle.applied(view, tuple(a_report(o, OrderStatus.CANCELLED) for o in view.orders), NOW)


@pytest.mark.parametrize("begun", [refused_for_its_tick, replaced_group])
def test_an_entry_that_could_not_be_sent_once_more_in_time_is_never_sent(begun: Callable[[], View]) -> None:
    view = begun()
    price = Decimal("3.90")
    assert next_step(view, Moment(NOW + timedelta(seconds=9))) == ResendEntry(price)
    late = Moment(NOW + timedelta(seconds=10))
    assert next_step(view, late) == GiveUpEntry(price)
    after = deciding.decided(view, GiveUpEntry(price), late, new_id=new_id, new_tag=lambda: "bk-again")
    assert (after.trade.close_reason, after.trade.reason) == (CloseReason.CANCELLED, "never sent")
    again = [order for order in after.orders if order.tag == "bk-again"]
    assert {order.status for order in again} == {OrderStatus.CANCELLED}
    assert OrderRole.ENTRY in {order.role for order in again}
    assert next_step(after, late) == Wait()
