"""Every recorded order shape, read by our client."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from libs.broker import tradier_orders as orders
from libs.broker import tradier_wire as wire
from libs.broker.base import CancelAnswer, Duration, OrderClass, OrderSide, OrderStatus, OrderType
from libs.common.errors import NotFound, UpstreamAuth, UpstreamRefused
from libs.common.http import Answer, Unreadable
from tests.contract.recorded import answer


@pytest.mark.parametrize("name", ["orders_none_string.json", "orders_none_null.json"])
def test_no_orders_are_an_empty_list_in_both_spellings(name: str) -> None:
    assert orders.order_page(answer(name)).orders == ()


def test_one_order_comes_as_an_object() -> None:
    (order,) = orders.order_page(answer("orders_one.json")).orders
    assert order.id == "228175"
    assert order.status is OrderStatus.EXPIRED
    assert (order.qty, order.exec_qty, order.remaining_qty) == (2, 0, 0)
    assert order.avg_fill_price is None
    assert order.price == Decimal("1.22")
    assert order.tag == "bk-0f0e5a52"
    assert order.created_at == datetime(2026, 11, 20, 19, 4, 11, tzinfo=UTC)


def test_many_orders_come_as_a_list_with_their_legs() -> None:
    entry, exits, foreign = orders.order_page(answer("orders_many.json")).orders
    assert entry.avg_fill_price == Decimal("4.215")
    assert entry.is_priced
    assert entry.is_terminal
    assert entry.side is OrderSide.BUY_TO_OPEN
    assert exits.order_class is OrderClass.OCO
    assert (exits.qty, exits.side, exits.type, exits.occ_symbol) == (0, None, None, None)
    assert [leg.id for leg in exits.flat()] == ["257461", "257462"]
    target, stop = exits.legs
    assert (target.type, target.price, target.stop) == (OrderType.LIMIT, Decimal("6.3"), None)
    assert (stop.type, stop.price, stop.stop) == (OrderType.STOP, None, Decimal("2.1"))
    assert {leg.parent_id for leg in exits.legs} == {"257460"}
    assert target.duration is Duration.GTC
    assert foreign.status is OrderStatus.REJECTED
    assert foreign.reason == "Buying power is not sufficient for this order."
    assert (foreign.symbol, foreign.occ_symbol) == ("F", None)


def test_a_list_shorter_than_the_brokers_own_count_is_not_a_list() -> None:
    page = orders.order_page(answer("orders_with_page_count.json"))
    with pytest.raises(Unreadable, match="1 of 2"):
        orders.check_complete(page.orders, page.total_orders)


@pytest.mark.parametrize(
    ("name", "parent", "first", "second", "terminal"),
    [
        ("order_oco_first_leg_filled.json", OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.OPEN, False),
        ("order_oco_sibling_canceled.json", OrderStatus.OPEN, OrderStatus.FILLED, OrderStatus.CANCELLED, False),
        ("order_oco_filled.json", OrderStatus.FILLED, OrderStatus.FILLED, OrderStatus.CANCELLED, True),
    ],
)
def test_the_three_views_of_an_oco_that_fills(
    name: str, parent: OrderStatus, first: OrderStatus, second: OrderStatus, terminal: bool
) -> None:
    report = orders.single_order(answer(name))
    assert (report.status, report.legs[0].status, report.legs[1].status) == (parent, first, second)
    assert report.is_terminal is terminal
    assert report.legs[0].exec_qty == 1
    assert report.legs[0].avg_fill_price == Decimal("6.3")


def test_an_oco_taken_down_by_its_stop_says_why_on_the_leg() -> None:
    report = orders.single_order(answer("order_oco_taken_down_by_stop.json"))
    assert report.is_terminal
    assert report.legs[1].reason == "SellStopOrderStopPriceGreaterBid"


def test_an_otocos_waiting_exits_are_held_or_pending_and_its_tag_may_be_null() -> None:
    report = orders.single_order(answer("order_otoco_waiting.json"))
    assert report.tag is None
    assert [leg.status for leg in report.legs] == [
        OrderStatus.PARTIALLY_FILLED,
        OrderStatus.HELD,
        OrderStatus.PENDING,
    ]
    assert report.legs[0].exec_qty == 1
    assert (report.legs[2].type, report.legs[2].price, report.legs[2].stop) == (
        OrderType.STOP_LIMIT,
        Decimal(2),
        Decimal("2.1"),
    )


def test_a_fill_shown_before_its_price_is_not_priced() -> None:
    report = orders.single_order(answer("order_filled_without_price.json"))
    assert report.status is OrderStatus.FILLED
    assert report.exec_qty == 1
    assert not report.is_priced


def test_a_pending_cancel_is_not_terminal() -> None:
    report = orders.single_order(answer("order_pending_cancel.json"))
    assert report.status is OrderStatus.PENDING_CANCEL
    assert not report.is_terminal


def test_words_nobody_knows_keep_the_order_alive() -> None:
    report = orders.single_order(answer("order_unknown_words.json"))
    assert report.status is OrderStatus.UNRECOGNISED
    assert report.raw_status == "pending_review"
    assert not report.is_terminal
    assert (report.type, report.duration) == (OrderType.UNRECOGNISED, Duration.UNRECOGNISED)
    assert report.order_class is OrderClass.UNRECOGNISED


def test_a_credit_spread_keeps_its_negative_price() -> None:
    report = orders.single_order(answer("order_multileg_credit.json"))
    assert report.avg_fill_price == Decimal("-0.8")
    assert [leg.occ_symbol for leg in report.legs] == ["SPY261218P00600000", "SPY261218P00590000"]


@pytest.mark.parametrize("word", ["filled", "canceled", "expired", "rejected"])
def test_terminal_words_are_terminal(word: str) -> None:
    assert orders.status_of(word).is_terminal


@pytest.mark.parametrize(
    "word", ["open", "pending", "held", "calculated", "accepted_for_bidding", "submitted", "error", "", "weird"]
)
def test_every_other_word_is_not(word: str) -> None:
    assert not orders.status_of(word).is_terminal


def test_an_accepted_order_has_its_id() -> None:
    assert orders.placed(answer("placed.json")).id == "257459"


@pytest.mark.parametrize(
    ("name", "status", "reasons"),
    [
        ("refused_list.json", 200, ["Backoffice rejected override of the order.", "DayTradingBuyingPowerExceeded"]),
        (
            "refused_string.json",
            200,
            ["Sell order cannot be placed unless you are closing a long position, please check open orders."],
        ),
        ("refused_undefined_symbol.json", 200, ["Undefined symbol: XYZ"]),
        ("refused_type.txt", 400, ["Invalid parameter, type: is not valid."]),
        ("refused_tag.txt", 400, ["Invalid parameter, tag: contains invalid characters."]),
        ("refused_undefined_symbol.json", 400, ["Undefined symbol: XYZ"]),
        ("refused_type.txt", 403, ["Invalid parameter, type: is not valid."]),
        ("documentation_page.html", 400, ["the broker answered with a web page"]),
    ],
)
def test_a_refusal_keeps_the_brokers_words(name: str, status: int, reasons: list[str]) -> None:
    with pytest.raises(UpstreamRefused) as refusal:
        orders.placed(answer(name, status))
    assert refusal.value.extra["reasons"] == reasons
    assert refusal.value.detail == "; ".join(reasons)


@pytest.mark.parametrize(
    "name",
    ["fault_invalid_token.json", "fault_expired_token.json", "fault_wrong_host.json", "unauthorized_account.txt"],
)
def test_a_refused_token_is_not_the_orders_fault(name: str) -> None:
    with pytest.raises(UpstreamAuth):
        orders.placed(answer(name, 401))


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"[]", b"{}", b'{"order":null}', b'{"order":{"status":"ok"}}', b'{"order":{"id":true}}', b'"ok"'],
)
def test_a_success_without_an_order_is_unreadable(body: bytes) -> None:
    with pytest.raises(Unreadable):
        orders.placed(Answer(200, {}, body))


def test_a_cancel_is_only_ever_asked_for() -> None:
    assert orders.cancelled(answer("cancel_ok.json")) is CancelAnswer.REQUESTED
    for name in ("cancel_finalized_filled.txt", "cancel_finalized_canceled.txt"):
        assert orders.cancelled(answer(name, 400)) is CancelAnswer.ALREADY_FINAL


def test_401_text_on_an_id_is_not_found_and_elsewhere_a_refused_token() -> None:
    with pytest.raises(NotFound):
        orders.single_order(answer("unauthorized_account.txt", 401))
    with pytest.raises(NotFound):
        orders.cancelled(answer("unauthorized_account.txt", 401))
    with pytest.raises(UpstreamAuth):
        orders.order_page(answer("unauthorized_account.txt", 401))


def test_a_preview_has_its_costs() -> None:
    report = orders.previewed(answer("preview.json"))
    assert (report.cost_usd, report.commission_usd, report.fees_usd) == (
        Decimal("421.7"),
        Decimal("0.7"),
        Decimal(1),
    )
    with pytest.raises(UpstreamRefused):
        orders.previewed(answer("refused_string.json"))


@pytest.mark.parametrize("name", ["event_order_exec_quantity.json", "event_order_executed_quantity.json"])
def test_an_account_event_is_a_hint_in_both_spellings(name: str) -> None:
    message = answer(name).quick_json()
    found = orders.hint(message)
    assert found is not None
    assert found.account_id == "VA00000001"
    assert found.parent_id == ("257460" if message.get("parent_id") else None)
    assert found.status.is_terminal
    assert orders.executed_qty(message) == message.get("exec_quantity", 0)


def test_a_heartbeat_is_no_hint() -> None:
    assert orders.hint(answer("event_heartbeat.json").quick_json()) is None
    assert orders.hint({"event": "order"}) is None
    assert orders.hint([]) is None


@pytest.mark.parametrize(
    ("raw", "text"),
    [("4.20000000", "4.2"), ("400.00000000", "400"), ("0E-8", "0"), ("1E+2", "100"), ("-0.80000000", "-0.8")],
)
def test_numbers_lose_their_padding_and_nothing_else(raw: str, text: str) -> None:
    assert str(wire.decimal(Decimal(raw))) == text
    assert str(wire.decimal(raw)) == text


@pytest.mark.parametrize("raw", ["NaN", "Infinity", "four", "1E+999999999"])
def test_what_is_not_a_number_is_unreadable(raw: str) -> None:
    with pytest.raises((Unreadable, ArithmeticError)):
        wire.decimal(raw)
