"""Full looks: what is found, what is doubted, what is left alone."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.broker.orders import OrderSide
from libs.broker.orders import OrderStatus as Word
from libs.common.messages.vocabulary import (
    NOT_OURS,
    BrokerMode,
    Finding,
    OrderRole,
    OrderStatus,
    Protection,
    TradeStatus,
)
from services.monitor.doubting import Doubt
from services.monitor.findings import REPAIRED
from services.monitor.reconcile import OurOrder, OurTrade
from tests.unit.monitor.accounts import NOW, holding, kinds, looked, reports, shown, somebodys

FILLED = {"status": Word.FILLED, "exec_qty": 2, "avg_fill_price": Decimal(6)}


def closed(trade: OurTrade) -> OurTrade:
    return replace(trade, status=TradeStatus.CLOSED, protection=Protection.NONE)


def test_a_trade_that_agrees_with_its_broker_is_no_finding() -> None:
    trade = holding()
    after = looked([trade], shown(reports(trade), {trade.occ_symbol: 2}))
    assert (after.found, after.standing, after.doubt) == ((), (), None)


def test_cover_is_judged_by_kind() -> None:
    trade = holding()
    for missing, word in (("stop_loss", "stop"), ("take_profit", "target")):
        broker = shown(reports(trade, **{missing: {"status": Word.CANCELLED}}), {trade.occ_symbol: 2})
        after = looked([trade], broker)
        assert kinds(after) == ["naked"]
        assert f"without a {word}" in after.found[0].text


def test_who_asked_for_no_stop_is_not_naked_without_one() -> None:
    trade = holding(sl_price=None)
    assert kinds(looked([trade], shown(reports(trade, stop_loss=None), {trade.occ_symbol: 2}))) == []


def test_an_exit_that_is_neither_resting_nor_over_covers_nothing() -> None:
    trade = holding()
    assert kinds(looked([trade], shown(reports(trade, stop_loss={"status": Word.ERROR}), {trade.occ_symbol: 2}))) == [
        "naked"
    ]


def test_a_finding_stands_only_when_a_second_look_agrees_about_the_same_row() -> None:
    trade = holding()
    broker = shown(reports(trade, stop_loss={"status": Word.CANCELLED}), {trade.occ_symbol: 2})
    first = looked([trade], broker)
    assert [one.stands for one in first.standing] == [False]
    second = looked([trade], broker, first.standing)
    assert [one.stands for one in second.standing] == [True]
    moved = looked([replace(trade, key_version=5)], broker, first.standing)
    assert [one.stands for one in moved.standing] == [False]


@pytest.mark.parametrize(
    "busy",
    [
        {"status": TradeStatus.CLOSING},
        {"protection": Protection.PENDING},
        {"protection": Protection.SETTLING},
        {"status": TradeStatus.OPEN},
    ],
)
def test_what_a_flow_has_in_hand_is_no_finding(busy: dict[str, Any]) -> None:
    trade = replace(holding(), **busy)
    assert kinds(looked([trade], shown(reports(trade, stop_loss=None, take_profit=None), {trade.occ_symbol: 2}))) == []


def test_a_trade_that_moved_during_the_look_is_not_judged() -> None:
    trade = holding()
    broker = shown(reports(trade, stop_loss=None, take_profit=None), {trade.occ_symbol: 2})
    assert kinds(looked([trade], broker, resting=frozenset())) == []


def test_a_foreign_sell_takes_the_inventory_and_is_only_told() -> None:
    trade = holding()
    broker = shown(
        [*reports(trade, stop_loss={"status": Word.CANCELLED}, take_profit={"status": Word.CANCELLED}),
         somebodys("900", trade)],
        {trade.occ_symbol: 2},
    )  # fmt: skip
    after = looked([trade], broker)
    assert kinds(after) == ["foreign"]
    assert after.found[0].broker_order_ids == ("900",)
    assert Finding.FOREIGN not in REPAIRED


def test_exits_for_another_quantity_do_not_fit() -> None:
    trade = holding(qty=3)
    broker = shown(reports(trade, stop_loss={"qty": 2}, take_profit={"qty": 2}), {trade.occ_symbol: 3})
    assert kinds(looked([trade], broker)) == ["exit_qty"]


def test_an_order_of_a_trade_that_is_over_is_an_orphan() -> None:
    trade = closed(holding())
    after = looked([trade], shown(reports(trade, take_profit=FILLED), {}))
    assert kinds(after) == ["orphan"]
    assert after.found[0].broker_order_ids == ("12",)


def test_both_legs_filled_is_a_short() -> None:
    trade = holding()
    after = looked([trade], shown(reports(trade, take_profit=FILLED, stop_loss=FILLED), {trade.occ_symbol: -2}))
    assert kinds(after) == ["short"]


def test_a_sale_by_hand_beside_our_target_is_a_short_of_the_trade_that_is_over() -> None:
    trade = closed(holding())
    ours = reports(trade, take_profit=FILLED, stop_loss={"status": Word.CANCELLED})
    sold = [replace(one, qty=2, filled_qty=2 if one.role is not OrderRole.STOP_LOSS else 0) for one in trade.orders]
    flat = replace(trade, orders=tuple(sold))
    broker = shown([*ours, somebodys("900", trade, **FILLED)], {trade.occ_symbol: -2})
    assert kinds(looked([flat], broker)) == ["short"]
    on_purpose = somebodys("900", trade, side=OrderSide.SELL_TO_OPEN, **FILLED)
    assert kinds(looked([flat], shown([*ours, on_purpose], {trade.occ_symbol: -2}))) == []
    # The day after, no list shows who sold it: that is told, of the trade that held it and of no later one.
    never_filled = replace(
        closed(holding(2)),
        occ_symbol=trade.occ_symbol,
        orders=tuple(replace(one, status=OrderStatus.CANCELLED, filled_qty=0) for one in holding(2).orders),
    )
    (told,) = looked([flat, never_filled], shown(ours, {trade.occ_symbol: -2})).found
    assert (told.kind, told.trade_id) == ("short", flat.trade_id)


def test_what_somebody_sold_is_explained_by_their_order() -> None:
    trade = holding()
    sale = somebodys("900", trade, **FILLED)
    gone = looked([trade], shown([*reports(trade), sale], {}))
    assert (kinds(gone), gone.found[0].broker_order_ids) == (["vanished"], ("900",))
    part = looked([trade], shown([*reports(trade), replace(sale, exec_qty=1)], {trade.occ_symbol: 1}))
    assert kinds(part) == ["mismatch"]


def test_a_sale_by_hand_that_goes_on_after_its_part_was_taken_is_neither_doubted_nor_ours() -> None:
    trade = holding(qty=4)
    part = OurOrder(
        trade_id="t1",
        role=OrderRole.CLOSE,
        status=OrderStatus.FILLED,
        tag=f"{NOT_OURS}900-1",
        broker_order_id="900",
        qty=2,
        filled_qty=2,
    )
    exits = [replace(one, status=OrderStatus.CANCELLED) for one in trade.orders[1:]]
    cut = replace(trade, orders=(trade.orders[0], *exits, part), protection=Protection.NAKED)
    dead = {"status": Word.CANCELLED}
    ours = [one for one in reports(cut, stop_loss=dead, take_profit=dead) if one.id != "900"]
    works = somebodys("900", trade, qty=4, exec_qty=2, status=Word.PARTIALLY_FILLED)
    after = looked([cut], shown([*ours, works], {trade.occ_symbol: 2}))
    assert (kinds(after), after.doubt) == (["foreign"], None)
    done = looked([cut], shown([*ours, replace(works, exec_qty=4, status=Word.FILLED)], {}))
    assert (kinds(done), done.doubt) == (["vanished"], None)
    gone = looked([cut], shown([*ours, replace(works, status=Word.CANCELLED)], {}))
    assert gone.doubt is not None


def test_a_target_that_filled_a_moment_ago_explains_its_own_position() -> None:
    trade = holding()
    after = looked([trade], shown(reports(trade, take_profit=FILLED, stop_loss={"status": Word.CANCELLED}), {}))
    assert (kinds(after), after.doubt) == ([], None)


def test_positions_that_vanish_unexplained_make_the_view_doubtful_and_only_history_is_asked_for() -> None:
    trade = holding()
    first = looked([trade], shown(reports(trade), {}))
    assert [(one.kind, one.trade_id) for one in first.found] == [("doubtful", trade.trade_id)]
    assert first.doubt is not None
    # Agreeing on the same gap ends nothing.
    second = looked([trade], shown(reports(trade), {}), earlier=first.standing, doubt=first.doubt)
    assert second.doubt is not None
    assert [one.stands for one in second.standing] == [True]
    # What a flow has in hand, or changed a moment ago, is not asked about.
    assert looked([trade], shown(reports(trade), {}), doubt=first.doubt, resting=frozenset()).found == ()
    assert second.doubt.since_at == first.doubt.since_at


def test_a_shortfall_that_orders_has_told_says_nothing_against_the_rest_of_the_account() -> None:
    gone, bare = holding(), holding(2)
    orders = [*reports(gone), *reports(bare, stop_loss=None, take_profit=None)]
    broker = shown(orders, {bare.occ_symbol: 2})
    assert looked([gone, bare], broker).doubt is not None
    after = looked([gone, bare], broker, short_known=frozenset({gone.trade_id}))
    assert (sorted(kinds(after)), after.doubt) == (["doubtful", "naked"], None)
    short = shown(orders, {gone.occ_symbol: -1, bare.occ_symbol: 2})
    assert "short" in kinds(looked([gone, bare], short, short_known=frozenset({gone.trade_id})))


def test_a_contract_that_became_another_keeps_its_trade() -> None:
    trade = holding()
    successor = trade.occ_symbol.replace("SPY", "SPY1")
    after = looked([trade], shown(reports(trade, stop_loss=None, take_profit=None), {successor: 2}))
    assert (kinds(after), after.found[0].successor_occ) == (["corporate_action"], successor)


def test_shares_in_the_place_of_contracts_explain_them() -> None:
    trade = holding()
    after = looked([trade], shown(reports(trade), {"SPY": 200}))
    assert (kinds(after), after.doubt) == (["vanished"], None)


def test_an_empty_list_that_was_not_empty_today_is_doubted() -> None:
    trade = holding()
    broker = shown([], {trade.occ_symbol: 2})
    assert looked([trade], broker, listed_before=True).doubt is not None
    assert looked([trade], broker, listed_before=False).doubt is None


def test_a_list_without_an_order_of_today_is_doubted() -> None:
    trade = holding()
    found = reports(trade)
    broker = shown(found, {trade.occ_symbol: 2}, listed=frozenset({"10", "11"}))
    after = looked([trade], broker)
    assert after.doubt is not None
    assert "lacks order 12" in after.doubt.reason
    older = [replace(one, created_at=NOW - timedelta(days=3)) for one in found]
    assert looked([trade], replace(broker, orders=tuple(older))).doubt is None


def test_a_list_that_shows_an_order_as_it_was_before_is_doubted() -> None:
    trade = holding()
    broker = shown(reports(trade, entry={"status": Word.OPEN, "exec_qty": 0}), {trade.occ_symbol: 2})
    assert looked([trade], broker).doubt is not None


def test_doubt_ends_when_two_full_reads_without_a_reason_agree() -> None:
    trade = holding()
    well = shown(reports(trade), {trade.occ_symbol: 2})
    doubt: Doubt | None = Doubt(since_at=NOW, reason="x")
    doubt = looked([trade], well, doubt=doubt).doubt
    assert doubt is not None
    changed = shown(reports(trade), {trade.occ_symbol: 2, "AAPL": 1})
    doubt = looked([trade], changed, doubt=doubt).doubt
    assert doubt is not None
    assert looked([trade], changed, doubt=doubt).doubt is None


def test_a_wiped_account_is_one_of_whose_orders_the_broker_knows_none() -> None:
    trades = [holding(1), holding(2)]
    gone = shown([], {}, unknown=frozenset({"t1", "t2"}))
    assert kinds(looked(trades, gone, listed_before=True)) == ["sandbox_wipe", "sandbox_wipe"]
    some = looked(trades, replace(gone, unknown=frozenset({"t1"})))
    assert (kinds(some), some.doubt is not None) == (["doubtful", "doubtful"], True)
    live = [replace(trade, broker_mode=BrokerMode.TRADIER_LIVE) for trade in trades]
    assert looked(live, gone).doubt is not None


# ── properties ───────────────────────────────────────────────────────────────────────────────────────────────────────

LEG = st.sampled_from([
    {}, {"status": Word.CANCELLED}, {"status": Word.FILLED, "exec_qty": 2}, {"exec_qty": 1}, {"qty": 1}, None,
])  # fmt: skip
HAND = st.sampled_from([None, {}, {"status": Word.FILLED, "exec_qty": 2}])
CASES = st.lists(st.tuples(LEG, LEG, HAND, st.integers(-2, 3), st.booleans()), min_size=1, max_size=4)


def build(cases: list[Any], seed: int = 0) -> tuple[list[OurTrade], Any]:
    """Write an account out of drawn cases, listed in any order."""
    trades, orders, positions = [], [], {}
    for number, (stop, target, hand, position, over) in enumerate(cases, start=1):
        trade = holding(number)
        orders += reports(trade, stop_loss=stop, take_profit=target)
        if hand is not None:
            orders.append(somebodys(f"9{number}", trade, **hand))
        positions[trade.occ_symbol] = position
        trades.append(closed(trade) if over else trade)
    random.Random(seed).shuffle(orders)
    return trades, shown(orders, positions)


@given(CASES)
@settings(max_examples=150, deadline=None)
def test_a_report_fed_twice_changes_nothing(cases: list[Any]) -> None:
    trades, broker = build(cases)
    first = looked(trades, broker)
    again = looked(trades, broker, first.standing, first.doubt)
    assert again.found == first.found
    third = looked(trades, broker, again.standing, again.doubt)
    assert [replace(one, looks=0) for one in third.standing] == [replace(one, looks=0) for one in again.standing]


@given(CASES, st.integers(0, 1000))
@settings(max_examples=150, deadline=None)
def test_the_order_of_reports_does_not_matter(cases: list[Any], seed: int) -> None:
    trades, broker = build(cases)
    other_trades, other = build(cases, seed)
    assert looked(trades, broker) == looked(list(reversed(other_trades)), other)


@given(CASES)
@settings(max_examples=150, deadline=None)
def test_nothing_is_found_while_the_view_is_doubtful_but_what_history_may_explain(cases: list[Any]) -> None:
    trades, broker = build(cases)
    after = looked(trades, broker, doubt=Doubt(since_at=NOW, reason="x"))
    if after.doubt is not None:
        assert {one.kind for one in after.found} <= {"doubtful"}
        assert len(after.standing) == len(after.found)


@given(CASES)
@settings(max_examples=150, deadline=None)
def test_after_its_findings_are_carried_out_a_second_run_finds_nothing(cases: list[Any]) -> None:
    trades, broker = build(cases)
    first = looked(trades, broker)
    if first.doubt is not None:
        return
    repaired, fixed = carried_out(trades, broker, {one.trade_id: one for one in first.found if one.kind in REPAIRED})
    after = looked(repaired, fixed)
    assert [one for one in after.found if one.kind in REPAIRED] == []
    assert after.doubt is None


def carried_out(trades: list[OurTrade], broker: Any, found: dict[str | None, Any]) -> tuple[list[OurTrade], Any]:
    """Play orders: end what is gone, cancel what is orphaned, cover what is short, protect what is bare."""
    ours = {order.broker_order_id for trade in trades for order in trade.orders}
    orders = [one for one in broker.orders if one.id not in ours]
    positions = {symbol: int(qty) for symbol, qty in broker.positions.items()}
    after = []
    for trade in trades:
        mine = [one for one in broker.orders if one.id in {order.broker_order_id for order in trade.orders}]
        one = found.get(trade.trade_id)
        if one is None:
            after.append(trade)
            orders += mine
            continue
        position = max(positions[trade.occ_symbol], 0)
        positions[trade.occ_symbol] = position
        if one.kind in (Finding.SHORT, Finding.VANISHED, Finding.ORPHAN) or position == 0:
            over = closed(trade)
            after.append(over)
            orders += [replace(order, status=Word.CANCELLED) if order.status is Word.OPEN else order for order in mine]
            continue
        after.append(refitted(trade, position))
        orders += reports(after[-1])
    return after, shown(orders, positions)


def refitted(trade: OurTrade, qty: int) -> OurTrade:
    """Give a trade exits for what is there; the rest was sold by an order that is ours now."""
    sold = replace(trade.orders[1], role=OrderRole.CLOSE, status=OrderStatus.FILLED, broker_order_id=None,
                   qty=2, filled_qty=2 - qty)  # fmt: skip
    exits = [replace(order, qty=qty) for order in trade.orders[1:]]
    return replace(trade, orders=(trade.orders[0], *exits, sold), key_version=trade.key_version + 1)


def test_a_hand_that_buys_is_foreign_and_never_a_finding_of_ours() -> None:
    trade = holding()
    buy = somebodys("900", trade, side=OrderSide.BUY_TO_OPEN, **FILLED)
    assert kinds(looked([trade], shown([*reports(trade), buy], {trade.occ_symbol: 4}))) == []
