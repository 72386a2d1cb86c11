"""A limit entry sent with its exits: what counts, what is taken down, what is sent again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from libs.broker.orders import Duration as BrokerDuration
from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderType, OtocoOrder
from libs.broker.orders import OrderStatus as Word
from libs.common.messages.vocabulary import (
    CloseReason,
    Duration,
    EntryType,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
)
from services.orders import brackets, evidence, lifecycle
from services.orders.evidence import Seen
from services.orders.plan import next_step
from services.orders.reading import reports_of
from services.orders.steps import Cancel, Moment, PlaceBracket, Read, ResendEntry, Step, Wait
from services.orders.trade import Group, View
from tests.unit.orders.views import NOW, OCC, a_view

STATUS = {
    OrderRole.ENTRY: (OrderSide.BUY_TO_OPEN, OrderType.LIMIT, Decimal("3.90"), None),
    OrderRole.TAKE_PROFIT: (OrderSide.SELL_TO_CLOSE, OrderType.LIMIT, Decimal("6.00"), None),
    OrderRole.STOP_LOSS: (OrderSide.SELL_TO_CLOSE, OrderType.STOP, None, Decimal("3.00")),
}


def group(**changes: object) -> View:
    """Write a limit trade of three whose group is an intent."""
    values = {"qty": 3, "entry_type": EntryType.LIMIT, "limit_price": Decimal("3.90")}
    return a_view(as_group=True, **values | changes)


def sent(view: View | None = None) -> View:
    view = view or group()
    tag = view.entry_orders[-1].tag
    return lifecycle.accepted(lifecycle.sent(view, tag, NOW), tag, "100", NOW)


def shown(
    entry: tuple[Word, int], target: Word, stop: Word, *, after_s: float = 0, reason: str | None = None
) -> OrderReport:
    """Write what the broker shows of the group: the entry's status and fill, and the legs behind it."""
    at = NOW + timedelta(seconds=after_s)
    legs = []
    rows = zip(STATUS.items(), (entry, (target, 0), (stop, 0)), strict=True)
    for number, ((role, (side, kind, price, trigger)), (status, filled)) in enumerate(rows, start=101):
        legs.append(
            OrderReport(
                id=str(number),
                order_class=OrderClass.OPTION,
                status=status,
                raw_status=status,
                side=side,
                type=kind,
                occ_symbol=OCC,
                qty=3,
                exec_qty=filled,
                avg_fill_price=Decimal("3.90") if filled else None,
                price=price,
                stop=trigger,
                parent_id="100",
                created_at=NOW,
                transaction_at=at,
                reason=reason if role is OrderRole.STOP_LOSS else None,
            )
        )
    return OrderReport(
        id="100", order_class=OrderClass.OTOCO, status=entry[0], raw_status=entry[0], tag="bk-entry", legs=tuple(legs)
    )


def seen(view: View, report: OrderReport, *, after_s: float = 0) -> View:
    return lifecycle.applied(view, reports_of(view.orders, report), NOW + timedelta(seconds=after_s))


def step(view: View, after_s: float = 0) -> Step:
    return next_step(view, Moment(NOW + timedelta(seconds=after_s)))


def test_a_limit_entry_with_both_exits_is_one_request_with_durations_of_its_legs() -> None:
    view = group(entry_duration=Duration.DAY)
    request = brackets.request_of(view.trade, view.orders)
    assert isinstance(request, OtocoOrder)
    assert (request.qty, request.entry_price, request.target_price, request.stop_price) == (
        3,
        Decimal("3.90"),
        Decimal("6.00"),
        Decimal("3.00"),
    )
    assert (request.entry_duration, request.exit_duration) == (BrokerDuration.DAY, BrokerDuration.GTC)


@pytest.mark.parametrize(
    "changes",
    [{"sl_price": None}, {"tp_price": None}, {"entry_type": EntryType.MARKET, "limit_price": None}],
)
def test_an_entry_that_lacks_an_exit_or_a_limit_goes_alone(changes: dict[str, object]) -> None:
    view = group(**changes)
    assert [(order.role, order.sent_as) for order in view.orders] == [(OrderRole.ENTRY, Group.SINGLE)]


@pytest.mark.parametrize("legs", [Word.PENDING, Word.HELD, Word.OPEN])
def test_a_part_filled_group_is_naked_for_its_grace_and_then_goes_whole(legs: Word) -> None:
    view = seen(sent(), shown((Word.PARTIALLY_FILLED, 1), legs, legs))
    assert (view.trade.status, view.trade.protection, view.trade.naked_since) == (
        TradeStatus.PARTIAL,
        Protection.PENDING,
        NOW,
    )
    assert step(view, 4.9) == Wait(NOW + timedelta(seconds=5))
    assert step(view, 5.0) == Cancel("100")


def test_the_exits_for_a_part_fill_come_once_every_leg_of_the_group_is_over() -> None:
    view = seen(sent(), shown((Word.PARTIALLY_FILLED, 1), Word.PENDING, Word.PENDING))
    view = lifecycle.cancel_asked(view, "100", NOW + timedelta(seconds=5))
    view = seen(view, shown((Word.CANCELLED, 2), Word.PENDING, Word.CANCELLED, after_s=5), after_s=5.1)
    assert (view.trade.status, view.held_qty) == (TradeStatus.FILLED, 2)
    assert step(view, 6) == Read("100")
    view = seen(view, shown((Word.CANCELLED, 2), Word.CANCELLED, Word.CANCELLED, after_s=5), after_s=6)
    assert step(view, 6) == PlaceBracket(Decimal("3.00"), Decimal("6.00"))
    assert view.trade.naked_since == NOW


@pytest.mark.parametrize("end", [Word.EXPIRED, Word.CANCELLED])
def test_a_part_fill_at_the_entrys_end_gets_its_own_exits_at_once(end: Word) -> None:
    view = seen(sent(), shown((end, 1), end, end), after_s=30)
    assert view.trade.protection is not Protection.PROTECTED
    assert step(view, 30) == PlaceBracket(Decimal("3.00"), Decimal("6.00"))


@pytest.mark.parametrize("legs", [Word.PENDING, Word.OPEN])
def test_exits_left_behind_a_part_filled_entry_are_taken_down_first(legs: Word) -> None:
    view = seen(sent(), shown((Word.EXPIRED, 1), legs, legs), after_s=30)
    assert view.trade.protection is not Protection.PROTECTED
    assert step(view, 30) == Cancel("100")


def test_a_complete_fill_is_protected_without_a_naked_second_once_both_exits_rest() -> None:
    view = seen(sent(), shown((Word.OPEN, 0), Word.PENDING, Word.PENDING))
    view = seen(view, shown((Word.FILLED, 3), Word.OPEN, Word.PENDING, after_s=8), after_s=8.1)
    assert view.trade.protection is Protection.PENDING
    view = seen(view, shown((Word.FILLED, 3), Word.OPEN, Word.OPEN, after_s=8), after_s=8.5)
    assert (view.trade.protection, view.trade.naked_s) == (Protection.PROTECTED, Decimal(0))


def test_exits_that_are_let_through_later_than_the_fill_are_counted() -> None:
    view = seen(sent(), shown((Word.FILLED, 3), Word.PENDING, Word.PENDING, after_s=1), after_s=1)
    view = seen(view, shown((Word.FILLED, 3), Word.OPEN, Word.OPEN, after_s=3), after_s=3.2)
    assert view.trade.naked_s == Decimal("2.000")


def test_what_was_let_through_is_looked_at_again() -> None:
    view = seen(sent(), shown((Word.FILLED, 3), Word.OPEN, Word.OPEN))
    assert step(view, 0.5) == Wait(NOW + timedelta(seconds=1.2))
    assert step(view, 1.2) == Read("100")
    view = seen(view, shown((Word.FILLED, 3), Word.OPEN, Word.OPEN), after_s=1.3)
    assert step(view, 1.3) == Wait()


def test_a_stop_on_the_wrong_side_that_took_the_group_down_is_judged_by_a_fresh_quote() -> None:
    view = seen(sent(), shown((Word.FILLED, 3), Word.OPEN, Word.OPEN))
    down = shown((Word.FILLED, 3), Word.CANCELLED, Word.CANCELLED, reason="SellStopOrderStopPriceGreaterBid")
    view = seen(view, down, after_s=1.3)
    assert view.trade.protection is Protection.NAKED
    assert step(view, 1.3) == PlaceBracket(Decimal("3.00"), Decimal("6.00"))


def test_exits_that_a_complete_fill_does_not_release_are_replaced() -> None:
    view = seen(sent(), shown((Word.FILLED, 3), Word.PENDING, Word.PENDING))
    assert step(view, 5) == Cancel("100")


def test_an_exit_that_executes_beside_a_working_entry_takes_the_group_down_at_once() -> None:
    report = shown((Word.PARTIALLY_FILLED, 1), Word.CANCELLED, Word.OPEN)
    stop = replace(report.legs[2], exec_qty=1, avg_fill_price=Decimal("2.90"), status=Word.PARTIALLY_FILLED)
    view = seen(sent(), replace(report, legs=(*report.legs[:2], stop)))
    assert step(view, 0.1) == Cancel("100")
    view = lifecycle.cancel_asked(view, "100", NOW)
    over = shown((Word.CANCELLED, 1), Word.CANCELLED, Word.CANCELLED)
    view = seen(view, replace(over, legs=(*over.legs[:2], replace(stop, status=Word.CANCELLED))), after_s=1)
    assert (view.trade.status, view.trade.close_reason) == (TradeStatus.CLOSED, CloseReason.SL_HIT)
    assert view.trade.realized_pnl == Decimal("-100.00")


def test_news_of_the_entry_alone_leaves_its_exits_to_be_read_by_their_group() -> None:
    report = shown((Word.OPEN, 0), Word.PENDING, Word.PENDING)
    view = sent()
    view = lifecycle.applied(view, reports_of(view.orders, replace(report, legs=report.legs[:1])), NOW)
    assert view.entry_orders[-1].confirmed_at is not None
    assert step(view, after_s=5) == Read("100")
    assert step(seen(view, report, after_s=5), after_s=60) == Wait()


def test_new_exits_of_a_pending_group_take_it_down_and_send_it_again() -> None:
    view = seen(sent(), shown((Word.OPEN, 0), Word.PENDING, Word.PENDING))
    view = lifecycle.repriced(view, Decimal("2.80"), Decimal("7.00"), NOW)
    assert step(view, 1) == Cancel("100")
    view = lifecycle.cancel_asked(view, "100", NOW + timedelta(seconds=1))
    view = seen(view, shown((Word.CANCELLED, 0), Word.PENDING, Word.CANCELLED), after_s=1.1)
    assert (view.trade.status, step(view, 2)) == (TradeStatus.OPEN, Read("100"))
    view = seen(view, shown((Word.CANCELLED, 0), Word.CANCELLED, Word.CANCELLED), after_s=2)
    assert (view.trade.status, step(view, 2)) == (TradeStatus.OPEN, ResendEntry(Decimal("3.90")))


def test_new_exits_that_meet_the_fill_replace_the_old_ones() -> None:
    view = seen(sent(), shown((Word.FILLED, 3), Word.OPEN, Word.OPEN))
    view = lifecycle.repriced(view, Decimal("2.80"), Decimal("7.00"), NOW)
    assert step(view, 1) == Cancel("100")
    view = lifecycle.cancel_asked(view, "100", NOW + timedelta(seconds=1))
    view = seen(view, shown((Word.FILLED, 3), Word.CANCELLED, Word.CANCELLED), after_s=2)
    assert step(view, 2) == PlaceBracket(Decimal("2.80"), Decimal("7.00"))


def test_a_pending_group_that_somebody_cancels_ends_the_trade() -> None:
    view = seen(sent(), shown((Word.CANCELLED, 0), Word.CANCELLED, Word.CANCELLED))
    assert (view.trade.status, view.trade.close_reason) == (TradeStatus.CLOSED, CloseReason.CANCELLED)


def test_a_group_that_the_broker_refuses_late_is_a_refusal_in_its_words() -> None:
    report = shown((Word.CANCELLED, 0), Word.CANCELLED, Word.CANCELLED)
    entry = replace(report.legs[0], reason="DayTradingBuyingPowerExceeded")
    view = seen(sent(), replace(report, legs=(entry, *report.legs[1:])))
    assert (view.trade.close_reason, view.trade.reason) == (CloseReason.REJECTED, "DayTradingBuyingPowerExceeded")


def test_a_group_refused_for_its_tick_is_sent_again_once_at_the_coarser_one() -> None:
    report = shown((Word.CANCELLED, 0), Word.CANCELLED, Word.CANCELLED)
    entry = replace(report.legs[0], reason="OrderPriceIsInvalid")
    view = seen(sent(group(limit_price=Decimal("3.93"))), replace(report, legs=(entry, *report.legs[1:])))
    assert (view.trade.status, step(view)) == (TradeStatus.OPEN, ResendEntry(Decimal("3.90")))


@pytest.mark.parametrize("tag", ["bk-entry", None])
def test_a_group_without_an_answer_is_found_by_its_tag_or_as_its_only_twin(tag: str | None) -> None:
    lost = lifecycle.unknown(lifecycle.sent(group(), "bk-entry", NOW), "bk-entry", "lost", NOW)
    report = replace(shown((Word.OPEN, 0), Word.PENDING, Word.PENDING), tag=tag)
    found = evidence.judged(lost, "bk-entry", Seen(orders=(report,), venue_at=NOW), Moment(NOW))
    assert {order.role: order.broker_order_id for order in found.orders} == {
        OrderRole.ENTRY: "101",
        OrderRole.TAKE_PROFIT: "102",
        OrderRole.STOP_LOSS: "103",
    }
    assert all(order.status is OrderStatus.WORKING for order in found.orders)


def test_a_bracket_alone_is_no_twin_of_a_group() -> None:
    lost = lifecycle.unknown(lifecycle.sent(group(), "bk-entry", NOW), "bk-entry", "lost", NOW)
    report = shown((Word.OPEN, 0), Word.PENDING, Word.PENDING)
    bracket = replace(report, tag=None, legs=report.legs[1:])
    found = evidence.judged(lost, "bk-entry", Seen(orders=(bracket,), venue_at=NOW), Moment(NOW))
    assert all(order.status is OrderStatus.UNKNOWN for order in found.orders)
