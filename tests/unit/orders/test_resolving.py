"""What a person says of an unknown order counts only when the broker shows that it can be so."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.orders import OrderReport, OrderSide, OrderStatus
from libs.common.errors import IllegalTransition, InvalidInput
from libs.common.messages.vocabulary import CloseReason, TradeStatus
from libs.common.messages.vocabulary import OrderStatus as Ours
from services.orders import resolving
from services.orders.evidence import Known, Seen
from services.orders.resolving import Asker
from services.orders.steps import Moment
from services.orders.trade import View
from tests.unit.orders.test_evidence import LATER, TOMORROW, held, listed, one_we_know, sale, unknown, unknown_sale
from tests.unit.orders.views import NOW, OCC, filled

ANN = Asker("ann", "a browser")


def named(view: View, report: OrderReport, owner: tuple[str, str] | None = None) -> str:
    return resolving.named(view, report, owner, Moment(LATER))


def check_none(
    view: View, *orders: OrderReport, position: int = 0, known: Known | None = None, at: Any = LATER
) -> None:
    seen = Seen(orders=orders, positions=held(position), known=known or Known(), venue_at=at)
    resolving.check_none(view, (seen,), Moment(at))


def test_nothing_is_resolved_where_nothing_is_unknown() -> None:
    with pytest.raises(IllegalTransition):
        resolving.unknown_tags(filled())


@pytest.mark.parametrize("tag", [None, "bk-entry"])
def test_an_order_that_fits_is_taken_for_ours_and_the_story_says_who_said_so(tag: str | None) -> None:
    view = unknown()
    report = listed(tag=tag, status=OrderStatus.FILLED, exec_qty=2, avg_fill_price=Decimal("4.20"))
    assert named(view, report) == "bk-entry"
    settled = resolving.as_named(view, "bk-entry", report, ANN, Moment(LATER))
    assert (settled.trade.status, settled.trade.tradier_order_id) == (TradeStatus.FILLED, "900")
    told = settled.events[-4:]
    assert any(event.actor == "user" and "ann" in event.text and event.data["via"] == "a browser" for event in told)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"qty": 3}, "buy_to_open 3"),
        ({"side": OrderSide.SELL_TO_CLOSE}, "sell_to_close 2"),
        ({"occ_symbol": "SPY261218P00650000"}, "SPY261218P00650000"),
        ({"created_at": NOW - timedelta(minutes=1)}, "before ours was sent"),
        ({"tag": "bk-other"}, "bk-other"),
        ({"tag": "somebody"}, "somebody"),
        ({"parent_id": "899"}, "leg of order 899"),
        ({"legs": (listed(id="901"), listed(id="902"))}, "with"),
    ],
)
def test_an_order_that_does_not_fit_is_refused_by_what_it_is(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        named(unknown(), listed(**{"tag": None} | changes))


@pytest.mark.parametrize(
    ("owner", "words"), [(("t2", "bk-x"), "another trade"), (("t1", "bk-old"), "another write of this trade")]
)
def test_an_order_that_is_known_already_is_refused(owner: tuple[str, str], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        named(unknown(), listed(tag=None), owner)


def test_none_counts_against_an_honest_list_and_an_unchanged_position() -> None:
    view = unknown()
    check_none(view)
    settled = resolving.as_none(view, ANN, Moment(LATER))
    assert (settled.trade.close_reason, settled.trade.reason) == (CloseReason.REJECTED, "not_placed")
    assert any(event.actor == "user" and "ann" in event.text for event in settled.events)


def test_none_counts_beside_what_somebody_bought_by_hand() -> None:
    by_hand = listed(id="950", tag=None, qty=1, status=OrderStatus.FILLED, exec_qty=1, avg_fill_price=Decimal(4))
    check_none(unknown(), by_hand, position=1)
    with pytest.raises(InvalidInput, match="2 of"):
        check_none(unknown(), by_hand, position=3)


def test_none_is_refused_while_it_may_still_arrive() -> None:
    with pytest.raises(InvalidInput, match="may still arrive"):
        check_none(unknown(), at=NOW + timedelta(seconds=5))


def test_none_is_refused_where_the_tag_is_listed() -> None:
    with pytest.raises(InvalidInput, match="order 900"):
        check_none(unknown(), listed())


def test_none_is_refused_where_something_was_bought() -> None:
    with pytest.raises(InvalidInput, match=f"2 of {OCC} more"):
        check_none(unknown(), position=2)


def test_none_counts_the_day_after_where_nobody_knows_what_was_held_before() -> None:
    with pytest.raises(InvalidInput, match=f"2 of {OCC} more"):
        check_none(unknown(foreign=None), position=2)
    with pytest.raises(InvalidInput, match=f"2 of {OCC} more"):
        check_none(unknown(), position=2, at=TOMORROW)
    check_none(unknown(foreign=None), position=2, at=TOMORROW)


def test_none_is_refused_where_something_was_sold() -> None:
    with pytest.raises(InvalidInput, match=f"2 of {OCC} less"):
        check_none(unknown_sale(), position=0)
    check_none(unknown_sale(), position=2)


def test_none_is_refused_by_a_list_that_leaves_out_what_we_know() -> None:
    with pytest.raises(InvalidInput, match="leaves out order 800"):
        check_none(unknown(), known=Known(orders=(one_we_know(),)))


def test_none_of_a_sale_lets_it_be_sent_again_as_a_new_one() -> None:
    settled = resolving.as_none(unknown_sale(), ANN, Moment(LATER))
    assert (sale(settled).status, sale(settled).reason) == (Ours.CANCELLED, "not_placed")
    assert settled.trade.status is TradeStatus.FILLED


def test_what_others_did_before_it_was_sent_explains_nothing() -> None:
    old = listed(
        id="950",
        tag=None,
        qty=1,
        status=OrderStatus.FILLED,
        exec_qty=1,
        avg_fill_price=Decimal(4),
        created_at=NOW - timedelta(hours=1),
    )
    with pytest.raises(InvalidInput, match="1 of"):
        check_none(unknown(), old, position=1)


def test_a_second_unknown_write_is_found_by_what_it_is() -> None:
    view = unknown_sale()
    other = replace(sale(view), id="o3", tag="bk-three", qty=1)
    view = replace(view, orders=(*view.orders, other))
    one = listed(tag=None, side=OrderSide.SELL_TO_CLOSE, qty=1)
    assert named(view, one) == "bk-three"


def two_looks(view: View, first: Seen, second: Seen) -> int:
    return resolving.check_none(view, (first, second), Moment(LATER))


def test_none_counts_where_two_looks_agree_on_what_is_missing_and_none_is_sold_in_its_place() -> None:
    view = unknown_sale()
    seen = Seen(orders=(), positions=held(0), known=Known(), venue_at=LATER)
    assert resolving.is_short_of(view, seen, Moment(LATER))
    missing = two_looks(view, seen, seen)
    settled = resolving.as_none(view, ANN, Moment(LATER), missing=missing)
    assert (missing, settled.trade.shown_qty) == (2, 0)


def test_none_is_refused_where_two_looks_do_not_agree_on_what_is_missing() -> None:
    first, second = (Seen(orders=(), positions=held(qty), known=Known(), venue_at=LATER) for qty in (1, 0))
    with pytest.raises(InvalidInput, match="two looks must agree"):
        two_looks(unknown_sale(), first, second)


def test_none_counts_where_two_looks_agree_that_another_trade_lacks_its_contracts() -> None:
    known = Known(holdings={"QQQ261218P00500000": 3})
    seen = Seen(orders=(), positions=held(2), known=known, venue_at=LATER)
    with pytest.raises(InvalidInput, match="leave out QQQ261218P00500000"):
        resolving.check_none(unknown_sale(), (seen,), Moment(LATER))
    assert two_looks(unknown_sale(), seen, seen) == 0
