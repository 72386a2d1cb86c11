"""Limits, bracket prices, facts and concerns: small decisions, each by itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.broker.orders import OcoOrder, OptionOrder, OrderSide, OrderType
from libs.broker.reports import Quote
from libs.common.errors import LimitExceeded
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus, TradeStatus
from libs.market.options import OccSymbol
from services.orders import asking, brackets, concerns, deciding, lifecycle, limits, looking, protecting, publishing
from services.orders.brackets import NoMarket, StopPassed
from services.orders.limits import Exposure, Freshness, OpenRisk, Wanted
from services.orders.plan import next_step
from services.orders.preferences import TradingSettings, changed
from services.orders.steps import (
    BeginClose,
    Cancel,
    Moment,
    PlaceBracket,
    Read,
    RequestClose,
    Restore,
    Wait,
    cancel_or_read,
)
from services.orders.trade import BRACKET_ROLES, ActionState, NakedPolicy, Order, Policy, View
from tests.unit.orders.views import NOW, OCC, a_leg, a_report, a_view, filled, protected, working

FRESH = Freshness(NOW, timedelta(minutes=2))
EMPTY = Exposure(fresh=FRESH)


def wanted(**changes: object) -> Wanted:
    values: dict[str, object] = {
        "qty": 1,
        "multiplier": 100,
        "entry_price": Decimal("4.20"),
        "stop": Decimal("3.20"),
        "bid": Decimal("4.00"),
        "ask": Decimal("4.20"),
        "is_limit": False,
        "quote_age_s": 1.0,
        "minutes_to_last_trade": 10_000.0,
    }
    return Wanted(**values | changes)  # type: ignore[arg-type]


def quote(bid: str, ask: str) -> Quote:
    return Quote(symbol=OCC, type="option", bid=Decimal(bid), ask=Decimal(ask))


# ── closes ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def waiting_for_the_open(view: View) -> View:
    state, reason = ActionState.QUEUED, CloseReason.MANUAL_CLOSE
    return asking.with_close(view, action_id="queued", reason=reason, state=state, now=NOW)


def begun(view: View, action_id: str = "hit") -> View:
    state, reason = ActionState.RUNNING, CloseReason.SL_HIT
    return asking.with_close(view, action_id=action_id, reason=reason, state=state, now=NOW)


def states(view: View) -> dict[str, ActionState]:
    return {action.id: action.state for action in view.actions}


def test_a_close_that_begins_ends_what_waits_for_the_open() -> None:
    adjusted = asking.with_adjust(
        protected(), action_id="adjust", sl=Decimal("3.50"), tp=None, state=ActionState.QUEUED, now=NOW
    )
    view = begun(waiting_for_the_open(adjusted))
    assert states(view) == {
        "adjust": ActionState.WITHDRAWN,
        "queued": ActionState.WITHDRAWN,
        "hit": ActionState.RUNNING,
    }
    assert view.queued is None


def test_nothing_begins_once_the_trade_is_over() -> None:
    waiting = waiting_for_the_open(protected())
    target = next(order for order in waiting.orders if order.role is OrderRole.TAKE_PROFIT)
    over = lifecycle.applied(waiting, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    assert over.trade.status is TradeStatus.CLOSED
    assert asking.begun(over, "queued", NOW) == begun(over) == over


def test_a_close_that_was_asked_for_meanwhile_is_the_only_one() -> None:
    state, reason = ActionState.REQUESTED, CloseReason.MANUAL_CLOSE
    asked = asking.with_close(protected(), action_id="asked", reason=reason, state=state, now=NOW)
    view = begun(asked)
    assert states(view) == {"asked": ActionState.REQUESTED}
    assert next_step(view, Moment(NOW)) == BeginClose("asked")


def test_a_close_that_runs_goes_before_one_that_was_left_waiting_beside_it() -> None:
    view = begun(protected())
    left = waiting_for_the_open(protected()).queued
    assert left is not None
    requested = replace(view, actions=(replace(left, state=ActionState.REQUESTED), *view.actions))
    assert requested.close_action == view.close_action
    asked_for = replace(view.live_bracket[0], cancel_at=NOW, read_at=NOW, reads=9)
    for alone in (view, view.with_order(asked_for)):
        beside = replace(alone, actions=(left, *alone.actions))
        assert beside.close_action == alone.close_action
        for moment in (Moment(NOW), Moment(NOW + timedelta(minutes=5))):
            assert next_step(beside, moment) == next_step(alone, moment)
    assert isinstance(next_step(alone, Moment(NOW)), Wait), "what waits would have begun here"


# ── limits ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_small_premium_fits_a_new_users_limits() -> None:
    limits.check(TradingSettings(), EMPTY, wanted())


def test_without_a_stop_the_whole_premium_is_at_risk() -> None:
    with pytest.raises(LimitExceeded, match=r"heat_limit_pct is 6.0 % = 300.00; this would be 420.00"):
        limits.check(TradingSettings(), EMPTY, wanted(stop=None))


def test_an_unknown_entry_counts_in_full() -> None:
    risk = OpenRisk(qty=1, multiplier=100, entry_price=Decimal(4), stop=Decimal(3), is_unknown=True)
    assert risk.risk_usd == Decimal("400.00")
    assert replace(risk, is_unknown=False).risk_usd == Decimal("100.00")


def test_what_was_lost_today_counts_against_the_daily_loss() -> None:
    lost = Exposure(realized_today=Decimal(-60), fresh=FRESH)
    with pytest.raises(LimitExceeded, match=r"daily_loss_limit is 150.00; this would be 160.00"):
        limits.check(TradingSettings(), lost, wanted())
    limits.check(TradingSettings(), Exposure(realized_today=Decimal(60), fresh=FRESH), wanted())


def test_one_position_more_than_allowed_is_refused() -> None:
    held = OpenRisk(qty=1, multiplier=100, entry_price=Decimal("0.10"), stop=None)
    with pytest.raises(LimitExceeded, match="max_positions is 5; this would be 6 open trades"):
        limits.check(TradingSettings(), Exposure(open=(held,) * 5, fresh=FRESH), wanted())


# ── brackets ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(
    sl=st.decimals("0.01", "2.50", places=4, allow_nan=False), tp=st.decimals("2.75", "90", places=4, allow_nan=False)
)
def test_rounded_exits_are_on_their_tick_and_rounding_again_changes_nothing(sl: Decimal, tp: Decimal) -> None:
    contract = OccSymbol.parse(OCC)
    once = brackets.exit_prices(sl, tp, contract)
    assert brackets.exit_prices(*once, contract) == once
    assert all(price is not None and price % Decimal("0.01") == 0 for price in once)


def test_both_exits_go_as_one_oco_for_what_is_held() -> None:
    view = filled(a_view(qty=3))
    made = brackets.bracket_orders(
        view, Decimal("3.00"), Decimal("6.00"), quote("4.00", "4.20"), new_id=iter("ab").__next__, tag="bk-x", now=NOW
    )
    assert isinstance(made, tuple)
    request = brackets.request_of(view.trade, made)
    assert isinstance(request, OcoOrder)
    assert (request.qty, request.target_price, request.stop_price, request.tag) == (
        3,
        Decimal("6.00"),
        Decimal("3.00"),
        "bk-x",
    )


def test_a_stop_alone_is_a_single_stop_order_and_a_limit_below_it_by_choice() -> None:
    view = replace(filled(), policy=Policy(stop_limit_offset=Decimal("0.20")))
    made = brackets.bracket_orders(
        view, Decimal("3.00"), None, quote("4.00", "4.20"), new_id=lambda: "a", tag="bk-x", now=NOW
    )
    assert isinstance(made, tuple)
    request = brackets.request_of(view.trade, made)
    assert isinstance(request, OptionOrder)
    assert (request.type, request.stop, request.price) == (OrderType.STOP_LIMIT, Decimal("3.00"), Decimal("2.80"))
    assert request.side is OrderSide.SELL_TO_CLOSE


@pytest.mark.parametrize("bid", ["3.00", "2.50", "0"])
def test_a_stop_at_or_above_the_bid_is_passed(bid: str) -> None:
    made = brackets.bracket_orders(
        filled(), Decimal("3.00"), Decimal(6), quote(bid, "4.00"), new_id=lambda: "a", tag="t", now=NOW
    )
    assert made == StopPassed(Decimal("3.00"), Decimal(bid))


def test_without_any_quote_no_stop_is_judged() -> None:
    made = brackets.bracket_orders(
        filled(), Decimal("3.00"), None, quote("0", "0"), new_id=lambda: "a", tag="t", now=NOW
    )
    assert isinstance(made, NoMarket)
    assert isinstance(brackets.sell_order(filled(), None, order_id="a", tag="t", now=NOW), NoMarket)


# ── facts ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_repeat_tells_nothing_and_a_change_tells_something() -> None:
    view = protected()
    assert publishing.facts_of(view, view) == ()
    target = view.live_bracket[0]
    after = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    assert [fact.topic for fact in publishing.facts_of(view, after)] == ["trade_closed"]


def test_the_facts_of_one_change_have_rising_versions_of_the_same_row() -> None:
    before, after = working(a_view()), filled()
    facts = publishing.facts_of(before, after)
    assert [fact.key_version for fact in facts] == list(range(1, len(facts) + 1))
    assert len({fact.model_dump_json(exclude={"key_version"}) for fact in facts}) == 1


def test_acknowledgements_and_more_fills_do_not_raise_the_version() -> None:
    before = working(a_view(qty=3))
    order = before.entry_orders[0]
    partial = lifecycle.applied(before, (a_report(order, OrderStatus.PARTIAL, 1, "4.20"),), NOW)
    raised = publishing.raised(before, partial)
    assert raised.trade.version == before.trade.version + 1
    more = lifecycle.applied(raised, (a_report(order, OrderStatus.PARTIAL, 2, "4.20"),), NOW)
    assert publishing.raised(raised, more).trade.version == raised.trade.version


# ── concerns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_concern_is_raised_once_and_ends_by_itself() -> None:
    view = lifecycle.unknown(lifecycle.sent(a_view(), "bk-entry", NOW), "bk-entry", "lost", NOW)
    (raised,) = concerns.changes(view, Moment(NOW))
    assert (raised.concern.kind, raised.ended_at) == ("unknown_order", None)
    known = replace(view, concerns=(raised.concern,))
    assert concerns.changes(known, Moment(NOW)) == ()
    settled = lifecycle.never_placed(known, "bk-entry", NOW)
    (ended,) = concerns.changes(settled, Moment(NOW + timedelta(seconds=5)))
    assert (ended.concern.concern_key, ended.concern.key_version) == (raised.concern.concern_key, 2)
    assert ended.ended_at == NOW + timedelta(seconds=5)


def test_a_holding_that_stays_bare_becomes_a_concern() -> None:
    view = filled()
    assert concerns.changes(view, Moment(NOW)) == ()
    assert concerns.next_look(view, Moment(NOW)) == NOW + timedelta(seconds=5)
    (raised,) = concerns.changes(view, Moment(NOW + timedelta(seconds=5)))
    assert raised.concern.kind == "naked"


def test_a_sale_that_does_not_execute_is_an_alarm_for_nothing_else_protects_the_holding() -> None:
    view = asking.with_close(
        filled(), action_id="a1", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW
    )
    sale = brackets.sell_order(view, quote("4.00", "4.20"), order_id="o-sale", tag="bk-sale", now=NOW)
    assert isinstance(sale, Order)
    selling = lifecycle.sent(looking.with_orders(view, (sale,)), "bk-sale", NOW)
    selling = lifecycle.accepted(selling, "bk-sale", "200", NOW)
    assert concerns.found(selling, Moment(NOW + timedelta(seconds=29))) == ()
    assert concerns.next_look(selling, Moment(NOW + timedelta(seconds=10))) == NOW + timedelta(seconds=30)
    (raised,) = concerns.changes(selling, Moment(NOW + timedelta(seconds=30)))
    assert raised.concern.kind == "close_unfilled"


def test_a_cancel_that_took_long_to_answer_is_read_before_it_is_asked_for_again() -> None:
    stop = protected().live_bracket[0]
    group_id = stop.group_order_id
    assert group_id is not None
    asked = lifecycle.cancel_asked(protected(), group_id, NOW)
    late = Moment(NOW + timedelta(seconds=60))
    assert cancel_or_read(asked.live_bracket[0], late) == Read(group_id)
    read = looking.read_in_vain(asked, group_id, late.now)
    assert cancel_or_read(read.live_bracket[0], late) == Cancel(group_id)


def test_a_cancel_that_nobody_confirms_is_an_alarm_and_asked_for_again_and_nothing_is_sold_meanwhile() -> None:
    view = asking.with_close(
        protected(), action_id="c", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW
    )
    group_id = view.live_bracket[0].group_order_id or ""
    alarms, cancels = [], 0
    for seconds in range(600):
        moment = Moment(NOW + timedelta(seconds=seconds))
        step = next_step(view, moment)
        if isinstance(step, Cancel):
            view, cancels = lifecycle.cancel_asked(view, group_id, moment.now), cancels + 1
        elif isinstance(step, Read):
            view = looking.read_in_vain(view, group_id, moment.now)
        else:
            assert isinstance(step, Wait), f"{step} beside exits that may still execute"
        alarms += [seconds for one in concerns.found(view, moment) if one.kind == "cancel_unconfirmed"]
    assert alarms[:2] == [30, 31]
    assert 60 <= cancels <= 120


def test_whoever_chose_to_be_alerted_only_is_alerted_and_nothing_is_sold() -> None:
    over: dict[str, Any] = {"status": OrderStatus.REJECTED, "reason": "no", "ended_at": NOW}
    roles = (OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT)
    refused = [a_leg(role, tag=f"bk-{nth}", **over) for nth in range(2) for role in roles]
    view = replace(filled(), policy=Policy(naked_policy=NakedPolicy.ALERT))
    tried = lifecycle.settled(replace(view, orders=(*view.orders, *refused[:2])), NOW)
    assert isinstance(next_step(tried, Moment(NOW)), PlaceBracket)
    tried = lifecycle.settled(replace(view, orders=(*view.orders, *refused)), NOW)
    assert next_step(tried, Moment(NOW + timedelta(hours=1))) == Wait()
    assert "naked" in [one.kind for one in concerns.found(tried, Moment(NOW))]
    assert Policy().naked_policy is NakedPolicy.REPAIR


@pytest.mark.parametrize("policy", [NakedPolicy.FLATTEN, NakedPolicy.REPAIR])
def test_a_refused_sale_that_we_decided_on_is_not_sent_again_at_once_whatever_the_policy(policy: NakedPolicy) -> None:
    tries = 1 if policy is NakedPolicy.FLATTEN else 2
    over: dict[str, Any] = {"status": OrderStatus.REJECTED, "reason": "no", "ended_at": NOW}
    refused = [
        a_leg(role, tag=f"bk-{nth}", **over)
        for nth in range(tries)
        for role in (OrderRole.STOP_LOSS, OrderRole.TAKE_PROFIT)
    ]
    sale = a_leg(OrderRole.CLOSE, tag="bk-sale", **over)
    view = replace(filled(), policy=Policy(naked_policy=policy))
    without = replace(view, orders=(*view.orders, *refused))
    assert isinstance(next_step(without, Moment(NOW)), RequestClose)
    view = replace(view, orders=(*view.orders, *refused, sale))
    assert next_step(view, Moment(NOW)) == Wait(NOW + timedelta(seconds=30))
    assert isinstance(next_step(view, Moment(NOW + timedelta(seconds=30))), RequestClose)


# ── settings and actions ─────────────────────────────────────────────────────────────────────────────────────────────


def test_going_live_needs_the_word_and_sets_review() -> None:
    settings = TradingSettings(signal_mode="auto")
    with pytest.raises(Exception, match='needs confirm: "LIVE"'):
        changed(settings, {"broker_mode": "TRADIER_LIVE"}, confirm=None)
    live = changed(settings, {"broker_mode": "TRADIER_LIVE"}, confirm="LIVE")
    assert (live.signal_mode, live.account_id) == ("review", None)


@pytest.mark.parametrize("changes", [{"max_positions": 0}, {"nonsense": 1}, {"heat_limit_pct": "-1"}, {"otoco": "on"}])
def test_a_setting_out_of_range_is_refused_by_its_name(changes: dict[str, object]) -> None:
    with pytest.raises(Exception, match=next(iter(changes))):
        changed(TradingSettings(), changes, confirm=None)


def test_a_close_ends_a_running_adjust() -> None:
    view = asking.with_adjust(
        protected(), action_id="a1", sl=Decimal("3.10"), tp=Decimal(6), state=ActionState.RUNNING, now=NOW
    )
    view = asking.with_close(view, action_id="a2", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW)
    assert {action.id: action.state for action in view.actions} == {
        "a1": ActionState.FAILED,
        "a2": ActionState.RUNNING,
    }
    assert view.trade.sl_price == Decimal("3.00")


def test_a_part_filled_target_that_is_cancelled_leaves_the_rest_held() -> None:
    view = protected()
    target = next(order for order in view.orders if order.role is OrderRole.TAKE_PROFIT)
    view = lifecycle.applied(view, (a_report(target, OrderStatus.CANCELLED, 1, "6.00"),), NOW)
    assert (view.held_qty, view.trade.status, view.trade.realized_pnl) == (1, TradeStatus.FILLED, None)


def test_a_bracket_refused_leg_by_leg_is_one_failed_try_even_when_its_second_leg_was_asked_to_go() -> None:
    view = protected()
    target, stop = view.live_bracket
    view = lifecycle.applied(view, (a_report(target, OrderStatus.REJECTED, reason="their words"),), NOW)
    view = lifecycle.cancel_asked(view, stop.group_order_id or "", NOW)
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.REJECTED, reason="their words"),), NOW)
    brackets_of = tuple(order for order in view.orders if order.role in BRACKET_ROLES)
    assert protecting.failed_tries(brackets_of, Moment(NOW)) == 1


def test_a_bracket_that_we_took_down_is_no_failed_try() -> None:
    view = protected()
    for leg in view.live_bracket:
        view = lifecycle.cancel_asked(view, leg.group_order_id or "", NOW)
        view = lifecycle.applied(view, (a_report(leg, OrderStatus.CANCELLED),), NOW)
    brackets_of = tuple(order for order in view.orders if order.role in BRACKET_ROLES)
    assert protecting.failed_tries(brackets_of, Moment(NOW)) == 0


def refused_after_all(view: View, tag: str) -> View:
    """Let the broker refuse a bracket that an adjust had been told was placed."""
    legs = [
        a_leg(OrderRole.TAKE_PROFIT, tag=tag, price=Decimal("7.00"), action_id="a1"),
        a_leg(OrderRole.STOP_LOSS, tag=tag, action_id="a1"),
    ]
    view = replace(view, orders=(*view.orders, *legs))
    for leg in legs:
        view = lifecycle.applied(view, (a_report(leg, OrderStatus.REJECTED, reason="OmsInternalError"),), NOW)
    return view


def test_an_adjust_whose_exits_are_refused_after_all_goes_back_to_the_old_ones() -> None:
    view = protected()
    for leg in view.live_bracket:
        view = lifecycle.cancel_asked(view, leg.group_order_id or "", NOW)
        view = lifecycle.applied(view, (a_report(leg, OrderStatus.CANCELLED),), NOW)
    view = lifecycle.repriced(view, Decimal("3.00"), Decimal("7.00"), NOW)
    view = refused_after_all(view, "bk-new")
    step = next_step(view, Moment(NOW))
    assert step == Restore(Decimal("3.00"), Decimal("6.00"), "OmsInternalError")
    view = deciding.decided(view, step, Moment(NOW), new_id=lambda: "x", new_tag=lambda: "y")
    assert view.trade.tp_price == Decimal("6.00")
    assert next_step(view, Moment(NOW)) == PlaceBracket(Decimal("3.00"), Decimal("6.00"))


def test_exits_refused_at_other_prices_do_not_count_against_those_that_are_asked_for() -> None:
    view = refused_after_all(filled(), "bk-new")
    brackets_of = tuple(order for order in view.orders if order.role in BRACKET_ROLES)
    assert protecting.failed_tries(brackets_of, Moment(NOW)) == 1
    assert protecting.failed_tries(brackets_of, Moment(NOW), (Decimal("3.00"), Decimal("6.00"))) == 0
    assert protecting.failed_tries(brackets_of, Moment(NOW), (Decimal("3.00"), Decimal("7.00"))) == 1


def test_exits_that_went_down_for_a_sale_that_cannot_leave_are_an_alarm() -> None:
    view = protected()
    closing = asking.with_close(
        view, action_id="c", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW
    )
    down = tuple(a_report(order, OrderStatus.CANCELLED, 0) for order in closing.live_bracket)
    bare = lifecycle.applied(closing, down, NOW)
    assert bare.trade.status is TradeStatus.CLOSING
    assert concerns.found(bare, Moment(NOW + timedelta(seconds=2))) == ()
    found = concerns.found(bare, Moment(NOW + timedelta(seconds=6)))
    assert [one.kind for one in found] == ["naked"]
    assert concerns.next_look(bare, Moment(NOW)) == NOW + timedelta(seconds=5)
