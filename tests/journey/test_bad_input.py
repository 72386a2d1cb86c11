"""What must be refused before anything is sent, in words a person can act on."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from decimal import Decimal

import pytest

from tests.journey.stack import Simulator
from tests.journey.trader import Json, Trader

pytestmark = pytest.mark.integration

Change = Callable[[Json], Json]


def d(body: Json, field: str) -> Decimal:
    return Decimal(body[field])


REFUSED: dict[str, tuple[Change, set[str]]] = {
    "unknown ticker": (lambda b: {**b, "ticker": "NOPE"}, {"invalid_input", "broker_refused"}),
    "unknown strike": (lambda b: {**b, "strike": "1234.5"}, {"invalid_input"}),
    "unknown expiry": (lambda b: {**b, "expiry": "2031-01-01"}, {"invalid_input"}),
    "expired contract": (lambda b: {**b, "expiry": "2020-01-17"}, {"invalid_input"}),
    "stop above entry": (lambda b: {**b, "sl_price": str(d(b, "tp_price") + 5), "tp_price": None}, {"invalid_input"}),
    "target below entry": (lambda b: {**b, "tp_price": b["sl_price"], "sl_price": None}, {"invalid_input"}),
    "exits too near": (
        lambda b: {**b, "sl_price": b["sl_price"], "tp_price": str(d(b, "sl_price") + Decimal("0.05"))},
        {"invalid_input"},
    ),
    "nothing": (lambda b: {**b, "qty": 0}, {"invalid_input"}),
    "absurd quantity": (lambda b: {**b, "qty": 99_999}, {"invalid_input", "limit_exceeded"}),
    "negative stop": (lambda b: {**b, "sl_price": "-1"}, {"invalid_input"}),
    "a price that is none": (lambda b: {**b, "sl_price": "NaN"}, {"invalid_input"}),
    "an unknown field": (lambda b: {**b, "username": "somebody"}, {"invalid_input"}),
    "a limit without its price": (lambda b: {**b, "entry": {"type": "limit"}}, {"invalid_input"}),
    "another's account": (lambda b: {**b, "account_id": "VA00000001"}, {"invalid_input", "not_found"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused_before_anything_is_sent(case: str, trader: Trader, simulator: Simulator) -> None:
    change, codes = REFUSED[case]
    body = change(trader.body(trader.contract("SPY", 0)))
    answer = trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex)
    assert 400 <= answer.status_code < 500, answer.text
    problem = answer.json()
    assert problem["code"] in codes
    assert problem["detail"]
    assert problem["correlation_id"]
    assert answer.headers["content-type"] == "application/problem+json"
    account = trader.ok("GET", "/api/settings")["account_id"]
    assert simulator.orders(account) == []
    assert trader.ok("GET", "/api/trades?status=OPEN")["trades"] == []


def test_a_stop_at_the_bid_is_refused(trader: Trader, simulator: Simulator) -> None:
    contract = trader.contract("SPY", 7)
    # Pinned: the recorded price moves on, and a bid that has risen since makes a good stop of this one.
    simulator.quote(contract["occ_symbol"], contract["bid"], contract["ask"])
    body = trader.body(contract, sl_price=contract["bid"])
    answer = trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex)
    assert answer.json()["code"] == "invalid_input"
    assert "stop" in answer.json()["detail"]


def test_a_second_trade_in_the_contract_is_refused(trader: Trader, simulator: Simulator) -> None:
    body = trader.body(trader.contract("SPY", 0))
    trade = trader.protected(trader.place(body)["id"])
    answer = trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex)
    assert (answer.status_code, answer.json()["code"]) == (409, "contract_in_use")
    bought = [o for o in simulator.legs(trade["account_id"]) if o["side"] == "buy_to_open"]
    assert len(bought) == 1


def test_a_closed_market_is_said(trader: Trader, simulator: Simulator) -> None:
    body = trader.body(trader.contract("SPY", 0))
    simulator.session("closed")
    try:
        assert trader.eventually(
            lambda: trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex).json()["code"] == "market_closed", 5
        )
    finally:
        simulator.session("open")


def test_the_brokers_refusal_reaches_the_user_in_its_words(trader: Trader, simulator: Simulator) -> None:
    simulator.fault("reject_later")
    placed = trader.call("POST", "/api/trades", trader.body(trader.contract("SPY", 0)), key=uuid.uuid4().hex)
    trades = trader.ok("GET", "/api/trades?status=CLOSED")["trades"]
    assert trader.eventually(lambda: bool(trader.ok("GET", "/api/trades?status=CLOSED")["trades"]), 10), placed.text
    trades = trader.ok("GET", "/api/trades?status=CLOSED")["trades"]
    assert [(trade["close_reason"], bool(trade["reason"])) for trade in trades] == [("REJECTED", True)]


def test_no_key_no_trade(trader: Trader) -> None:
    answer = trader.call("POST", "/api/trades", trader.body(trader.contract("SPY", 0)))
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
