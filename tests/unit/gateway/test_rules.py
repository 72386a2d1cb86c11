"""The gateway's pure rules: waiting, names, cells, frames, words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidInput
from libs.common.messages.base import FACTS
from libs.common.messages.orders import TRADE_FACTS, TradeClosed, TradeUnknown, TradeUnprotected
from libs.common.messages.vocabulary import CloseReason, OrderRole, OrderStatus
from services.gateway import frames, names, notes, throttle, visitor
from services.gateway.accounts import network
from services.gateway.exports import TRADES, cell, cells, lines
from tests.integration.gateway.facts import NOW, order, trade


@given(st.integers(0, 10_000), st.floats(0, 2_000))
def test_waiting_is_never_longer_than_its_cap_and_ends_by_itself(failures: int, since_s: float) -> None:
    wait = throttle.wait_s(throttle.PAIR, failures, since_s)
    assert 0 <= wait <= throttle.PAIR.cap_s
    assert throttle.wait_s(throttle.PAIR, failures, since_s + wait) == 0 or wait == 0
    assert throttle.wait_s(throttle.PAIR, failures, throttle.PAIR.cap_s) == 0


def test_the_first_failures_are_free_and_the_next_wait_doubles() -> None:
    waits = [throttle.wait_s(throttle.PAIR, failures, 0) for failures in range(12)]
    assert waits == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60]


@given(st.text(max_size=40))
def test_a_name_that_is_let_in_is_one_harmless_token(name: str) -> None:
    try:
        names.refuse_unfit(name)
    except InvalidInput:
        return
    assert name.isascii()
    assert name == name.lower()
    assert not set(name) & set(" .*>'\"\\$/\x00\n")
    assert 3 <= len(name) <= 32


@pytest.mark.parametrize("name", ["alice", "bob-2", "demo", "a_b", "0xabc"])
def test_ordinary_names_are_let_in(name: str) -> None:
    names.refuse_unfit(name)


def test_addresses_of_one_home_count_as_one() -> None:
    assert network("203.0.113.7") == "203.0.113.7"
    assert network("2001:db8:1:2:3:4:5:6") == network("2001:db8:1:2::9") == "2001:db8:1:2"


@given(st.text(max_size=30))
def test_no_text_becomes_a_formula(text: str) -> None:
    written = cell(text)
    assert not written.startswith(("=", "@", "\t", "\r", "\n", "|", "%"))
    assert written in {text, f"'{text}"}


@pytest.mark.parametrize("number", ["-12.50", "+3", "0", "1e5", "-1E-7"])
def test_numbers_stay_numbers(number: str) -> None:
    assert cell(number) == number


@pytest.mark.parametrize("text", ["-1+1", "+cmd|' /C calc'!A0", "=1", "@a", "-", "\t=1"])
def test_what_only_looks_like_a_number_is_a_text(text: str) -> None:
    assert cell(text) == f"'{text}"


def test_rows_have_the_sheets_columns_and_odd_texts_stay_in_their_cell() -> None:
    row = {"id": "t1", "reason": 'a,"b"\nc', "targets": {"target_mfe_pct": "4"}, "orders": [], "is_locked": True}
    written = cells(TRADES, row)
    assert len(written) == len(TRADES.columns)
    assert written[TRADES.columns.index("target_mfe_pct")] == "4"
    assert written[TRADES.columns.index("is_locked")] == "true"
    assert b'"a,""b""\nc"' in lines([written])


def test_a_frame_is_one_event_with_its_id_first() -> None:
    assert frames.fact("trade_closed", "e-1", b'{"a":1}') == b'id: e-1\nevent: trade_closed\ndata: {"a":1}\n\n'
    assert frames.tick("prices", b"{}") == b"event: prices\ndata: {}\n\n"


def test_the_feed_sends_the_facts_of_the_api_and_never_what_is_between_services() -> None:
    sent = set(frames.EVENT_OF)
    assert {f"orders.{fact.topic}" for fact in TRADE_FACTS} <= sent
    assert {"orders.settings_changed", "gateway.notification_created", "monitor.incident_opened"} <= sent
    inside = {"monitor.order_changed", "orders.credentials_changed", "orders.concern_raised", "gateway.user_registered"}
    assert not sent & inside
    assert sent <= set(FACTS)


@pytest.mark.parametrize("status", list(OrderStatus))
@pytest.mark.parametrize("role", [None, *OrderRole])
def test_every_broker_status_is_a_line_or_nothing(status: OrderStatus, role: OrderRole | None) -> None:
    note = notes.of_order(order(status, role=role))
    assert (note is None) == (status in {OrderStatus.INTENT, OrderStatus.SENT, OrderStatus.UNKNOWN})
    if note is not None:
        assert note.data.message.startswith("SPY 2026-12-18 580 Call: ")


@pytest.mark.parametrize("reason", list(CloseReason))
def test_every_close_reason_has_words(reason: CloseReason) -> None:
    fact = trade(TradeClosed, close_reason=reason, close_price=Decimal("1.00"), realized_pnl=Decimal("-320.00"))
    note = notes.of_trade(fact, NOW)
    assert notes.REASON_WORDS[reason] in note.data.message
    assert "-$320.00" in note.data.message


def test_a_trade_ends_once_but_may_lose_its_exits_again() -> None:
    def cause(kind: type, version: int) -> str:
        return notes.of_trade(trade(kind, key_version=version), NOW).cause

    assert cause(TradeClosed, 3) == cause(TradeClosed, 4)
    assert cause(TradeUnprotected, 3) != cause(TradeUnprotected, 4)
    assert cause(TradeUnknown, 3) != cause(TradeUnprotected, 3)


def test_the_brokers_words_are_part_of_the_line() -> None:
    note = notes.of_order(order(OrderStatus.REJECTED, reason="Not enough buying power"))
    assert note is not None
    assert note.data.message.endswith("Entry rejected (Not enough buying power)")


@pytest.mark.parametrize(
    ("user_agent", "named"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0", "Firefox on Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/130.0 Safari/537.36 Edg/130.0", "Edge on Windows"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari on iPhone"),
        ("<script>alert(1)</script>", ""),
        ("", ""),
    ],
)
def test_a_browser_is_named_in_our_own_words_only(user_agent: str, named: str) -> None:
    assert visitor.browser_of(user_agent) == named
