"""What happens to a trade after its end: late fills, sales beyond the holding, prices corrected."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count

import pytest

from libs.broker.orders import OptionOrder, OrderSide
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus, Protection, TradeStatus
from services.orders import brackets, concerns, corrections, lifecycle, publishing, recovering
from services.orders.plan import next_step
from services.orders.steps import Cancel, Moment, PlaceCover, PlaceSell, Send, Void, Wait
from services.orders.trade import View
from tests.unit.orders.views import NOW, a_report, a_view, filled, protected

LATER = NOW + timedelta(seconds=60)


def given_up() -> View:
    view = lifecycle.unknown(lifecycle.sent(a_view(), "bk-entry", NOW), "bk-entry", "lost", NOW)
    return lifecycle.never_placed(view, "bk-entry", NOW)


def new_id() -> str:
    return f"id-{next(_NUMBERS):08d}"


_NUMBERS = count(1)


def recovered(view: View, filled_qty: int, status: OrderStatus = OrderStatus.FILLED) -> recovering.Recovered:
    report = a_report(view.orders[0], status, filled_qty, "4.20")
    after = lifecycle.applied(view, (report,), LATER)
    order = recovering.surfaced(view, after)
    assert order is not None
    return recovering.parted(view, after, order, new_id=new_id, now=LATER)


# ── entries that execute late ────────────────────────────────────────────────────────────────────────────────────────


def test_what_a_given_up_entry_bought_is_a_trade_of_its_own() -> None:
    view = given_up()
    found = recovered(view, 2)
    trade = found.held.trade
    assert (trade.status, trade.filled_qty, trade.recovered_from) == (TradeStatus.FILLED, 2, "t1")
    assert (trade.sl_price, trade.tp_price, trade.occ_symbol) == (
        view.trade.sl_price,
        view.trade.tp_price,
        view.trade.occ_symbol,
    )
    assert found.old.trade == view.trade
    assert (found.old.orders[0].filled_qty, found.old.orders[0].status) == (0, OrderStatus.REJECTED)
    assert found.old.held_qty == 0
    assert [one.kind for one in concerns.found(found.held, Moment(LATER))][:1] == ["late_fill"]


def test_the_row_that_moved_takes_no_more_news_and_is_not_recovered_again() -> None:
    found = recovered(given_up(), 2)
    again = lifecycle.applied(found.old, (a_report(found.old.orders[0], OrderStatus.FILLED, 2, "4.20"),), LATER)
    assert again.orders == found.old.orders
    assert recovering.surfaced(found.old, again) is None


def test_one_that_still_works_is_cancelled_by_the_trade_that_holds_it() -> None:
    held = recovered(given_up(), 1, OrderStatus.PARTIAL).held
    assert held.trade.status is TradeStatus.PARTIAL
    assert isinstance(next_step(held, Moment(LATER + timedelta(seconds=6))), Cancel)


def test_what_executed_beyond_a_known_part_is_counted_once() -> None:
    view = filled(a_view(qty=3), qty=1)
    view = lifecycle.applied(view, (a_report(view.orders[0], OrderStatus.CANCELLED, 1, "4.20"),), NOW)
    view = replace(view, trade=replace(view.trade, is_locked=True))
    after = lifecycle.applied(view, (a_report(view.orders[0], OrderStatus.FILLED, 3, "4.40"),), LATER)
    order = recovering.surfaced(view, after)
    assert order is not None
    found = recovering.parted(view, after, order, new_id=new_id, now=LATER)
    assert (found.old.orders[0].filled_qty, found.held.trade.filled_qty) == (1, 2)
    assert found.held.trade.entry_price == Decimal("4.5")


def test_a_trade_that_is_open_is_not_recovered() -> None:
    view = filled()
    assert recovering.surfaced(view, view) is None


def test_beside_another_trade_it_is_sold_once_the_others_entry_is_gone() -> None:
    held = recovering.to_be_sold(recovered(given_up(), 2).held, action_id="a1", now=LATER)
    assert held.trade.status is TradeStatus.CLOSING
    assert isinstance(next_step(replace(held, is_beside_entry=True), Moment(LATER)), Wait)
    assert next_step(held, Moment(LATER)) == PlaceSell()
    late = LATER + timedelta(seconds=31)
    assert next_step(replace(held, is_beside_entry=True), Moment(late)) == PlaceSell()


# ── more sold than bought ────────────────────────────────────────────────────────────────────────────────────────────


def both_legs(at_once: bool) -> View:
    view = protected()
    target, stop = view.live_bracket
    first = a_report(target, OrderStatus.FILLED, 2, "6.00", broker_at=NOW)
    second = a_report(stop, OrderStatus.FILLED, 2, "3.00", broker_at=LATER)
    if at_once:
        return lifecycle.applied(view, (second, first), LATER)
    return lifecycle.applied(lifecycle.applied(view, (first,), NOW), (second,), LATER)


@pytest.mark.parametrize("at_once", [True, False])
def test_the_first_leg_closes_the_trade_and_the_second_makes_it_short(at_once: bool) -> None:
    view = both_legs(at_once)
    assert (view.trade.close_reason, view.trade.realized_pnl) == (CloseReason.TP_HIT, Decimal("360.00"))
    assert (view.held_qty, view.corrections) == (-2, ())
    assert next_step(view, Moment(LATER)) == PlaceCover()
    assert [one.kind for one in concerns.found(view, Moment(LATER))] == ["short"]


def covering(qty: int = 2) -> View:
    view = both_legs(at_once=True)
    made = brackets.cover_order(view, qty=qty, order_id="o-cover", tag="bk-cover", now=LATER)
    return replace(view, orders=(*view.orders, made))


def test_a_cover_buys_to_close_at_the_market_and_never_more_than_is_short() -> None:
    view = covering()
    assert next_step(view, Moment(LATER)) == Send("bk-cover")
    request = brackets.request_of(view.trade, view.by_tag("bk-cover"))
    assert isinstance(request, OptionOrder)
    assert (request.side, request.qty) == (OrderSide.BUY_TO_CLOSE, 2)
    assert next_step(covering(qty=3), Moment(LATER)) == Void("bk-cover")


def test_what_a_short_cost_corrects_the_result_once() -> None:
    view = lifecycle.accepted(lifecycle.sent(covering(), "bk-cover", LATER), "bk-cover", "300", LATER)
    before = view
    report = a_report(view.orders[-1], OrderStatus.FILLED, 2, "3.40")
    view = lifecycle.applied(view, (report,), LATER)
    assert [(one.kind, one.amount_usd) for one in view.corrections] == [("short", Decimal("-80.00"))]
    assert corrections.final_pnl_usd(view) == Decimal("280.00")
    assert view.trade == before.trade
    assert lifecycle.applied(view, (report,), LATER).corrections == view.corrections
    assert [type(fact).__name__ for fact in publishing.facts_of(before, view)] == ["TradeChanged"]
    assert publishing.facts_of(before, view)[0].realized_pnl == Decimal("280.00")
    assert next_step(view, Moment(LATER)) == Wait()
    assert not concerns.found(view, Moment(LATER))


def test_a_refused_cover_is_tried_again_a_while_later() -> None:
    view = lifecycle.refused(lifecycle.sent(covering(), "bk-cover", LATER), "bk-cover", "no", LATER)
    assert next_step(view, Moment(LATER)) == Wait(LATER + timedelta(seconds=30))
    assert next_step(view, Moment(LATER + timedelta(seconds=31))) == PlaceCover()


def test_a_cover_that_its_session_ended_is_sent_again_by_our_clock_and_not_by_the_venues() -> None:
    view = lifecycle.accepted(lifecycle.sent(covering(), "bk-cover", LATER), "bk-cover", "300", LATER)
    days_ahead = LATER + timedelta(days=2)
    report = a_report(view.orders[-1], OrderStatus.EXPIRED, 1, "3.40", broker_at=days_ahead)
    view = lifecycle.applied(view, (report,), LATER)
    assert next_step(view, Moment(LATER)) == Wait(LATER + timedelta(seconds=30))
    assert next_step(view, Moment(LATER + timedelta(seconds=31))) == PlaceCover()


def test_an_exit_that_executes_after_the_close_is_a_short() -> None:
    view = protected()
    target, stop = view.live_bracket
    view = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.CANCELLED),), NOW)
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.FILLED, 2, "3.00"),), LATER)
    assert view.held_qty == -2
    assert next_step(view, Moment(LATER)) == PlaceCover()


def test_legs_that_still_work_are_taken_down_before_a_cover() -> None:
    view = protected()
    target, stop = view.live_bracket
    view = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.PARTIAL, 1, "3.00"),), NOW)
    assert view.held_qty == -1
    assert next_step(view, Moment(NOW)) == Cancel(stop.group_order_id or "")
    asked = lifecycle.cancel_asked(view, stop.group_order_id or "", NOW)
    assert next_step(asked, Moment(NOW + timedelta(seconds=6))) == PlaceCover()


# ── prices corrected ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_price_that_the_broker_corrects_after_the_close_is_appended() -> None:
    view = protected()
    target = view.live_bracket[0]
    view = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    view = lifecycle.applied(view, (a_report(view.live_bracket[0], OrderStatus.CANCELLED),), NOW)
    told = a_report(target, OrderStatus.FILLED, 2, "5.95", broker_at=LATER)
    after = lifecycle.applied(view, (told,), LATER)
    assert [(one.kind, one.amount_usd) for one in after.corrections] == [("price", Decimal("-10.00"))]
    assert (after.trade, corrections.final_pnl_usd(after)) == (view.trade, Decimal("350.00"))
    older = a_report(target, OrderStatus.FILLED, 2, "6.00", broker_at=NOW)
    assert lifecycle.applied(after, (older, told), LATER).corrections == after.corrections


def test_corrections_of_different_kinds_add_up_and_have_ids_of_their_own() -> None:
    view = protected()
    view = lifecycle.applied(view, (a_report(view.live_bracket[0], OrderStatus.FILLED, 2, "6.00"),), NOW)
    for amount in ("-1.30", "0.40"):
        view = corrections.append(view, "fee", Decimal(amount), "commission", LATER)
    assert [one.id for one in view.corrections] == ["t1-1", "t1-2"]
    assert corrections.final_pnl_usd(view) == Decimal("359.10")
    assert lifecycle.settled(view, LATER).corrections == view.corrections


def test_a_trade_that_held_nothing_has_no_protection_after_a_late_fill() -> None:
    old = recovered(given_up(), 2).old
    assert (old.trade.protection, next_step(old, Moment(LATER))) == (Protection.NONE, Wait())
    assert [order.role for order in old.orders] == [OrderRole.ENTRY]
