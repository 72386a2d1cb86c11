"""Expiry's decisions: when to sell, what is truth, what is only an estimate."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from libs.broker.orders import OrderClass, OrderReport, OrderSide
from libs.broker.orders import OrderStatus as BrokerWord
from libs.broker.reports import Quote
from libs.common.messages.vocabulary import CloseReason, OrderStatus, Protection, Settlement, TradeStatus
from libs.market import products
from services.orders import asking, concerns, expiring, lifecycle
from services.orders.contract import Beside
from services.orders.expiring import Phase, Truth
from services.orders.plan import next_step
from services.orders.steps import EndAction, FailClose, Moment, Wait
from services.orders.trade import ActionState, View
from tests.unit.orders.views import NOW, a_report, protected

HELD = 2
MONDAY_OPEN = datetime(2026, 12, 21, 14, 30, tzinfo=UTC)


def of_contract(view: View, occ_symbol: str = "AAPL261218C00100000", **changes: Any) -> View:
    return replace(view, trade=replace(view.trade, occ_symbol=occ_symbol, ticker="AAPL", **changes))


def last_trade(view: View) -> datetime:
    return products.last_trade_at(expiring.contract_of(view))


def settling() -> View:
    """Hold two calls whose contract has traded for the last time; the exits are over."""
    view = of_contract(protected())
    dead = [a_report(order, OrderStatus.EXPIRED, 0) for order in view.live_bracket]
    view = lifecycle.applied(lifecycle.settling(view, NOW), tuple(dead), NOW)
    assert view.trade.protection is Protection.SETTLING
    return view


def truth(close: str | None, *, contracts: int = 0, shares: int = 0, previous: str | None = None) -> Truth:
    quote = Quote(
        symbol="AAPL",
        type="stock",
        close=None if close is None else Decimal(close),
        previous_close=None if previous is None else Decimal(previous),
    )
    return Truth(Decimal(contracts), Decimal(shares), quote)


def test_the_last_half_hour_is_for_selling_and_the_time_after_for_settling() -> None:
    view = of_contract(protected())
    last = last_trade(view)
    assert last == datetime(2026, 12, 18, 21, 0, tzinfo=UTC)
    assert expiring.phase(view, last - timedelta(minutes=31)) is Phase.FAR
    assert expiring.phase(view, last - timedelta(minutes=30)) is Phase.LAST_MINUTES
    assert expiring.phase(view, last) is Phase.OVER
    assert expiring.phase(settling(), last) is Phase.SETTLING


@pytest.mark.parametrize(
    ("price", "phase"), [("98.9", Phase.FAR), ("99.1", Phase.LAST_MINUTES), (None, Phase.LAST_MINUTES)]
)
def test_who_wants_no_flattening_is_still_kept_from_exercise(price: str | None, phase: Phase) -> None:
    view = of_contract(protected())
    view = replace(view, policy=replace(view.policy, expiry_flatten_min=0))
    at = last_trade(view) - timedelta(minutes=10)
    assert expiring.phase(view, at, None if price is None else Decimal(price)) is phase


def test_a_close_that_runs_is_not_asked_for_twice() -> None:
    view = of_contract(protected())
    at, moment = last_trade(view) - timedelta(minutes=10), Moment(NOW)
    assert expiring.to_flatten(view, at, Decimal(100), moment)
    asked = asking.with_close(view, action_id="c", reason=CloseReason.FLATTENED, state=ActionState.RUNNING, now=NOW)
    assert not expiring.to_flatten(asked, at, Decimal(100), moment)


def test_nothing_of_a_trade_that_settles_is_naked_or_repaired() -> None:
    view = settling()
    assert concerns.found(view, Moment(NOW + timedelta(hours=20))) == ()
    assert next_step(view, Moment(NOW + timedelta(hours=20))) == Wait()
    naked_before = view.trade.naked_s
    later = lifecycle.settled(view, NOW + timedelta(hours=20))
    assert (later.trade.naked_s, later.trade.naked_since) == (naked_before, None)


def test_whatever_was_asked_fails_when_the_contract_trades_no_more() -> None:
    view = of_contract(protected())
    closing = asking.with_close(
        view, action_id="c", reason=CloseReason.MANUAL_CLOSE, state=ActionState.RUNNING, now=NOW
    )
    assert isinstance(next_step(lifecycle.settling(closing, NOW), Moment(NOW)), FailClose)
    queued = asking.with_close(view, action_id="c", reason=CloseReason.MANUAL_CLOSE, state=ActionState.QUEUED, now=NOW)
    assert isinstance(next_step(lifecycle.settling(queued, NOW), Moment(NOW)), EndAction)


def test_worthless_and_gone_is_expired_at_zero() -> None:
    view = settling()
    ending = expiring.judged(view, truth("99.50"), last_trade(view))
    assert ending is not None
    assert (ending.reason, ending.price, ending.settlement) == (CloseReason.EXPIRED_OTM, Decimal(0), None)
    closed = lifecycle.ended_without_order(view, ending, NOW)
    assert (closed.trade.status, closed.held_qty, closed.trade.protection) == (TradeStatus.CLOSED, 0, Protection.NONE)
    assert closed.trade.realized_pnl == -(view.trade.entry_price or Decimal(0)) * HELD * 100
    assert closed.trade.is_locked


def test_in_the_money_with_its_shares_is_exercised_at_what_it_was_worth() -> None:
    view = settling()
    ending = expiring.judged(view, truth("107.00", shares=200), last_trade(view))
    assert ending is not None
    assert (ending.reason, ending.price, ending.settlement) == (
        CloseReason.EXPIRED_ITM,
        Decimal("7.00"),
        Settlement.EXERCISED,
    )
    closed = lifecycle.ended_without_order(view, ending, NOW)
    found = concerns.found(closed, Moment(NOW + timedelta(hours=1)))
    assert [one.kind for one in found] == ["exercised"]
    assert concerns.found(closed, Moment(NOW + timedelta(days=4))) == ()


def test_in_the_money_without_its_shares_waits_and_is_then_an_estimate() -> None:
    view = settling()
    assert expiring.judged(view, truth("107.00"), last_trade(view)) is None
    ending = expiring.judged(view, truth(None, previous="107.00"), MONDAY_OPEN)
    assert ending is not None
    assert (ending.reason, ending.price, ending.precision) == (CloseReason.EXPIRED_ITM, Decimal("7.00"), "ESTIMATED")


def test_what_the_broker_still_shows_is_waited_for_until_the_next_open() -> None:
    view = settling()
    assert expiring.judged(view, truth("99.50", contracts=2), last_trade(view)) is None
    assert expiring.judged(view, truth("99.50", contracts=2), MONDAY_OPEN - timedelta(seconds=1)) is None
    late = expiring.judged(view, truth(None, contracts=2, previous="99.50"), MONDAY_OPEN)
    assert late is not None
    assert late.precision == "ESTIMATED"


def test_without_an_official_close_nothing_is_said() -> None:
    view = settling()
    assert expiring.judged(view, truth(None, previous="99.50"), last_trade(view)) is None


def test_an_order_that_may_have_executed_comes_first() -> None:
    view = of_contract(protected())
    view = lifecycle.settling(view, NOW)
    assert expiring.judged(view, truth("99.50"), last_trade(view)) is None


def sale_at_broker(view: View, **changes: Any) -> OrderReport:
    sale = OrderReport(
        id="777",
        order_class=OrderClass.OPTION,
        status=BrokerWord.FILLED,
        raw_status="filled",
        occ_symbol=view.trade.occ_symbol,
        side=OrderSide.SELL_TO_CLOSE,
        qty=2,
        exec_qty=2,
        avg_fill_price=Decimal("1.10"),
    )
    return replace(sale, **changes)


def test_a_sale_of_the_brokers_own_ends_the_trade_at_its_price() -> None:
    view = settling()
    sale = sale_at_broker(view)
    ending = expiring.judged(view, replace(truth("107.00"), orders=(sale,)), last_trade(view))
    assert ending is not None
    assert (ending.reason, ending.price) == (CloseReason.CLOSED_AT_BROKER, Decimal("1.10"))


@pytest.mark.parametrize(
    ("sale", "beside"),
    [
        ({}, Beside(ours=frozenset({"777"}))),
        ({"parent_id": "776"}, Beside(ours=frozenset({"776"}))),
        ({}, Beside(explained=(("777", 2),))),
        ({"transaction_at": NOW - timedelta(hours=3)}, Beside()),
    ],
    ids=["another trade's", "a leg of another trade's", "taken by another trade", "before we bought"],
)
def test_what_was_sold_of_an_earlier_trade_is_no_end_of_one_that_expires(sale: dict[str, Any], beside: Beside) -> None:
    view = settling()
    seen = replace(truth("99.50"), orders=(sale_at_broker(view, **sale),), beside=beside)
    ending = expiring.judged(view, seen, products.settles_at(expiring.contract_of(view)))
    assert ending is not None
    assert (ending.reason, ending.price) == (CloseReason.EXPIRED_OTM, Decimal(0))
