"""More sold than bought, and no cover of ours ends it: the contract's end, others' lots, a settlement taken back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from libs.broker.reports import PositionReport, Quote
from libs.common.messages.vocabulary import OrderRole, OrderStatus
from libs.market import products
from services.orders import concerns, corrections, expiring, lifecycle, merging, oversold, repairing
from services.orders.evidence import Known, Seen
from services.orders.expiring import Phase, Truth
from services.orders.repairing import Looked
from services.orders.steps import Moment
from services.orders.trade import View
from tests.unit.orders.views import NOW, a_report, protected

CALL = "AAPL261218C00100000"
FRIDAY_EVENING = datetime(2026, 12, 18, 21, 30, tzinfo=UTC)
MONDAY_OPEN = datetime(2026, 12, 21, 14, 30, tzinfo=UTC)


def short(occ_symbol: str = CALL, **changes: object) -> View:
    """Both legs sold two: two are short, at 6.00 and 3.00."""
    view = protected(occ_symbol=occ_symbol, ticker="AAPL", **changes)
    target, stop = view.live_bracket
    view = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 2, "6.00"),), NOW)
    second = a_report(stop, OrderStatus.FILLED, 2, "3.00", broker_at=NOW + timedelta(seconds=5))
    view = lifecycle.applied(view, (second,), NOW)
    assert (view.held_qty, view.trade.realized_pnl) == (-2, Decimal("360.00"))
    return view


def truth(close: str | None, *, contracts: int = 0, shares: int = 0, previous: str | None = None) -> Truth:
    quote = Quote(
        symbol="AAPL",
        type="stock",
        close=None if close is None else Decimal(close),
        previous_close=None if previous is None else Decimal(previous),
    )
    return Truth(Decimal(contracts), Decimal(shares), quote)


def ended(view: View, found: Truth, at: datetime) -> View:
    ending = expiring.judged_short(view, found, at)
    return view if ending is None else oversold.settled(view, ending, order_id="id-00000001", now=at)


# ── the contract's end ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_is_looked_at_once_its_contract_is_over_and_only_while_it_is_short() -> None:
    view = short()
    last = products.last_trade_at(expiring.contract_of(view))
    assert expiring.phase(view, last - timedelta(seconds=1)) is Phase.FAR
    assert expiring.phase(view, last) is Phase.SETTLING
    assert expiring.next_look(view, Moment(NOW)) is not None
    after = ended(view, truth("95"), FRIDAY_EVENING)
    assert expiring.phase(after, last) is Phase.FAR
    assert expiring.next_look(after, Moment(NOW)) is None


@pytest.mark.parametrize(
    ("symbol", "close", "shares", "cost"),
    [
        ("AAPL261218C00100000", "95", 0, "0"),
        ("AAPL261218C00100000", "106.50", 0, "6.50"),
        ("AAPL261218P00100000", "97.25", 200, "2.75"),
        ("SPXW261218C00100000", "101", 0, "1"),
    ],
)
def test_it_costs_what_the_contract_was_worth(symbol: str, close: str, shares: int, cost: str) -> None:
    view = short(symbol)
    after = ended(view, truth(close, shares=shares), FRIDAY_EVENING)
    assert after.held_qty == 0
    assert after.trade == view.trade
    # Two bought at 4.20, four sold at 6.00 and 3.00, two ended at what they were worth.
    final = (Decimal(6) + Decimal(3) - Decimal("4.20") - Decimal(cost)) * 200
    assert corrections.final_pnl_usd(after) == final
    assert [one.kind for one in after.corrections] == ["short"]
    assert "short" not in {one.kind for one in concerns.found(after, Moment(FRIDAY_EVENING))}


def test_ended_twice_it_is_ended_once() -> None:
    after = ended(short(), truth("95"), FRIDAY_EVENING)
    assert ended(after, truth("95"), FRIDAY_EVENING) == after


def test_while_the_broker_shows_it_or_no_shares_for_it_nobody_knows_until_the_next_open() -> None:
    view = short("AAPL261218P00100000")
    assert ended(view, truth("97", contracts=-2), FRIDAY_EVENING) == view
    assert ended(view, truth("97", shares=0), FRIDAY_EVENING) == view
    after = ended(view, truth(None, previous="96", contracts=-2), MONDAY_OPEN)
    assert after.held_qty == 0
    assert "an estimate" in after.corrections[0].text


def test_an_order_that_may_still_execute_keeps_it_open() -> None:
    view = short()
    living = replace(view.orders[-1], id="o-late", status=OrderStatus.WORKING, filled_qty=0, qty=1)
    assert expiring.judged_short(replace(view, orders=(*view.orders, living)), truth("95"), MONDAY_OPEN) is None


def test_shares_that_changed_hands_are_told_for_some_days() -> None:
    after = ended(short(), truth("106.50"), FRIDAY_EVENING)
    [told] = concerns.found(after, Moment(FRIDAY_EVENING))
    assert (told.kind, "200 shares of AAPL sold at 100" in told.text) == ("exercised", True)
    look = concerns.next_look(after, Moment(FRIDAY_EVENING))
    assert look is not None
    assert concerns.found(after, Moment(look)) == ()


# ── others' lots ─────────────────────────────────────────────────────────────────────────────────────────────────────


def shown(qty: int, others: int = 0) -> Seen:
    held = (PositionReport(symbol=CALL, qty=Decimal(qty), cost_basis_usd=Decimal(0)),) if qty else ()
    return Seen(orders=(), positions=held, known=Known(holdings={CALL: others}), venue_at=NOW)


def based(qty: int | None) -> View:
    """Two are short, and so many were others' when the exits were sent."""
    view = short()
    base = None if qty is None else Decimal(qty)
    for order in view.exit_orders:
        view = view.with_order(replace(order, base_qty=base, base_cost_usd=Decimal(0)))
    return view


def looked_twice(view: View, seen: Seen, *, after: timedelta = timedelta(0)) -> View:
    for at in (NOW + after, NOW + after + timedelta(seconds=30)):
        view = oversold.absorbed(view, seen, Moment(at), order_id="id-00000002")
    return view


def test_what_came_out_of_others_lots_ends_the_short_and_is_no_result_of_ours() -> None:
    view = based(5)
    after = looked_twice(view, shown(3))
    assert (after.held_qty, after.corrections) == (0, ())
    assert corrections.final_pnl_usd(after) == Decimal("360.00")
    assert concerns.found(after, Moment(NOW)) == ()
    assert looked_twice(after, shown(3)) == after


def test_a_part_bought_back_before_is_a_result_of_ours_and_the_rest_is_not() -> None:
    view = based(1)
    bought = merging.unsent(view, "x", "", qty=1, price=Decimal("3.50"), order_id="o-cover", at=NOW, now=NOW)
    view = lifecycle.settled(replace(view, orders=(*view.orders, bought)), NOW)
    after = looked_twice(view, shown(0))
    assert corrections.final_pnl_usd(after) == Decimal("360.00") + (Decimal("3.00") - Decimal("3.50")) * 100


def test_one_look_is_no_proof_nor_are_two_that_differ_or_come_at_once() -> None:
    view = based(5)
    once = oversold.absorbed(view, shown(3), Moment(NOW), order_id="x")
    assert once.held_qty == -2
    assert oversold.absorbed(once, shown(3), Moment(NOW + timedelta(seconds=29)), order_id="x").held_qty == -2
    other = oversold.absorbed(once, shown(4), Moment(NOW + timedelta(seconds=31)), order_id="x")
    assert oversold.absorbed(other, shown(3), Moment(NOW + timedelta(seconds=32)), order_id="x").held_qty == -2


@pytest.mark.parametrize("base", [0, None])
def test_a_position_that_may_only_lag_is_no_proof(base: int | None) -> None:
    assert looked_twice(based(base), shown(2)).held_qty == -2
    assert looked_twice(based(base), shown(0)).held_qty == -2
    long_after = timedelta(minutes=15)
    assert looked_twice(based(base), shown(0), after=long_after).held_qty == -2
    assert looked_twice(based(base), shown(1), after=long_after).held_qty == 0


def test_what_another_trade_of_ours_holds_is_nobody_elses() -> None:
    assert looked_twice(based(0), shown(2, others=4), after=timedelta(hours=1)).held_qty == -2


def test_no_more_is_bought_back_than_the_account_is_short_of() -> None:
    held = (PositionReport(symbol=CALL, qty=Decimal(-1), cost_basis_usd=Decimal(0)),)
    assert repairing.coverable_qty(based(1), Looked(held, ())) == 1


# ── what was settled, and was not ────────────────────────────────────────────────────────────────────────────────────


def expired(close: str) -> View:
    """Two expired at what they were worth; their exits had ended without executing."""
    view = protected(occ_symbol=CALL, ticker="AAPL")
    dead = [a_report(order, OrderStatus.EXPIRED) for order in view.live_bracket]
    view = lifecycle.applied(lifecycle.settling(view, NOW), tuple(dead), NOW)
    shares = 200 if Decimal(close) > 100 else 0
    ending = expiring.judged(view, truth(close, shares=shares), FRIDAY_EVENING)
    assert ending is not None
    return lifecycle.ended_without_order(view, ending, FRIDAY_EVENING)


@pytest.mark.parametrize(("close", "said"), [("95", "-840.00"), ("106.50", "460.00")])
def test_a_sale_that_surfaces_after_the_settlement_is_what_ended_the_trade(close: str, said: str) -> None:
    view = expired(close)
    assert view.trade.realized_pnl == Decimal(said)
    stop = next(order for order in view.orders if order.role is OrderRole.STOP_LOSS)
    late = a_report(stop, OrderStatus.FILLED, 2, "3.10")
    after = lifecycle.applied(view, (late,), FRIDAY_EVENING)
    assert after.trade == view.trade
    assert after.held_qty == 0
    assert corrections.final_pnl_usd(after) == (Decimal("3.10") - Decimal("4.20")) * 200
    assert [one.kind for one in after.corrections] == ["settlement"]
    assert "short" not in {one.kind for one in concerns.found(after, Moment(FRIDAY_EVENING))}
    assert lifecycle.applied(after, (late,), FRIDAY_EVENING).corrections == after.corrections


def test_sold_in_parts_after_the_settlement_each_part_is_told_and_what_is_beyond_is_a_short() -> None:
    view = expired("106.50")
    target, stop = (
        next(o for o in view.orders if o.role is role) for role in (OrderRole.TAKE_PROFIT, OrderRole.STOP_LOSS)
    )
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.FILLED, 1, "3.00"),), FRIDAY_EVENING)
    assert (view.held_qty, corrections.final_pnl_usd(view)) == (
        0,
        (Decimal("3.00") + Decimal("6.50") - Decimal("8.40")) * 100,
    )
    view = lifecycle.applied(view, (a_report(stop, OrderStatus.FILLED, 2, "3.20"),), FRIDAY_EVENING)
    assert (view.held_qty, corrections.final_pnl_usd(view)) == (0, (Decimal("3.20") - Decimal("4.20")) * 200)
    beyond = lifecycle.applied(view, (a_report(target, OrderStatus.FILLED, 1, "6.00"),), FRIDAY_EVENING)
    assert (beyond.held_qty, beyond.corrections) == (-1, view.corrections)
    assert "short" in {one.kind for one in concerns.found(beyond, Moment(FRIDAY_EVENING))}
