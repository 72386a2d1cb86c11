"""What NATS kept is gone, or NATS goes at the worst moment: nothing is lost, nothing is done twice."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.faults.books import balanced_books
from tests.faults.outage import away, turns
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.faults

BACK_S = 60.0
AWAY_S = 5.0


@pytest.fixture
def trader(stack: Stack) -> Iterator[Trader]:
    assert eventually(stack.is_ready, BACK_S)
    with Trader(stack.gateway_url) as somebody:
        yield somebody


def test_streams_that_were_lost_are_told_again_and_nothing_counts_twice(
    stack: Stack, simulator: Simulator, trader: Trader
) -> None:
    over = trader.protected(trader.place(trader.body(trader.contract("SPY", 0)))["id"], 30)
    simulator.price(over["occ_symbol"], over["sl_price"])
    trader.closed(over["id"], 30)
    held = trader.protected(trader.place(trader.body(trader.contract("QQQ", 0)))["id"], 30)
    before = balanced_books(stack)
    at_the_broker = simulator.orders(over["account_id"])

    with away(stack, "nats", lose_streams=True):
        simulator.price(held["occ_symbol"], held["tp_price"])
        for _ in turns(AWAY_S):
            assert simulator.working(over["account_id"]) == [] or trader.call("GET", "/livez").status_code == 200

    assert trader.closed(held["id"], BACK_S)["close_reason"] == "TP_HIT"
    after = balanced_books(stack)
    # The books hold that each fact is on the new stream, so those from before were told again; here that they changed
    # nothing: the same lines under the same ids, the same outcomes, the same trades, the same orders.
    assert before.told.keys() <= set(after.on_stream)
    for kind, known in before.kept().items():
        assert {place: after.kept()[kind].get(place) for place in known} == known
    known_orders = {order["id"]: order for order in simulator.orders(over["account_id"])}
    assert known_orders.keys() == {order["id"] for order in at_the_broker}
    assert len([line for line in after.lines if line[0] == trader.name]) == len(inbox(trader))
    placed = trader.protected(trader.place(trader.body(trader.contract("DIA", 0)))["id"], 30)
    assert placed["protection"] == "PROTECTED"


def inbox(trader: Trader) -> list[Json]:
    return list(trader.ok("GET", "/api/notifications/trades?limit=200")["notifications"])


def test_an_entry_that_fills_while_nats_goes_away_gets_its_exits_nevertheless(
    stack: Stack, simulator: Simulator, trader: Trader
) -> None:
    body, key = trader.body(trader.contract("IWM", 0)), uuid.uuid4().hex
    account = trader.ok("GET", "/api/settings")["account_id"]
    answers: list[httpx.Response] = []
    simulator.fault("slow", delay_ms=1500)
    asking = threading.Thread(target=lambda: answers.append(trader.call("POST", "/api/trades", body, key=key)))
    asking.start()
    try:
        assert eventually(lambda: entry_is_on_its_way(simulator, account), 15)
        with away(stack, "nats"):
            assert eventually(lambda: len(simulator.working(account)) == 2, 20), simulator.legs(account)
    finally:
        asking.join(30)
    # The caller was not told that nothing happened: the answer is lost, and the key gets the truth.
    assert answers
    assert answers[0].status_code in {201, 202, 504}, answers[0].text
    truth = trader.insist("POST", "/api/trades", body, key=key)
    assert trader.protected(truth["id"], BACK_S)["account_id"] == account
    assert len([leg for leg in simulator.legs(account) if leg["side"] == "buy_to_open"]) == 1
    simulator.price(truth["occ_symbol"], truth["sl_price"])
    assert trader.closed(truth["id"], BACK_S)["close_reason"] == "SL_HIT"
    balanced_books(stack)


def entry_is_on_its_way(simulator: Simulator, account: str) -> bool:
    return any(
        one["method"] == "POST" and one["path"].endswith("/orders") and one["account"] == account
        for one in simulator.requests()
    )
