"""A look at the broker: what it proves about a trade, and what it does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderStatus, OrderType
from libs.broker.reports import PositionReport
from libs.common.messages.orders import RepairTrade
from libs.common.messages.vocabulary import BrokerMode, CloseReason, Finding, Protection, TradeStatus
from libs.common.messages.vocabulary import OrderStatus as Status
from services.orders import asking, concerns, protecting, repairing
from services.orders.contract import Beside
from services.orders.merging import NOT_PLACED
from services.orders.plan import is_running, next_step
from services.orders.repairing import Looked, Standing
from services.orders.steps import Inspect, Moment, Wait
from services.orders.trade import ActionState, View
from tests.unit.orders.views import NOW, OCC, filled, protected

LATER = NOW + timedelta(seconds=60)
NUMBERS = count(1)


def new_id() -> str:
    return f"id-{next(NUMBERS):08d}"


def sale(qty: int = 2, *, side: OrderSide = OrderSide.SELL_TO_CLOSE, **changes: Any) -> OrderReport:
    values: dict[str, Any] = {
        "id": "700",
        "order_class": OrderClass.OPTION,
        "status": OrderStatus.FILLED,
        "raw_status": "filled",
        "side": side,
        "type": OrderType.MARKET,
        "occ_symbol": OCC,
        "qty": qty,
        "exec_qty": qty,
        "avg_fill_price": Decimal("4.50"),
        "transaction_at": NOW + timedelta(seconds=30),
    }
    return OrderReport(**values | changes)


def resting(**changes: Any) -> OrderReport:
    values: dict[str, Any] = {"exec_qty": 0, "avg_fill_price": None, "status": OrderStatus.OPEN, "raw_status": "open"}
    return sale(**values | changes)


def looked(position: int, *orders: OrderReport, symbol: str = OCC, **more: Any) -> Looked:
    held = (PositionReport(symbol=symbol, qty=Decimal(position), cost_basis_usd=Decimal(0)),) if position else ()
    return Looked(held, orders, **more)


def known(view: View, seen: Looked) -> View:
    return repairing.known(view, seen, Moment(LATER), new_id=new_id)


def asked(view: View, finding: Finding, **more: Any) -> View:
    command = RepairTrade(trade_id="t1", finding=finding, seen_key_version=0, **more)
    return asking.with_repair(view, command, action_id="r1", now=LATER)


# ── when ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_finding_about_an_older_row_or_beside_a_flow_is_left_alone() -> None:
    view = replace(protected(), key_version=5)
    assert repairing.standing(view, Finding.NAKED, 4, is_running=False) is Standing.MOVED_ON
    assert repairing.standing(view, Finding.NAKED, 5, is_running=True) is Standing.MOVED_ON
    assert repairing.standing(view, Finding.NAKED, 5, is_running=False) is Standing.STARTED
    assert repairing.standing(view, Finding.FOREIGN, 5, is_running=False) is Standing.NOTHING_TO_DO


def test_a_look_that_is_asked_for_is_a_running_flow_and_waits_for_a_safe_mark() -> None:
    view = asked(protected(), Finding.EXIT_QTY)
    assert next_step(view, Moment(LATER)) == Inspect("r1")
    assert is_running(view, Moment(LATER))
    closing = asking.with_close(
        view, action_id="c1", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=LATER
    )
    assert not isinstance(next_step(closing, Moment(LATER)), Inspect)


# ── what is missing ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_sale_of_somebody_else_ends_what_it_sold() -> None:
    view = known(protected(), looked(0, sale()))
    trade = view.trade
    assert (trade.status, trade.close_reason) == (TradeStatus.CLOSED, CloseReason.CLOSED_AT_BROKER)
    assert (trade.close_price, trade.realized_pnl) == (Decimal("4.5"), Decimal("60.00"))
    assert view.orders[-1].broker_order_id == "700"


def test_a_sale_of_a_part_leaves_the_rest_held() -> None:
    view = known(protected(qty=2), looked(1, sale(1)))
    assert (view.held_qty, view.trade.status, view.trade.shown_qty) == (1, TradeStatus.FILLED, None)


def test_a_sale_that_executes_in_two_parts_brings_what_the_broker_paid_for_both() -> None:
    first = sale(2, exec_qty=1, avg_fill_price=Decimal("1.00"), status=OrderStatus.PARTIALLY_FILLED)
    view = known(protected(), looked(1, first))
    explained = Beside(explained=(("700", 1),))
    both = sale(2, avg_fill_price=Decimal("1.05"))
    ended = known(view, looked(0, both, beside=explained))
    assert [order.avg_price for order in ended.orders if order.broker_order_id == "700"] == [
        Decimal("1.00"),
        Decimal("1.10"),
    ]
    cost = sum((order.avg_price or Decimal(0)) * order.filled_qty for order in ended.entry_orders)
    assert ended.trade.realized_pnl == (Decimal("2.10") - cost) * 100


def test_no_more_is_taken_than_is_missing() -> None:
    view = known(protected(), looked(1, sale(5)))
    assert view.held_qty == 1
    assert view.orders[-1].filled_qty == 1


@pytest.mark.parametrize(
    "order",
    [
        sale(transaction_at=NOW - timedelta(hours=1)),
        sale(occ_symbol="SPY261218C00660000"),
        sale(side=OrderSide.SELL_TO_OPEN),
        sale(status=OrderStatus.CANCELLED, exec_qty=0),
        sale(avg_fill_price=None),
    ],
    ids=["older", "another contract", "to open", "nothing executed", "no price yet"],
)
def test_what_explains_nothing_closes_nothing(order: OrderReport) -> None:
    view = known(protected(), looked(0, order))
    assert (view.trade.status, view.held_qty, view.trade.shown_qty) == (TradeStatus.FILLED, 2, 0)
    assert "shortfall" in [one.kind for one in concerns.found(view, Moment(LATER))]
    assert next_step(view, Moment(LATER)) == Wait()


def test_a_sale_that_another_trade_has_taken_explains_nothing() -> None:
    seen = looked(0, sale(), beside=Beside(explained=(("700", 2),)))
    assert known(protected(), seen).trade.status is TradeStatus.FILLED


def test_what_another_trade_of_the_contract_holds_is_not_ours() -> None:
    seen = looked(2, sale(), beside=Beside(held_qty=2))
    assert known(protected(), seen).trade.status is TradeStatus.CLOSED


def test_exits_are_cut_to_what_the_broker_shows_without_an_explanation() -> None:
    view = known(protected(), looked(1))
    assert (view.trade.shown_qty, view.sellable_qty, view.held_qty) == (1, 1, 2)
    assert not isinstance(next_step(view, Moment(LATER)), Wait)
    again = known(view, looked(2))
    assert (again.trade.shown_qty, again.sellable_qty) == (None, 2)


@settings(deadline=None)
@given(
    position=st.integers(-3, 4),
    sales=st.lists(st.integers(1, 4), max_size=3),
    working=st.integers(0, 3),
)
def test_a_look_fed_twice_changes_nothing_and_never_sells_more_than_is_there(
    position: int, sales: list[int], working: int
) -> None:
    orders = [sale(qty, id=f"7{n}0") for n, qty in enumerate(sales)]
    if working:
        orders.append(resting(qty=working, id="799"))
    once = known(protected(), looked(position, *orders))
    taken = tuple((o.broker_order_id or "", o.filled_qty) for o in once.orders if o.sent_as == "foreign")
    twice = known(once, looked(position, *orders, beside=Beside(explained=taken)))
    assert twice.orders == once.orders
    assert twice.trade == once.trade
    assert sum(qty for _, qty in taken) <= sum(sales)
    if once.trade.status is not TradeStatus.CLOSED and 0 < position < once.held_qty:
        assert once.sellable_qty == position
    if once.trade.status is TradeStatus.CLOSED:
        assert position < 2


# ── inventory that somebody else holds ───────────────────────────────────────────────────────────────────────────────


def test_a_stop_that_is_not_ours_shows_as_protection() -> None:
    view = filled()
    assert view.trade.protection is not Protection.PROTECTED
    view = known(view, looked(2, resting(qty=2, type=OrderType.STOP)))
    assert (view.trade.foreign_exit, view.trade.protection) == ("stop", Protection.PROTECTED)
    assert not repairing.may_protect(view)
    assert protecting.is_repair(view)
    assert "foreign_exit" in [one.kind for one in concerns.found(view, Moment(LATER))]


def test_a_target_that_is_not_ours_takes_inventory_and_protects_nothing() -> None:
    view = known(filled(), looked(2, resting(qty=2, type=OrderType.LIMIT)))
    assert (view.trade.foreign_exit, view.trade.protection) == ("other", Protection.PENDING)
    assert not repairing.may_protect(view)


def test_a_sell_of_contracts_beyond_ours_is_nobodys_business() -> None:
    view = known(filled(), looked(5, resting(qty=3)))
    assert view.trade.foreign_exit is None
    assert repairing.may_protect(view)


@pytest.mark.parametrize("asked_of", [(), ("TAKE_PROFIT",), ("TAKE_PROFIT", "STOP_LOSS")])
def test_exits_of_which_one_went_by_itself_are_looked_after_though_we_took_down_the_other(
    asked_of: tuple[str, ...],
) -> None:
    view = protected()
    for leg in view.live_bracket:
        cancel_at = LATER if leg.role in asked_of else None
        view = view.with_order(replace(leg, status=Status.CANCELLED, cancel_at=cancel_at))
    assert protecting.is_repair(view) is (len(asked_of) < 2)


def test_exits_that_went_by_themselves_are_looked_after_though_the_next_ones_never_left() -> None:
    view = protected()
    for leg in view.live_bracket:
        view = view.with_order(replace(leg, status=Status.CANCELLED))
    last = view.orders[-1]
    unsent = replace(last, id="again", tag="bk-again", reason=NOT_PLACED, broker_order_id=None, group_order_id=None)
    assert protecting.is_repair(replace(view, orders=(*view.orders, unsent)))
    assert not protecting.is_repair(replace(filled(), orders=(*filled().orders, unsent)))


# ── whole accounts ───────────────────────────────────────────────────────────────────────────────────────────────────


def wiped(view: View, seen: Looked) -> View:
    view = asked(view, Finding.SANDBOX_WIPE)
    return repairing.judged(view, "r1", seen, Moment(LATER), new_id=new_id)


def groups(view: View) -> frozenset[str]:
    return frozenset(order.group_order_id for order in view.orders if order.group_order_id)


def test_a_forgotten_account_ends_its_trades_at_the_last_mark() -> None:
    view = protected()
    view = replace(view, marks=replace(view.marks, current_price=Decimal("4.40")))
    view = wiped(view, looked(0, gone=groups(view)))
    trade = view.trade
    assert (trade.status, trade.trigger_precision, trade.reason) == (TradeStatus.CLOSED, "ESTIMATED", "SANDBOX_WIPE")
    assert (trade.close_price, trade.realized_pnl, view.held_qty) == (Decimal("4.4"), Decimal("40.00"), 0)
    assert all(order.is_terminal for order in view.orders)


def test_no_live_account_is_ever_taken_for_wiped() -> None:
    view = protected(broker_mode=BrokerMode.TRADIER_LIVE)
    assert wiped(view, looked(0, gone=groups(view))).trade.status is TradeStatus.FILLED


def test_an_account_that_still_knows_an_order_was_not_wiped() -> None:
    view = protected()
    some = frozenset(list(groups(view))[:1])
    assert wiped(view, looked(0, gone=some)).trade.status is TradeStatus.FILLED
    assert wiped(view, looked(2, gone=groups(view))).trade.status is TradeStatus.FILLED


def succeeded(position: int, symbol: str) -> View:
    view = asked(protected(), Finding.CORPORATE_ACTION, successor_occ=symbol)
    seen = looked(position, symbol=symbol)
    return repairing.judged(view, "r1", seen, Moment(LATER), new_id=new_id)


def test_after_a_corporate_action_nothing_is_placed_any_more() -> None:
    view = succeeded(2, "SPY1261218C00650000")
    assert view.trade.successor_occ == "SPY1261218C00650000"
    bare = replace(view, orders=view.entry_orders)
    assert protecting.is_repair(bare)
    assert not repairing.may_protect(bare)
    assert "corporate_action" in [one.kind for one in concerns.found(view, Moment(LATER))]


@pytest.mark.parametrize(("position", "symbol"), [(1, "SPY1261218C00650000"), (2, "QQQ1261218C00650000"), (2, OCC)])
def test_what_does_not_look_like_a_successor_is_none(position: int, symbol: str) -> None:
    assert succeeded(position, symbol).trade.successor_occ is None
