"""What monitor tells of an order is what orders reads of it itself: the two sides of `order_changed` held together."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from libs.broker.orders import OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as Word
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.vocabulary import Duration, OrderRole, OrderStatus
from services.monitor.reconcile import OurOrder, reconcile
from services.orders import reading
from services.orders.merging import Report
from services.orders.trade import Group, Order, View
from tests.unit.monitor.test_reconcile import NOW, a_report, a_trade, an_order, exits
from tests.unit.monitor.test_reconcile import brackets as groups


def stored(order: OurOrder, number: int, group: str | None) -> Order:
    """Write an order of ours as orders keeps it, sent and not yet known by the broker's id unless it is."""
    is_stop, is_entry = order.role is OrderRole.STOP_LOSS, order.role is OrderRole.ENTRY
    return Order(
        id=f"o{number}",
        trade_id=order.trade_id,
        username="ann",
        role=order.role,
        tag=order.tag,
        status=OrderStatus.SENT,
        sent_as=Group.SINGLE if is_entry else Group.OCO,
        type=OrderType.STOP if is_stop else OrderType.LIMIT,
        duration=Duration.GTC,
        qty=order.qty,
        broker_order_id=order.broker_order_id,
        group_order_id=group,
        created_at=NOW,
    )


def both_sides(ours: tuple[OurOrder, ...], group: str | None, listed: OrderReport) -> tuple[object, object]:
    """Tell what orders reads of a list itself, and what it reads of monitor's facts of the same list."""
    orders = tuple(stored(order, number, group) for number, order in enumerate(ours))
    view = cast("View", SimpleNamespace(orders=orders))
    accepted = [report for report in reading.reports_of(orders, listed) if not report.is_pending or report.filled_qty]
    facts = [OrderChanged.model_validate_json(fact.model_dump_json()) for fact in told(ours, listed)]
    heard = [report for fact in facts if (report := reading.report_of_fact(view, fact)) is not None]
    assert len(heard) == len(facts), "orders did not find whose order a fact is"
    return {summary(report) for report in accepted}, {summary(report) for report in heard}


def told(ours: tuple[OurOrder, ...], listed: OrderReport) -> list[OrderChanged]:
    return [fact for fact, _ in reconcile([a_trade(*ours)], {}, [listed], NOW).changed]


def summary(report: Report) -> tuple[object, ...]:
    status = OrderStatus.WORKING if report.status is OrderStatus.PARTIAL else report.status
    price = report.avg_price if report.filled_qty else None
    identity = (report.order_id, report.broker_order_id, report.group_order_id)
    return (*identity, status, report.filled_qty, price, report.reason, report.broker_at)


@given(groups, st.booleans(), st.sampled_from([None, "no such price"]))
def test_a_bracket_reads_the_same_from_facts_and_from_the_list(
    group: OrderReport, is_group_known: bool, reason: str | None
) -> None:
    own, heard = both_sides(exits(), "20" if is_group_known else None, replace(group, reason=reason))
    assert heard == own


@given(st.sampled_from(list(Word)), st.integers(0, 2), st.booleans())
def test_an_entry_reads_the_same_from_facts_and_from_the_list(word: Word, executed: int, is_known: bool) -> None:
    listed = a_report("10", status=word, exec_qty=executed, tag="bk-entry", avg_fill_price=4 if executed else None)
    ours = an_order(broker_order_id="10" if is_known else None)
    own, heard = both_sides((ours,), "10" if is_known else None, listed)
    assert heard == own


def test_a_close_is_not_taken_for_a_stop() -> None:
    close = an_order(OrderRole.CLOSE, tag="bk-close", broker_order_id=None)
    listed = a_report("30", side=OrderSide.SELL_TO_CLOSE, type=OrderType.MARKET, tag="bk-close")
    (fact,) = told((*exits(), close), listed)
    assert fact.role is OrderRole.CLOSE
