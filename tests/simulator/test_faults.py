"""Each kind of fault does what it says, to the request it is meant for, as often as it was asked to."""

import httpx
import pytest

from tests.simulator.process import Trader, bracket, entry, eventually

ORDERS = r"/orders$"


def arm(trader: Trader, kind: str, method: str = "POST", path: str = ORDERS, **more: object) -> None:
    match = {"method": method, "path": path, "account": trader.account}
    trader.control("faults", match=match, kind=kind, times=1, **more)


def test_8_drop_before_loses_the_order(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "drop_before")
    with pytest.raises(httpx.RemoteProtocolError):
        trader.post(entry(option))
    assert trader.truth() == []


def test_8_drop_after_keeps_the_order_and_loses_the_answer(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "drop_after")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        trader.post(entry(option))
    assert [one["status"] for one in trader.truth()] == ["filled"]


def test_8_hang_answers_nothing(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "hang")
    with pytest.raises(httpx.ReadTimeout):
        trader.http.post(f"/v1/accounts/{trader.account}/orders", data=entry(option), timeout=0.2)
    assert trader.truth() == []


def test_8_slow_lands_the_order_and_answers_too_late(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "slow", delay_ms=500)
    with pytest.raises(httpx.ReadTimeout):
        trader.http.post(f"/v1/accounts/{trader.account}/orders", data=entry(option), timeout=0.2)
    assert [one["status"] for one in trader.truth()] == ["filled"]


@pytest.mark.parametrize(
    ("kind", "status", "words", "landed"),
    [
        ("status_500", 500, "An error occurred while communicating with the backend.", 0),
        ("status_500_after", 500, "An error occurred while communicating with the backend.", 1),
        ("status_502_html", 502, "<html>", 1),
        ("status_503", 503, "Service Unavailable", 0),
        ("status_429", 429, "policies.ratelimit.QuotaViolation", 0),
        ("datastore_500", 500, "steps.servicecallout.ExecutionFailed", 0),
        ("html_200", 200, "<html>", 1),
    ],
)
def test_8_a_broken_answer_and_whether_the_order_landed(
    trader: Trader, kind: str, status: int, words: str, landed: int
) -> None:
    option = trader.contract()
    arm(trader, kind)
    answer = trader.post(entry(option))
    assert answer.status_code == status
    assert words in answer.text
    assert len(trader.truth()) == landed
    assert trader.post(entry(option)).json()["order"]["status"] == "ok"


def test_8_reject_later_takes_an_accepted_order_back(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "reject_later", delay_ms=100)
    order_id = trader.place(entry(option))
    assert trader.order(order_id)["status"] == "open"
    eventually(lambda: trader.order(order_id)["status"] == "rejected")
    assert trader.order(order_id)["reason_description"]
    assert trader.get("/positions").json() == {"positions": "null"}


def test_reject_later_takes_a_whole_group_back(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option)
    arm(trader, "reject_later", delay_ms=50)
    group = trader.place(bracket(option, 1, target=6, stop=4))
    trader.control("price", symbol=option, price=7)
    eventually(lambda: trader.order(group)["status"] == "rejected")
    assert {leg["status"] for leg in trader.order(group)["leg"]} == {"rejected"}


def test_partial_fill_executes_half_until_it_is_let_go(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "partial_fill")
    order_id = trader.place(entry(option, quantity=4))
    order = trader.order(order_id)
    assert (order["status"], order["exec_quantity"], order["remaining_quantity"]) == ("partially_filled", 2, 2)
    trader.control("events", kind="fill", account=trader.account, order_id=order_id)
    assert trader.order(order_id)["status"] == "filled"


def test_partial_fill_can_end_by_itself(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "partial_fill", quantity=1, delay_ms=100)
    order_id = trader.place(entry(option, quantity=4))
    assert trader.order(order_id)["exec_quantity"] == 1
    eventually(lambda: trader.order(order_id)["status"] == "filled")


def test_a_part_filled_order_that_is_cancelled_keeps_what_it_executed(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "partial_fill")
    order_id = trader.place(entry(option, quantity=4))
    trader.http.delete(f"/v1/accounts/{trader.account}/orders/{order_id}")
    eventually(lambda: trader.order(order_id)["status"] == "canceled")
    assert (trader.order(order_id)["exec_quantity"], trader.order(order_id)["remaining_quantity"]) == (2, 0)
    assert trader.cash()["positions"] == {option: 2}


def test_no_fill_rests_though_the_market_is_there(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "no_fill")
    order_id = trader.place(entry(option))
    trader.control("price", symbol=option, price=1)
    assert trader.order(order_id)["status"] == "open"


def test_8_an_empty_list_hides_the_orders(trader: Trader) -> None:
    trader.buy(trader.contract())
    arm(trader, "empty_list", "GET")
    assert trader.get("/orders").json() == {"orders": "null"}
    assert "order" in trader.get("/orders").json()["orders"]


def test_8_a_stale_list_lags_behind_the_post(trader: Trader) -> None:
    option = trader.contract()
    first = trader.buy(option)
    trader.get("/orders")
    trader.buy(option)
    arm(trader, "stale_list", "GET")
    assert trader.get("/orders").json()["orders"]["order"]["id"] == first
    assert len(trader.get("/orders").json()["orders"]["order"]) == 2


def test_8_half_a_page_misses_the_rest(trader: Trader) -> None:
    option = trader.contract()
    for _ in range(4):
        trader.buy(option)
    arm(trader, "half_page", "GET")
    assert len(trader.get("/orders").json()["orders"]["order"]) == 2


def test_a_fault_meets_its_method_path_and_account_only_and_counts_down(trader: Trader) -> None:
    trader.control("faults", match={"method": "GET", "path": "/positions$"}, kind="status_503", times=2)
    assert trader.get("/balances").status_code == 200
    assert [trader.get("/positions").status_code for _ in range(3)] == [503, 503, 200]
    trader.control("faults", match={"account": "VA99999999"}, kind="status_503", times=1)
    assert trader.get("/positions").status_code == 200
    trader.control("faults", match={"account": trader.account}, kind="status_503", times=1)
    trader.http.delete("/_control/faults", params={"account": trader.account})
    assert trader.get("/positions").status_code == 200
    assert [one["match"]["account"] for one in trader.http.get("/_control/faults").json()] == ["VA99999999"]
    assert trader.http.delete("/_control/faults").json() == []


def test_a_fault_never_meets_a_preview(trader: Trader) -> None:
    option = trader.contract()
    arm(trader, "status_503")
    assert trader.post(entry(option) | {"preview": "true"}).status_code == 200
    assert trader.post(entry(option)).status_code == 503


def test_an_unknown_fault_is_refused_with_the_list(trader: Trader) -> None:
    answer = trader.http.post("/_control/faults", json={"match": {}, "kind": "earthquake"})
    assert answer.status_code == 422
    assert "drop_after" in answer.json()["error"]
