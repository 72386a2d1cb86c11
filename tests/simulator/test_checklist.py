"""Tradier's behaviour, one test or more after each line of the checklist of facts."""

import re
from datetime import datetime, timedelta

import httpx
import pytest

from tests.simulator.process import SimulatorProcess, Trader, bracket, entry, eventually, exit_order

STRING_REFUSAL = "Sell order cannot be placed unless you are closing a long position, please check open orders. "


def test_1_a_bad_token_gets_the_gateways_fault(simulator: SimulatorProcess) -> None:
    for headers in ({"Authorization": "Bearer bad-1"}, {}):
        answer = httpx.get(f"{simulator.url}/v1/user/profile", headers=headers | {"Accept": "application/json"})
        assert answer.status_code == 401
        assert answer.json()["fault"]["detail"]["errorcode"] == "keymanagement.service.invalid_access_token"


def test_1_a_token_of_another_environment_is_refused_in_the_gateways_words(trader: Trader) -> None:
    trader.control("toggles", token_prefix="live-")
    answer = trader.http.get("/v1/user/profile")
    assert answer.status_code == 401
    assert answer.json()["fault"]["faultstring"] == "Invalid API call as no apiproduct match found"
    own = trader.http.get("/v1/user/profile", headers={"Authorization": "Bearer live-5"})
    assert own.json()["profile"]["account"]["account_number"] == "VA00000005"


def test_1_anothers_account_gets_the_unauthorized_text(trader: Trader) -> None:
    answer = trader.http.get("/v1/accounts/VA99999999/orders")
    assert (answer.status_code, answer.text) == (401, "Unauthorized Account: VA99999999")
    assert answer.headers["content-type"].startswith("text/plain")


def test_1_the_profile_tells_whose_token_it_is(trader: Trader) -> None:
    account = trader.get("/user/profile").json()["profile"]["account"]
    assert (account["account_number"], account["status"]) == (trader.account, "active")
    assert account["option_level"] >= 2


def test_1_a_token_without_a_number_has_a_stable_account(simulator: SimulatorProcess) -> None:
    def account() -> str:
        headers = {"Authorization": "Bearer word", "Accept": "application/json"}
        answer = httpx.get(f"{simulator.url}/v1/user/profile", headers=headers)
        number: str = answer.json()["profile"]["account"]["account_number"]
        return number

    assert re.fullmatch(r"VA\d{8}", account())
    assert account() == account()


def test_1_a_client_that_forgets_the_accept_header_gets_no_json(simulator: SimulatorProcess) -> None:
    answer = httpx.get(f"{simulator.url}/v1/user/profile", headers={"Authorization": "Bearer t-1"})
    assert answer.status_code == 406


def test_2_collections_come_in_three_shapes(trader: Trader) -> None:
    assert trader.get("/orders").json() == {"orders": "null"}
    assert trader.get("/positions").json() == {"positions": "null"}
    option = trader.contract()
    trader.buy(option)
    assert trader.get("/orders").json()["orders"]["order"]["option_symbol"] == option
    trader.buy(trader.contract(strike=21))
    assert [one["status"] for one in trader.get("/orders").json()["orders"]["order"]] == ["filled", "filled"]
    assert len(trader.get("/positions").json()["positions"]["position"]) == 2


def test_2_decimals_have_eight_places(trader: Trader) -> None:
    trader.buy(trader.contract(), quantity=2, price=5.15)
    text = trader.get("/orders").text
    assert '"quantity":2.00000000' in text
    assert '"avg_fill_price":5.15000000' in text
    assert '"remaining_quantity":0E-8' in text
    assert '"cost_basis":1030.00000000' in trader.get("/positions").text


def test_2_tags_are_told_only_when_asked_for(trader: Trader) -> None:
    order_id = trader.buy(trader.contract(), tag="bk-abc")
    assert "tag" not in trader.order(order_id)
    assert trader.order(order_id, includeTags="True")["tag"] == "bk-abc"
    assert "tag" not in trader.get("/orders").json()["orders"]["order"]
    assert trader.get("/orders", includeTags="true").json()["orders"]["order"]["tag"] == "bk-abc"


def test_2_pages_follow_each_other(trader: Trader) -> None:
    option = trader.contract()
    ids = [trader.buy(option) for _ in range(5)]
    seen = [trader.get("/orders", page=n, limit=2).json()["orders"] for n in (1, 2, 3, 4)]
    assert [one["id"] for page in seen[:2] for one in page["order"]] + [seen[2]["order"]["id"]] == ids
    assert seen[3] == "null"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"type": "best"}, "Invalid parameter, type: is not valid."),
        ({"duration": "week"}, "Invalid parameter, duration: is not valid."),
        ({"side": "buy"}, "Invalid parameter, side: is not valid."),
        ({"quantity": "0"}, "Invalid parameter, quantity: is not valid."),
        ({"quantity": "1.5"}, "Invalid parameter, quantity: is not valid."),
        ({"class": "future"}, "Invalid parameter, class: is not valid."),
        ({"type": "limit"}, "Invalid parameter, price: is not valid."),
        ({"type": "limit", "price": "1.001"}, "Invalid parameter, price: is not valid."),
        ({"type": "stop"}, "Invalid parameter, stop: is not valid."),
        ({"tag": "a_b"}, "Invalid parameter, tag: contains invalid characters."),
        ({"tag": "a" * 256}, "Invalid parameter, tag: contains more than 255 characters."),
        ({"side[0]": "buy_to_open"}, "legs are not allowed for this order class"),
    ],
)
def test_3_a_malformed_placement_gets_400_text(trader: Trader, change: dict[str, object], words: str) -> None:
    answer = trader.post(entry(trader.contract()) | change)
    assert (answer.status_code, answer.text) == (400, words)
    assert trader.truth() == []


def test_3_a_risk_refusal_is_200_with_errors(trader: Trader) -> None:
    answer = trader.post(entry("SPY260101C00999999"))
    assert (answer.status_code, answer.json()) == (200, {"errors": {"error": "Undefined symbol: SPY260101C00999999"}})
    option = trader.contract()
    trader.control("price", symbol=option, price=50)
    answer = trader.post(entry(option, quantity=1000))
    assert answer.json() == {"errors": {"error": ["Backoffice rejected override of the order.", "InitialMargin"]}}


def test_3_parameters_may_stand_in_the_query(trader: Trader) -> None:
    option = trader.contract()
    answer = trader.http.post(f"/v1/accounts/{trader.account}/orders", params=entry(option))  # type: ignore[arg-type]
    assert answer.json()["order"]["status"] == "ok"


def test_3_an_accepted_order_can_be_rejected_later(trader: Trader) -> None:
    option = trader.contract("AAPL")
    trader.control("price", symbol=option, price=5)
    order_id = trader.place(entry(option) | {"type": "limit", "price": "4.97"})
    eventually(lambda: trader.order(order_id)["status"] == "rejected")
    assert trader.order(order_id)["reason_description"] == "OrderPriceIsInvalid"


def test_4_a_sell_beyond_the_long_is_refused(trader: Trader) -> None:
    option, _ = trader.protected()
    answer = trader.post(exit_order(option))
    assert (answer.status_code, answer.json()) == (200, {"errors": {"error": STRING_REFUSAL}})
    trader.control("toggles", refusal_form="list")
    code = "UnexpectedSellOrderOption"
    assert trader.post(exit_order(option)).json()["errors"]["error"][1] == code
    assert trader.post(exit_order(option) | {"preview": "true"}).json()["errors"]["error"][1] == code


def test_4_an_oco_takes_its_quantity_once(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option, quantity=3)
    trader.place(bracket(option, 2, target=6, stop=4))
    trader.place(exit_order(option) | {"type": "limit", "price": "9.00"})
    assert trader.post(exit_order(option)).json()["errors"]["error"] == STRING_REFUSAL


def test_4_pending_buys_count_where_the_toggle_says_so(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5)
    trader.place(entry(option) | {"type": "limit", "price": "4.00"})
    sell = exit_order(option) | {"type": "limit", "price": "9.00"}
    assert "errors" in trader.post(sell).json()
    trader.control("toggles", pending_buys=True)
    trader.place(sell)


def test_5_an_oco_ends_leg_by_leg(trader: Trader) -> None:
    option, group = trader.protected()
    trader.control("price", symbol=option, price=6.5)
    seen: list[tuple[str, str, str]] = []

    def is_over() -> bool:
        order = trader.order(group)
        seen.append((order["status"], order["leg"][0]["status"], order["leg"][1]["status"]))
        return seen[-1] == ("filled", "filled", "canceled")

    eventually(is_over)
    steps = [("open", "filled", "open"), ("open", "filled", "canceled"), ("filled", "filled", "canceled")]
    assert [step for step in steps if step in seen] == sorted(set(seen), key=steps.index)
    order = trader.order(group)
    filled, canceled, parent = (
        datetime.fromisoformat(one["transaction_date"]) for one in (*order["leg"], order)
    )  # fmt: skip
    assert timedelta(milliseconds=139) <= canceled - filled
    assert timedelta(milliseconds=149) <= parent - filled
    assert canceled <= parent
    assert order["leg"][0]["avg_fill_price"] == 6.0
    assert order["leg"][1]["remaining_quantity"] == 0


def test_5_an_oco_parent_is_sparse_and_its_legs_are_not(trader: Trader) -> None:
    option, group = trader.protected()
    parent = trader.order(group)
    assert set(parent) == {"id", "status", "create_date", "transaction_date", "class", "leg"}
    limit, stop = parent["leg"]
    assert [limit["id"], stop["id"]] == [group + 1, group + 2]
    assert "stop_price" not in limit
    assert "price" not in stop
    assert (limit["option_symbol"], stop["duration"], stop["class"]) == (option, "gtc", "option")


def test_5_a_fill_may_show_before_its_price(trader: Trader) -> None:
    trader.control("toggles", late_price_ms=400)
    order_id = trader.buy(trader.contract())
    assert (trader.order(order_id)["status"], trader.order(order_id)["avg_fill_price"]) == ("filled", None)
    eventually(lambda: trader.order(order_id)["avg_fill_price"] == 5.0)


def test_6_a_cancel_is_ok_first_and_done_later(trader: Trader) -> None:
    trader.control("toggles", cancel_delay_ms=200)
    _, group = trader.protected()
    path = f"/v1/accounts/{trader.account}/orders/{group}"
    assert trader.http.delete(path).json()["order"] == {"id": group, "status": "ok"}
    assert trader.order(group)["status"] == "open"
    eventually(lambda: trader.order(group)["status"] == "canceled")
    assert {leg["status"] for leg in trader.order(group)["leg"]} == {"canceled"}
    answer = trader.http.delete(path)
    assert (answer.status_code, answer.text) == (400, "order already in finalized state: canceled")


def test_6_a_fill_can_win_against_the_cancel(trader: Trader) -> None:
    trader.control("toggles", cancel_delay_ms=300)
    option, group = trader.protected()
    trader.http.delete(f"/v1/accounts/{trader.account}/orders/{group}")
    trader.control("price", symbol=option, price=3.5)
    eventually(lambda: trader.order(group)["status"] == "filled")
    assert trader.order(group)["leg"][1]["avg_fill_price"] == 3.5


def test_6_cancelling_a_leg_ends_the_group_and_an_unknown_id_is_401(trader: Trader) -> None:
    _, group = trader.protected()
    assert trader.http.delete(f"/v1/accounts/{trader.account}/orders/{group + 2}").status_code == 200
    eventually(lambda: trader.order(group)["status"] == "canceled")
    answer = trader.http.delete(f"/v1/accounts/{trader.account}/orders/999")
    assert (answer.status_code, answer.text) == (401, f"Unauthorized Account: {trader.account}")


def test_7_a_stop_on_the_wrong_side_takes_the_oco_down_after_ok(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option)
    group = trader.place(bracket(option, 1, target=7.0, stop=5.5))
    assert trader.order(group)["status"] == "open"
    eventually(lambda: trader.order(group)["status"] == "canceled")
    legs = trader.order(group)["leg"]
    assert [leg["status"] for leg in legs] == ["canceled", "canceled"]
    assert legs[1]["reason_description"] == "SellStopOrderStopPriceGreaterBid"
    assert trader.cash()["positions"] == {option: 1}


def test_9_the_list_forgets_yesterday_and_the_look_up_does_not(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T15:00:00Z")
    _, group = trader.protected()
    trader.control("clock", now="2026-11-25T15:00:00Z")
    assert trader.get("/orders").json() == {"orders": "null"}
    assert trader.order(group)["status"] == "open"
    trader.control("toggles", gtc_listed=True)
    assert trader.get("/orders").json()["orders"]["order"]["id"] == group


def test_9_day_orders_expire_at_the_close_and_gtc_orders_stay(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T20:59:00Z", session="calendar")
    option = trader.contract("AAPL")
    trader.buy(option)
    group = trader.place(bracket(option, 1, 6.0, 4.0))
    resting = trader.place(entry(option) | {"type": "limit", "price": "1.00"})
    trader.control("clock", now="2026-11-24T21:00:01Z")
    assert trader.order(resting)["status"] == "expired"
    assert trader.order(group)["status"] == "open"
    trader.control("price", symbol=option, price=6.5)
    assert trader.order(group)["status"] == "open"


def test_9_options_on_broad_funds_trade_a_quarter_of_an_hour_longer(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T20:59:00Z", session="calendar")
    option, group = trader.protected()
    resting = trader.place(entry(option) | {"type": "limit", "price": "1.00"})
    trader.control("clock", now="2026-11-24T21:05:00Z")
    assert trader.order(resting)["status"] == "open"
    another = trader.contract(strike=22)
    assert trader.order(trader.buy(another))["status"] == "filled"
    trader.control("price", symbol=option, price=6.5)
    assert "filled" in {leg["status"] for leg in trader.order(group)["leg"]}
    trader.control("clock", now="2026-11-24T21:15:01Z")
    assert trader.order(resting)["status"] == "expired"
    assert trader.order(trader.buy(another))["status"] == "pending"


def test_9_an_order_out_of_hours_waits_for_the_open(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T23:00:00Z", session="calendar")
    option = trader.contract()
    order_id = trader.buy(option)
    assert trader.order(order_id)["status"] == "pending"
    trader.control("clock", now="2026-11-25T14:31:00Z")
    assert trader.order(order_id)["status"] == "filled"


def test_10_rate_limit_headers_are_per_bucket_and_in_milliseconds(trader: Trader) -> None:
    trader.control("toggles", rate_standard=2)
    first, second = trader.get("/balances"), trader.get("/balances")
    assert first.headers["x-ratelimit-allowed"] == "2"
    assert (first.headers["x-ratelimit-used"], second.headers["x-ratelimit-available"]) == ("1", "0")
    assert int(second.headers["x-ratelimit-expiry"]) > 1_700_000_000_000
    third = trader.get("/balances")
    assert third.status_code == 429
    assert third.json()["fault"]["detail"]["errorcode"] == "policies.ratelimit.QuotaViolation"
    assert trader.get("/markets/clock").status_code == 200
    trader.control("toggles", rate_limit=False)
    assert "x-ratelimit-allowed" not in trader.get("/balances").headers
