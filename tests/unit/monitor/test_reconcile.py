"""The reconcile's invariants, by example and by property."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderType
from libs.broker.orders import OrderStatus as Word
from libs.common.messages.vocabulary import BrokerMode, OrderRole, OrderStatus, TradeStatus
from services.monitor.reconcile import (
    Findings,
    OurOrder,
    OurTrade,
    Seen,
    crosses_exit,
    is_hot,
    is_over,
    reconcile,
    to_ask,
)

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
OCC = "SPY261218C00650000"


def an_order(role: OrderRole = OrderRole.ENTRY, **changes: object) -> OurOrder:
    order = OurOrder(
        trade_id="t1", role=role, status=OrderStatus.WORKING, tag="bk-entry", broker_order_id="10", qty=2, filled_qty=0
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def a_trade(*orders: OurOrder, status: TradeStatus = TradeStatus.OPEN) -> OurTrade:
    return OurTrade(
        trade_id="t1",
        username="ann",
        broker_mode=BrokerMode.PAPER,
        account_id="VA1",
        ticker="SPY",
        occ_symbol=OCC,
        status=status,
        sl_price=Decimal("3.00"),
        tp_price=Decimal("6.00"),
        orders=orders or (an_order(),),
        key_version=4,
    )


def a_report(order_id: str = "10", **changes: object) -> OrderReport:
    report = OrderReport(
        id=order_id,
        order_class=OrderClass.OPTION,
        status=Word.OPEN,
        raw_status="open",
        side=OrderSide.BUY_TO_OPEN,
        type=OrderType.LIMIT,
        occ_symbol=OCC,
        qty=2,
    )
    return replace(report, **changes)  # type: ignore[arg-type]


def a_bracket(stop: Word = Word.OPEN, target: Word = Word.OPEN, filled: int = 0) -> OrderReport:
    sell = {"side": OrderSide.SELL_TO_CLOSE, "parent_id": "20"}
    legs = (
        a_report("21", type=OrderType.LIMIT, status=target, **sell),
        a_report(
            "22",
            type=OrderType.STOP,
            status=stop,
            exec_qty=filled,
            avg_fill_price=Decimal("3.00") if filled else None,
            **sell,
        ),
    )
    return OrderReport(
        id="20", order_class=OrderClass.OCO, status=Word.OPEN, raw_status="open", tag="bk-exits", legs=legs
    )


def seen_after(findings: Findings, before: dict[str, Seen] | None = None) -> dict[str, Seen]:
    told = {
        fact.order_key: Seen(
            order_key=fact.order_key,
            status=fact.status,
            filled_qty=fact.filled_qty,
            avg_fill_price=fact.avg_fill_price,
            key_version=version,
        )
        for fact, version in findings.changed
    }
    return {**(before or {}), **told}


def test_a_fill_of_the_entry_is_told_once() -> None:
    filled = a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal("4.20"))
    first = reconcile([a_trade()], {}, [filled], NOW)
    ((fact, version),) = first.changed
    assert (fact.trade_id, fact.role, fact.status) == ("t1", OrderRole.ENTRY, OrderStatus.FILLED)
    assert (fact.filled_qty, fact.avg_fill_price, version) == (2, Decimal("4.20"), 1)
    assert reconcile([a_trade()], seen_after(first), [filled], NOW).changed == ()


def test_a_fill_without_its_price_is_read_again_and_not_told() -> None:
    findings = reconcile([a_trade()], {}, [a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=None)], NOW)
    assert findings.changed == ()
    assert findings.unpriced == ("10",)


def test_each_leg_is_an_order_of_its_own_with_its_role() -> None:
    exits = (
        an_order(OrderRole.STOP_LOSS, tag="bk-exits", broker_order_id=None),
        an_order(OrderRole.TAKE_PROFIT, tag="bk-exits", broker_order_id=None),
    )
    told = reconcile([a_trade(*exits)], {}, [a_bracket(stop=Word.FILLED, filled=2)], NOW).changed
    assert {(fact.broker_order_id, fact.role, fact.status) for fact, _ in told} == {
        ("21", OrderRole.TAKE_PROFIT, OrderStatus.WORKING),
        ("22", OrderRole.STOP_LOSS, OrderStatus.FILLED),
    }
    assert {fact.parent_broker_order_id for fact, _ in told} == {"20"}


def test_an_unknown_entry_is_found_by_its_tag() -> None:
    trade = a_trade(an_order(status=OrderStatus.UNKNOWN, broker_order_id=None))
    ((fact, _),) = reconcile([trade], {}, [a_report("77", tag="bk-entry")], NOW).changed
    assert (fact.broker_order_id, fact.role) == ("77", OrderRole.ENTRY)


def test_somebody_elses_orders_are_not_told() -> None:
    findings = reconcile([a_trade()], {}, [a_report("99", tag="theirs"), a_report("98")], NOW)
    assert findings.changed == ()
    assert findings.reported == {"98", "99"}


def test_a_report_from_before_is_stale() -> None:
    first = reconcile([a_trade()], {}, [a_report(status=Word.CANCELLED, exec_qty=1, avg_fill_price=Decimal(4))], NOW)
    seen = seen_after(first)
    assert reconcile([a_trade()], seen, [a_report(status=Word.OPEN)], NOW).stale == 1
    assert reconcile([a_trade()], seen, [a_report(status=Word.CANCELLED, exec_qty=0)], NOW).stale == 1


def test_absence_only_asks() -> None:
    findings = reconcile([a_trade()], {}, [], NOW)
    assert findings.changed == ()
    assert to_ask([a_trade()], findings.reported, {}) == ("10",)
    assert to_ask([a_trade(an_order(status=OrderStatus.FILLED))], findings.reported, {}) == ()


def test_hot_while_something_is_about_to_happen() -> None:
    filled = an_order(status=OrderStatus.FILLED, filled_qty=2)
    assert is_hot(a_trade())
    assert not is_hot(a_trade(filled, status=TradeStatus.FILLED))
    assert is_hot(a_trade(filled, status=TradeStatus.CLOSING))
    assert crosses_exit(a_trade(), Decimal("3.00"))
    assert crosses_exit(a_trade(), Decimal("6.10"))
    assert not crosses_exit(a_trade(), Decimal("4.00"))


def test_over_only_when_every_order_is() -> None:
    working = an_order(OrderRole.STOP_LOSS)
    assert not is_over(a_trade(working, status=TradeStatus.CLOSED))
    assert is_over(a_trade(replace(working, status=OrderStatus.CANCELLED), status=TradeStatus.CLOSED))


reports = st.lists(
    st.builds(
        lambda order_id, word, executed, priced: a_report(
            order_id, status=word, exec_qty=executed, avg_fill_price=Decimal(4) if priced and executed else None
        ),
        st.sampled_from(["10", "11", "12"]),
        st.sampled_from(list(Word)),
        st.integers(0, 2),
        st.booleans(),
    ),
    unique_by=lambda report: report.id,
)
TRADE = a_trade(
    an_order(), an_order(broker_order_id="11", tag="bk-a"), an_order(OrderRole.CLOSE, broker_order_id="12", tag="bk-b")
)


@given(reports)
def test_any_report_fed_twice_changes_nothing(found: list[OrderReport]) -> None:
    first = reconcile([TRADE], {}, found, NOW)
    assert reconcile([TRADE], seen_after(first), found, NOW).changed == ()


@given(reports.flatmap(lambda found: st.tuples(st.just(found), st.permutations(found))))
def test_the_order_of_reports_does_not_matter(both: tuple[list[OrderReport], list[OrderReport]]) -> None:
    assert reconcile([TRADE], {}, both[0], NOW) == reconcile([TRADE], {}, both[1], NOW)


@given(st.lists(reports, max_size=6))
def test_what_is_told_never_falls(history: list[list[OrderReport]]) -> None:
    seen: dict[str, Seen] = {}
    for found in history:
        findings = reconcile([TRADE], seen, found, NOW)
        for fact, version in findings.changed:
            last = seen.get(fact.order_key)
            assert last is None or (fact.filled_qty >= last.filled_qty and version == last.key_version + 1)
        seen = seen_after(findings, seen)


def exits(**changes: object) -> tuple[OurOrder, OurOrder]:
    return (
        an_order(OrderRole.STOP_LOSS, **{"tag": "bk-exits", "broker_order_id": None, **changes}),
        an_order(OrderRole.TAKE_PROFIT, **{"tag": "bk-exits", "broker_order_id": None, **changes}),
    )


def test_an_order_that_is_not_accepted_yet_is_no_news_until_it_executes() -> None:
    for word in (Word.PENDING, Word.HELD, Word.ERROR, Word.UNRECOGNISED):
        assert reconcile([a_trade()], {}, [a_report(status=word)], NOW).changed == ()
        half = a_report(status=word, exec_qty=1, avg_fill_price=Decimal(4))
        ((fact, _),) = reconcile([a_trade()], {}, [half], NOW).changed
        assert (fact.status, fact.filled_qty) == (OrderStatus.PARTIAL, 1)


def test_a_leg_that_is_listed_beside_its_group_keeps_its_role() -> None:
    stop = a_report("22", type=OrderType.STOP, side=OrderSide.SELL_TO_CLOSE, parent_id="20", tag="bk-exits")
    target = a_report("21", type=OrderType.LIMIT, side=OrderSide.SELL_TO_CLOSE, parent_id="20", tag="bk-exits")
    by_tag = a_trade(*exits())
    by_group = a_trade(*exits(tag="lost", broker_order_id="20"))
    for trade in (by_tag, by_group):
        told = reconcile([trade], {}, [target, stop], NOW).changed
        assert {(fact.broker_order_id, fact.role, fact.parent_broker_order_id) for fact, _ in told} == {
            ("21", OrderRole.TAKE_PROFIT, "20"),
            ("22", OrderRole.STOP_LOSS, "20"),
        }


def test_three_legs_of_one_group_are_three_orders() -> None:
    group = a_bracket()
    entry = a_report("23", parent_id="20", status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal(4))
    otoco = replace(group, order_class=OrderClass.OTOCO, legs=(entry, *group.legs), tag="bk-group")
    ours = a_trade(an_order(tag="bk-group", broker_order_id=None), *exits(tag="bk-group"))
    told = reconcile([ours], {}, [otoco], NOW).changed
    assert {(fact.broker_order_id, fact.role) for fact, _ in told} == {
        ("23", OrderRole.ENTRY),
        ("22", OrderRole.STOP_LOSS),
        ("21", OrderRole.TAKE_PROFIT),
    }


def test_the_groups_words_tell_why_a_leg_was_refused() -> None:
    refused = replace(a_bracket(Word.REJECTED, Word.REJECTED), reason="too near the market")
    told = reconcile([a_trade(*exits())], {}, [refused], NOW).changed
    assert {fact.reason for fact, _ in told} == {"too near the market"}


def test_legs_are_asked_by_their_group_once() -> None:
    stop, target = exits()
    ours = a_trade(replace(stop, broker_order_id="22"), replace(target, broker_order_id="21"))
    assert to_ask([ours], frozenset(), {"21": "20", "22": "20"}) == ("20",)
    assert to_ask([ours], frozenset(), {}) == ("21", "22")
    assert to_ask([ours], frozenset({"20", "21", "22"}), {"21": "20", "22": "20"}) == ()


@given(st.integers(1, 30), st.integers(1, 10))
def test_what_one_cycle_cannot_ask_another_does(orders: int, most: int) -> None:
    ours = a_trade(*(an_order(broker_order_id=str(number), tag=f"bk-{number}") for number in range(orders)))
    rounds = [to_ask([ours], frozenset(), {}, most=most, turn=turn) for turn in range(7, 7 + orders)]
    assert all(len(asked) <= most and len(set(asked)) == len(asked) for asked in rounds)
    assert {order_id for asked in rounds for order_id in asked} == {str(number) for number in range(orders)}


brackets = st.builds(
    a_bracket,
    st.sampled_from(list(Word)),
    st.sampled_from(list(Word)),
    st.integers(0, 2),
)


@given(st.lists(brackets, min_size=1, max_size=6), st.booleans(), st.booleans())
def test_legs_never_change_their_role_nor_lose_a_fill(
    history: list[OrderReport], is_known_by_id: bool, is_flat: bool
) -> None:
    known = {"broker_order_id": "20", "tag": "lost"} if is_known_by_id else {}
    trade, seen = a_trade(*exits(**known)), dict[str, Seen]()
    for group in history:
        listed = [replace(leg, tag=group.tag) for leg in group.legs] if is_flat else [group]
        findings = reconcile([trade], seen, listed, NOW)
        for fact, _ in findings.changed:
            assert fact.role is (OrderRole.STOP_LOSS if fact.broker_order_id == "22" else OrderRole.TAKE_PROFIT)
            last = seen.get(fact.order_key)
            assert last is None or fact.filled_qty >= last.filled_qty
        seen = seen_after(findings, seen)
        assert reconcile([trade], seen, listed, NOW).changed == ()


def test_an_order_in_two_trades_is_news_of_the_one_that_holds_it() -> None:
    over = a_trade(status=TradeStatus.CLOSED)
    held = replace(a_trade(an_order(trade_id="t2"), status=TradeStatus.FILLED), trade_id="t2")
    later = replace(held, trade_id="t3", status=TradeStatus.CLOSED)
    report = a_report(status=Word.FILLED, exec_qty=2, avg_fill_price=Decimal("4.20"))
    for trades, owner in (((over, held), "t2"), ((held, later, over), "t2"), ((later, over), "t3")):
        for order in (trades, trades[::-1]):
            ((fact, _),) = reconcile(order, {}, [report], NOW).changed
            assert fact.trade_id == owner
