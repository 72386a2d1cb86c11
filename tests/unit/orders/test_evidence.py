"""An unknown write ends by what the broker shows, and by nothing else."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.orders import OrderClass, OrderReport, OrderSide, OrderStatus, OrderType
from libs.broker.reports import PositionReport
from libs.common.messages.vocabulary import CloseReason, Duration, OrderRole, TradeStatus
from libs.common.messages.vocabulary import OrderStatus as Ours
from services.orders import evidence, lifecycle
from services.orders.contract import Holding
from services.orders.evidence import Baseline, Known, KnownOrder, Seen
from services.orders.looking import looked_in_vain
from services.orders.reading import reports_of
from services.orders.settings import Settings
from services.orders.steps import Moment, Waits, evidence_gap_s, next_look_at
from services.orders.trade import Order, View
from tests.unit.orders.views import NOW, OCC, a_leg, a_view, filled

LATER = NOW + timedelta(seconds=31)
TOMORROW = NOW + timedelta(days=1)
OTHER = "SPY261218P00650000"


def unknown(foreign: int | None = 0, cost: str = "0", **changes: Any) -> View:
    """Write an entry whose answer was lost; `foreign`: lots of others before it, None where nobody could tell."""
    view = a_view(**changes)
    holding = None if foreign is None else Holding(qty=Decimal(foreign), cost_usd=Decimal(cost))
    view = replace(view, orders=evidence.based(view, view.orders, Baseline(venue_at=NOW, holding=holding)))
    return lifecycle.unknown(lifecycle.sent(view, "bk-entry", NOW), "bk-entry", "no answer", NOW)


def listed(**changes: Any) -> OrderReport:
    values: dict[str, Any] = {
        "id": "900",
        "order_class": OrderClass.OPTION,
        "status": OrderStatus.OPEN,
        "raw_status": "open",
        "side": OrderSide.BUY_TO_OPEN,
        "type": OrderType.MARKET,
        "occ_symbol": OCC,
        "qty": 2,
        "tag": "bk-entry",
        "created_at": NOW + timedelta(milliseconds=50),
    }
    return OrderReport(**values | changes)


def held(qty: int, occ: str = OCC, cost: str = "0") -> tuple[PositionReport, ...]:
    if not qty:
        return ()
    return (PositionReport(symbol=occ, qty=Decimal(qty), cost_basis_usd=Decimal(cost)),)


def look(
    view: View,
    *orders: OrderReport,
    at: Any = NOW,
    position: int = 0,
    cost: str = "0",
    known: Known | None = None,
    tag: str = "bk-entry",
) -> View:
    seen = Seen(orders=orders, positions=held(position, cost=cost), known=known or Known(), venue_at=at)
    return evidence.judged(view, tag, seen, Moment(at))


def one_we_know(**changes: Any) -> KnownOrder:
    values: dict[str, Any] = {
        "group_order_id": "800",
        "broker_order_id": "800",
        "trade_id": "t-other",
        "status": Ours.WORKING,
        "filled_qty": 0,
        "venue_at": NOW - timedelta(minutes=5),
        "is_settled": True,
    }
    return KnownOrder(**values | changes)


def test_found_by_its_tag_it_is_ours() -> None:
    view = look(unknown(), listed(status=OrderStatus.FILLED, exec_qty=2, avg_fill_price=Decimal("4.20")), position=2)
    assert (view.trade.status, view.trade.tradier_order_id) == (TradeStatus.FILLED, "900")


def test_two_looks_a_gap_apart_prove_that_it_was_never_placed() -> None:
    view = look(look(unknown()), at=LATER)
    assert (view.trade.close_reason, view.trade.reason) == (CloseReason.REJECTED, "not_placed")


@pytest.mark.parametrize("seconds", [0, 3, 29])
def test_two_looks_closer_than_the_gap_prove_nothing(seconds: int) -> None:
    view = look(look(unknown()), at=NOW + timedelta(seconds=seconds))
    assert view.orders[0].status is Ours.UNKNOWN


def test_a_position_that_nobody_can_explain_proves_nothing_and_starts_the_count_again() -> None:
    view = look(look(unknown()), at=LATER, position=2)
    assert (view.orders[0].status, view.orders[0].look_at) == (Ours.UNKNOWN, None)


def test_looks_of_two_days_prove_nothing() -> None:
    view = look(look(unknown()), at=TOMORROW)
    assert view.orders[0].status is Ours.UNKNOWN


def test_one_untagged_twin_is_taken_for_ours() -> None:
    view = look(unknown(), listed(tag=None))
    assert (view.orders[0].status, view.orders[0].broker_order_id) == (Ours.WORKING, "900")


def test_two_untagged_twins_leave_it_unknown() -> None:
    view = look(look(unknown(), listed(tag=None), listed(id="901", tag=None)), at=LATER)
    assert view.orders[0].status is Ours.UNKNOWN
    view = look(unknown(), listed(tag=None), listed(id="901", tag=None), at=LATER)
    assert view.orders[0].status is Ours.UNKNOWN


@pytest.mark.parametrize(
    "different",
    [
        {"qty": 3},
        {"side": OrderSide.SELL_TO_CLOSE},
        {"type": OrderType.LIMIT, "price": Decimal(4)},
        {"occ_symbol": "SPY261218P00650000"},
        {"created_at": NOW - timedelta(seconds=5)},
        {"tag": "somebody-elses"},
    ],
)
def test_what_differs_is_no_twin(different: dict[str, Any]) -> None:
    stranger = listed(**{"tag": None} | different)
    view = look(look(unknown(), stranger), stranger, at=LATER)
    assert view.trade.reason == "not_placed"


def test_what_is_settled_is_not_judged_again() -> None:
    view = look(unknown(), listed())
    assert look(view, at=LATER) == view
    assert look(view, tag="bk-other") is view


# ── the position ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_lots_of_others_that_were_there_before_do_not_stand_in_the_way() -> None:
    view = look(look(unknown(foreign=3), position=3), at=LATER, position=3)
    assert view.trade.reason == "not_placed"


def test_lots_of_others_that_came_meanwhile_prove_nothing_and_a_person_is_told_why() -> None:
    view = look(look(unknown(foreign=3), position=5), at=LATER, position=5)
    assert view.orders[0].status is Ours.UNKNOWN
    assert "2 contracts more than is explained" in (view.orders[0].doubt or "")


def test_a_position_read_before_our_own_fill_was_in_it_is_no_base() -> None:
    based = evidence.based(filled(), (a_leg(OrderRole.STOP_LOSS),), Baseline(venue_at=NOW, holding=Holding()))
    assert (based[0].base_qty, based[0].venue_at) == (None, NOW)


def test_what_another_trade_of_ours_holds_there_is_explained() -> None:
    known = Known(holdings={OCC: 2})
    view = look(look(unknown(), position=2, known=known), at=LATER, position=2, known=known)
    assert view.trade.reason == "not_placed"


# ── exits ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def unknown_sale(foreign: int | None = 0) -> View:
    view = filled()
    sale = replace(
        view.orders[0],
        id="o2",
        tag="bk-sell",
        role=OrderRole.CLOSE,
        status=Ours.UNKNOWN,
        sent_at=NOW,
        filled_qty=0,
        broker_order_id=None,
        group_order_id=None,
        read_at=None,
    )
    holding = None if foreign is None else Holding(qty=Decimal(2 + foreign))
    made = evidence.based(view, (sale,), Baseline(venue_at=NOW, holding=holding))
    return replace(view, orders=(*view.orders, *made))


def sale(view: View) -> Order:
    return view.orders[-1]


def test_an_exit_has_the_shorter_gap_where_nobody_else_has_lots() -> None:
    once = look(unknown_sale(), position=2, tag="bk-sell")
    twice = look(once, position=2, tag="bk-sell", at=NOW + timedelta(seconds=3))
    assert (sale(twice).status, sale(twice).reason) == (Ours.CANCELLED, "not_placed")


@pytest.mark.parametrize("foreign", [1, None])
def test_an_exit_beside_lots_of_others_has_the_longer_gap(foreign: int | None) -> None:
    position = 2 + (foreign or 0)
    once = look(unknown_sale(foreign), position=position, tag="bk-sell")
    soon = look(once, position=position, tag="bk-sell", at=NOW + timedelta(seconds=3))
    assert sale(soon).status is Ours.UNKNOWN
    later = look(soon, position=position, tag="bk-sell", at=LATER)
    assert sale(later).reason == "not_placed"


def test_a_sale_that_took_lots_as_many_as_others_have_is_not_taken_for_never_placed() -> None:
    # Two of ours, two of others'; the sale executed and no list shows it. What is left looks like what we held.
    view = look(look(unknown_sale(2), position=2, tag="bk-sell"), position=2, tag="bk-sell", at=LATER)
    assert sale(view).status is Ours.UNKNOWN
    assert "2 contracts less" in (sale(view).doubt or "")


# ── lists that are not to be trusted ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("known", "listing"),
    [
        (one_we_know(), ()),
        (one_we_know(filled_qty=2), (listed(id="800", tag="bk-o", exec_qty=1, avg_fill_price=Decimal(4)),)),
        (one_we_know(status=Ours.CANCELLED), (listed(id="800", tag="bk-o"),)),
    ],
)
def test_a_list_that_knows_less_than_we_do_proves_nothing(known: KnownOrder, listing: tuple[OrderReport, ...]) -> None:
    view = look(unknown(), *listing, known=Known(orders=(known,)))
    view = look(view, *listing, at=LATER, known=Known(orders=(known,)))
    assert (view.orders[0].status, view.orders[0].look_at) == (Ours.UNKNOWN, None)
    assert "800" in (view.orders[0].doubt or "")


@pytest.mark.parametrize(
    "known", [one_we_know(venue_at=NOW - timedelta(days=1)), one_we_know(is_settled=False, venue_at=NOW)]
)
def test_a_list_need_not_show_what_is_of_another_day_or_brand_new(known: KnownOrder) -> None:
    view = look(look(unknown(), known=Known(orders=(known,))), at=LATER, known=Known(orders=(known,)))
    assert view.trade.reason == "not_placed"


def test_positions_without_what_another_trade_holds_prove_nothing() -> None:
    known = Known(holdings={OTHER: 2})
    view = look(look(unknown(), known=known), at=LATER, known=known)
    assert OTHER in (view.orders[0].doubt or "")
    assert view.orders[0].status is Ours.UNKNOWN


def test_found_by_its_tag_it_is_ours_even_in_a_list_that_leaves_something_out() -> None:
    view = look(unknown(), listed(), known=Known(orders=(one_we_know(),)))
    assert view.orders[0].broker_order_id == "900"


def test_a_twin_that_another_trade_owns_is_none() -> None:
    known = Known(orders=(one_we_know(group_order_id="900", broker_order_id="900"),))
    view = look(look(unknown(), listed(tag=None), known=known), listed(tag=None), at=LATER, known=known)
    assert view.trade.reason == "not_placed"


def test_a_twin_is_found_though_the_venues_clock_lags_a_little() -> None:
    view = look(unknown(), listed(tag=None, created_at=NOW - timedelta(seconds=1)))
    assert view.orders[0].broker_order_id == "900"


def test_without_the_venues_clock_nothing_is_concluded() -> None:
    seen = Seen(orders=(), venue_at=None)
    once = evidence.judged(unknown(), "bk-entry", seen, Moment(NOW))
    assert evidence.judged(once, "bk-entry", seen, Moment(LATER)).orders[0].status is Ours.UNKNOWN


# ── across midnight ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_day_order_ends_by_two_reads_of_the_next_day_that_agree() -> None:
    view = look(look(unknown()), at=TOMORROW)
    assert view.orders[0].status is Ours.UNKNOWN
    assert "day is over" in (view.orders[0].doubt or "")
    view = look(view, at=TOMORROW + timedelta(seconds=31))
    assert (view.orders[0].status, view.trade.close_reason) == (Ours.CANCELLED, CloseReason.CANCELLED)


def test_a_day_entry_whose_position_grew_is_taken_at_what_the_position_cost_more() -> None:
    view = look(unknown(foreign=1, cost="400"), at=TOMORROW, position=3, cost="1260")
    view = look(view, at=TOMORROW + timedelta(seconds=31), position=3, cost="1260")
    assert (view.trade.status, view.trade.filled_qty, view.trade.entry_price) == (
        TradeStatus.FILLED,
        2,
        Decimal("4.30"),
    )


def test_a_day_entry_that_grew_in_part_is_taken_for_that_much() -> None:
    view = look(unknown(), at=TOMORROW, position=1)
    view = look(view, at=TOMORROW + timedelta(seconds=31), position=1)
    assert (view.orders[0].status, view.trade.filled_qty, view.trade.status) == (
        Ours.CANCELLED,
        1,
        TradeStatus.FILLED,
    )
    assert view.trade.entry_price == view.trade.reference_price


def test_reads_of_the_next_day_that_differ_start_the_count_again() -> None:
    view = look(unknown(), at=TOMORROW, position=1)
    view = look(view, at=TOMORROW + timedelta(seconds=31), position=2)
    assert view.orders[0].status is Ours.UNKNOWN
    view = look(view, at=TOMORROW + timedelta(seconds=62), position=2)
    assert view.trade.filled_qty == 2


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_that_it_cannot_explain_leaves_a_day_order_to_a_person(position: int) -> None:
    view = unknown()
    for number in range(1, 4):
        view = look(view, at=TOMORROW + timedelta(seconds=31 * number), position=position)
    assert view.orders[0].status is Ours.UNKNOWN
    assert view.orders[0].doubt


def test_lots_that_may_have_been_there_before_are_not_taken_for_what_a_day_entry_bought() -> None:
    view = unknown(foreign=None)
    for number in range(1, 4):
        view = look(view, at=TOMORROW + timedelta(seconds=31 * number), position=2)
    assert (view.orders[0].status, view.trade.filled_qty) == (Ours.UNKNOWN, 0)
    assert "held before" in (view.orders[0].doubt or "")
    for number in range(4, 6):
        view = look(view, at=TOMORROW + timedelta(seconds=31 * number))
    assert view.trade.close_reason is CloseReason.CANCELLED


def test_a_sale_is_not_taken_for_lapsed_where_lots_of_others_may_hide_it() -> None:
    # Two of ours, and two of others' that nobody saw before; the sale executed, and what is left looks like ours.
    view = unknown_sale(None)
    for number in range(1, 4):
        view = look(view, at=TOMORROW + timedelta(seconds=31 * number), position=2, tag="bk-sell")
    assert sale(view).status is Ours.UNKNOWN


def test_what_is_good_till_cancelled_stays_unknown_after_its_day() -> None:
    view = unknown(entry_duration=Duration.GTC)
    for number in range(1, 4):
        view = look(view, at=TOMORROW + timedelta(seconds=31 * number))
    assert (view.orders[0].status, view.orders[0].look_at) == (Ours.UNKNOWN, None)


def test_the_days_are_the_venues_own() -> None:
    # The venue's clock is set on a day; ours says that half a minute has gone by.
    seen = Seen(orders=(), venue_at=TOMORROW)
    once = evidence.judged(unknown(), "bk-entry", seen, Moment(NOW))
    twice = evidence.judged(once, "bk-entry", seen, Moment(LATER))
    assert twice.orders[0].reason != "not_placed"
    assert twice.trade.close_reason is CloseReason.CANCELLED


def test_what_appears_after_its_end_was_inferred_is_what_the_broker_says() -> None:
    view = look(look(unknown(), at=TOMORROW), at=TOMORROW + timedelta(seconds=31))
    again = lifecycle.applied(view, reports_of(view.orders, listed()), LATER)
    assert (again.orders[0].status, again.orders[0].broker_order_id) == (Ours.WORKING, "900")


# ── how often ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_looks_grow_rarer_but_the_proof_is_looked_for_when_it_is_due() -> None:
    view, at, looks = unknown(), NOW, []
    while view.orders[0].status is Ours.UNKNOWN:
        view = look(view, at=at)
        looks.append((at - NOW).total_seconds())
        at = next_look_at(view.orders[0], Moment(at)) or at
    assert looks[-1] == 30
    assert len(looks) <= 8


def test_what_nobody_settles_is_looked_for_twice_a_minute() -> None:
    view, at = unknown(), NOW
    for _ in range(20):
        view = look(view, at=at, position=1)
        at = next_look_at(view.orders[0], Moment(at)) or at
    assert at - (view.orders[0].read_at or NOW) == timedelta(seconds=30)


def test_while_the_broker_cannot_be_asked_it_is_tried_every_ten_seconds_so_that_its_return_is_seen() -> None:
    view, at = unknown_sale(), NOW
    for _ in range(20):
        view = looked_in_vain(view, "bk-sell", at)
        at = next_look_at(sale(view), Moment(at)) or at
    assert timedelta(seconds=5) < at - (sale(view).read_at or NOW) <= timedelta(seconds=10.5)


def test_the_gap_of_an_entry_is_the_long_one() -> None:
    waits = Waits()
    assert evidence_gap_s(unknown().orders[0], waits) == waits.look_gap_entry_s


def test_at_the_real_waits_a_lost_sale_is_settled_three_seconds_after_the_first_look() -> None:
    view, at = unknown_sale(), NOW
    while sale(view).status is Ours.UNKNOWN:
        view = look(view, position=2, tag="bk-sell", at=at)
        at = next_look_at(sale(view), Moment(at)) or at
    assert (at - NOW).total_seconds() == 3


def test_a_dead_sender_is_followed_no_later_than_its_entry_may_still_be_sent() -> None:
    # Then an intent nobody sent ends at that moment, and one at its send needs the gap and one look more.
    assert Settings.model_fields["lease_s"].default <= Waits().send_by_s


def test_orders_that_the_broker_does_not_know_by_id_either_are_no_gap_in_its_list() -> None:
    seen = Seen(orders=(), known=Known(orders=(one_we_know(), one_we_know(group_order_id="801"))), venue_at=NOW)
    assert evidence.left_out(seen) == ("800", "801")
    assert evidence.doubt_of(evidence.without(seen, ("800", "801"))) is None


def a_sale_of_the_desk(**changes: Any) -> OrderReport:
    """Write a filled sale that nobody of us sent."""
    values: dict[str, Any] = {
        "id": "950",
        "status": OrderStatus.FILLED,
        "side": OrderSide.SELL_TO_CLOSE,
        "type": OrderType.LIMIT,
        "price": Decimal("3.90"),
        "tag": None,
        "qty": 2,
        "exec_qty": 2,
        "avg_fill_price": Decimal("3.90"),
        "created_at": NOW + timedelta(seconds=2),
    }
    return listed(**values | changes)


def test_a_position_that_somebody_else_sold_proves_that_our_sale_never_was() -> None:
    view = look(unknown_sale(), a_sale_of_the_desk(), at=NOW, tag="bk-sell")
    assert view.by_tag("bk-sell")[0].status is Ours.UNKNOWN
    view = look(view, a_sale_of_the_desk(), at=LATER, tag="bk-sell")
    assert view.by_tag("bk-sell")[0].reason == "not_placed"


def test_a_position_that_nobody_sold_leaves_our_sale_unknown() -> None:
    view = look(look(unknown_sale(), at=NOW, tag="bk-sell"), at=LATER, tag="bk-sell")
    assert view.by_tag("bk-sell")[0].status is Ours.UNKNOWN


def test_another_contract_that_somebody_sold_out_is_no_reason_to_doubt() -> None:
    known = Known(holdings={OTHER: 2})
    sold = a_sale_of_the_desk(occ_symbol=OTHER)
    doubted = Seen(orders=(), positions=held(2), known=known, venue_at=NOW)
    assert evidence.doubt_of(doubted) is not None
    assert evidence.doubt_of(replace(doubted, orders=(sold,))) is None
    assert evidence.doubt_of(replace(doubted, orders=(replace(sold, exec_qty=1),))) is not None


@pytest.mark.parametrize("before_s", [0.5, 30])
def test_what_others_bought_right_before_the_write_is_counted_once(before_s: float) -> None:
    # Half a second is less than the clocks may differ by: the position before the write has it, or has it not.
    bought = listed(
        id="940",
        status=OrderStatus.FILLED,
        tag=None,
        qty=3,
        exec_qty=3,
        avg_fill_price=Decimal("4.20"),
        created_at=NOW - timedelta(seconds=before_s),
    )
    view = look(look(unknown(foreign=3), bought, position=3), bought, at=LATER, position=3)
    assert view.trade.reason == "not_placed"
    late = look(look(unknown(foreign=0), bought, position=3), bought, at=LATER, position=3)
    assert (late.trade.reason == "not_placed") is (before_s == 0.5)


# ── a corporate action ───────────────────────────────────────────────────────────────────────────────────────────────

ADJUSTED = "SPY1" + OCC[3:]


def test_a_contract_that_became_another_explains_what_is_missing() -> None:
    view = unknown_sale()
    seen = Seen(orders=(), positions=held(2, ADJUSTED), venue_at=NOW)
    first = evidence.judged(view, view.orders[-1].tag, seen, Moment(NOW))
    after = evidence.judged(first, view.orders[-1].tag, replace(seen, venue_at=LATER), Moment(LATER))
    assert after.orders[-1].reason == "not_placed"


@pytest.mark.parametrize("instead", [held(1, ADJUSTED), held(2, "QQQ1" + OCC[3:]), held(2, OTHER)])
def test_what_did_not_take_its_place_explains_nothing(instead: tuple[PositionReport, ...]) -> None:
    view = unknown_sale()
    assert evidence.unexplained(view, view.orders[-1], Seen(orders=(), positions=instead, venue_at=NOW)) == -2


def test_another_trades_contract_that_became_another_is_no_doubt() -> None:
    known = Known(holdings={OCC: 2})
    assert evidence.doubt_of(Seen(orders=(), positions=held(2, ADJUSTED), known=known, venue_at=NOW)) is None
    assert evidence.doubt_of(Seen(orders=(), positions=held(1, ADJUSTED), known=known, venue_at=NOW)) is not None
