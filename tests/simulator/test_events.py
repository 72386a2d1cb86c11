"""What happens at a broker without the customer's program."""

from decimal import Decimal

import pytest

from tests.simulator.process import Trader, bracket, eventually, three_legs


def happen(trader: Trader, kind: str, **more: object) -> dict[str, object]:
    answer: dict[str, object] = trader.control("events", kind=kind, account=trader.account, **more)
    return answer


def test_a_manual_order_appears_without_a_tag(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5)
    order_id = happen(trader, "manual_order", option_symbol=option, side="buy_to_open", quantity=2)["order_id"]
    order = trader.get("/orders", includeTags="true").json()["orders"]["order"]
    assert (order["id"], order["status"], order["exec_quantity"]) == (order_id, "filled", 2)
    assert "tag" not in order
    resting = happen(
        trader, "manual_order", option_symbol=option, side="sell_to_close", quantity=1, type="stop", price="4.00"
    )
    assert resting["status"] == "open"


def test_a_manual_cancel_takes_a_group_down_at_once(trader: Trader) -> None:
    _, group = trader.protected()
    happen(trader, "manual_cancel", order_id=group)
    assert trader.truth(group)["status"] == "canceled"
    assert [leg["status"] for leg in trader.truth(group)["leg"]] == ["canceled", "canceled"]


def test_a_double_fill_leaves_the_account_short(trader: Trader) -> None:
    option, group = trader.protected(quantity=2)
    happen(trader, "double_fill", order_id=group)
    assert [leg["status"] for leg in trader.truth(group)["leg"]] == ["filled", "filled"]
    assert trader.cash()["positions"] == {option: -2}
    position = trader.get("/positions").json()["positions"]["position"]
    assert (position["quantity"], position["cost_basis"]) == (-2, -800.0)
    assert trader.get("/balances").json()["balances"]["short_market_value"] == -1000.0
    trader.place({"class": "option", "symbol": "SPY", "option_symbol": option, "side": "buy_to_close", "quantity": 2,
                  "type": "market", "duration": "day"})  # fmt: skip
    assert trader.cash()["positions"] == {}


def test_an_exercise_turns_the_option_into_shares(trader: Trader) -> None:
    option, group = trader.protected()
    strike = float(option[-8:]) / 1000
    happen(trader, "exercise", option_symbol=option)
    assert trader.cash()["positions"] == {"SPY": 100}
    assert trader.cash()["cash"] == 100_000 - 500 - 100 * strike
    assert trader.truth(group)["status"] == "canceled"


def test_a_liquidation_sells_over_the_exits(trader: Trader) -> None:
    _, group = trader.protected()
    orders = happen(trader, "broker_liquidation")["order_ids"]
    assert isinstance(orders, list)
    assert trader.truth(group)["status"] == "canceled"
    assert (trader.truth(orders[0])["avg_fill_price"], trader.truth(orders[0])["tag"]) == (5.0, None)
    assert trader.cash()["positions"] == {}


def test_a_corporate_action_replaces_the_symbol(trader: Trader) -> None:
    option, group = trader.protected()
    successor = happen(trader, "corporate_action", option_symbol=option)["option_symbol"]
    assert isinstance(successor, str)
    assert successor.startswith("SPY1")
    assert trader.cash()["positions"] == {successor: 1}
    assert trader.truth(group)["status"] == "canceled"
    assert trader.get("/markets/quotes", symbols=successor).json()["quotes"]["quote"]["underlying"] == "SPY"


def test_a_wipe_forgets_orders_positions_and_money(trader: Trader) -> None:
    trader.protected()
    happen(trader, "wipe")
    assert trader.get("/orders").json() == {"orders": "null"}
    assert trader.get("/positions").json() == {"positions": "null"}
    assert trader.cash()["cash"] == 100_000.0


@pytest.mark.parametrize(
    "event",
    [
        {"kind": "manual_cancel", "order_id": 1},
        {"kind": "exercise", "option_symbol": "SPY261218C00650000"},
        {"kind": "manual_order", "option_symbol": "NOPE"},
        {"kind": "broker_liquidation", "option_symbol": "SPY261218C00650000"},
        {"kind": "earthquake"},
    ],
)
def test_an_event_that_makes_no_sense_is_refused(trader: Trader, event: dict[str, object]) -> None:
    answer = trader.http.post("/_control/events", json={"account": trader.account} | event)
    assert answer.status_code == 422


def test_an_option_in_the_money_is_exercised_at_its_end_and_one_out_of_it_is_gone(trader: Trader) -> None:
    trader.control("clock", now="2026-11-27T17:30:00Z")
    trader.control("price", symbol="SPY", price=680)
    inside, outside = "SPY261127C00665000", "SPY261127C00700000"
    trader.buy(inside, price=15)
    trader.buy(outside, price=1)
    group = trader.place(bracket(outside, 1, target=2, stop=0.5))
    trader.control("clock", now="2026-11-27T18:14:59Z")
    assert set(trader.cash()["positions"]) == {inside, outside}
    trader.control("clock", now="2026-11-27T18:15:01Z")
    assert trader.cash()["positions"] == {"SPY": 100}
    assert trader.truth(group)["status"] == "expired"
    assert trader.get("/markets/quotes", symbols=inside).json()["quotes"]["unmatched_symbols"]["symbol"] == inside
    assert trader.get("/history", type="option").json() == {"history": "null"}
    trader.control("clock", now="2026-11-28T10:00:00Z")
    kinds = [one["option"]["option_type"] for one in trader.get("/history", type="option").json()["history"]["event"]]
    assert sorted(kinds) == ["OPTEXER", "OPTEXP"]
    closed = trader.get("/gainloss", symbol=outside).json()["gainloss"]["closed_position"]
    assert (closed["cost"], closed["proceeds"], closed["gain_loss"]) == (100.0, 0.0, -100.0)


def test_settlement_can_wait_for_the_night(trader: Trader) -> None:
    trader.control("clock", now="2026-11-27T17:30:00Z")
    trader.control("toggles", settlement="overnight")
    option = "SPY261127C00700000"
    trader.buy(option, price=1)
    trader.control("clock", now="2026-11-27T20:00:00Z")
    assert trader.cash()["positions"] == {option: 1}
    trader.control("clock", now="2026-11-28T10:00:00Z")
    assert trader.cash()["positions"] == {}


def test_an_index_option_settles_in_cash(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T15:00:00Z")
    trader.control("price", symbol="VIX", price=20)
    days = trader.get("/markets/options/expirations", symbol="VIX").json()["expirations"]["date"]
    option = f"VIX{days[0][2:].replace('-', '')}C00017000"
    trader.buy(option, price=3)
    trader.control("clock", now=f"{days[0]}T23:00:00Z")
    assert trader.cash()["positions"] == {}
    assert trader.cash()["cash"] == 100_000.0


def test_an_otoco_waits_for_its_entry_and_then_protects(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5.5)
    group = trader.place(three_legs(option, 2, (5.0, 6.0, 4.0)))
    parent = trader.order(group)
    assert (parent["class"], [leg["status"] for leg in parent["leg"]]) == ("otoco", ["open", "pending", "pending"])
    trader.control("price", symbol=option, price=5.0)
    assert [leg["status"] for leg in trader.order(group)["leg"]] == ["filled", "open", "open"]
    trader.control("price", symbol=option, price=3.9)
    eventually(lambda: trader.order(group)["status"] == "filled")
    assert [leg["status"] for leg in trader.order(group)["leg"]] == ["filled", "canceled", "filled"]
    assert Decimal(str(trader.cash()["realized"])) == Decimal("-220")


@pytest.mark.parametrize(("release", "exits"), [("full_fill", "pending"), ("first_fill", "open")])
def test_otoco_release_decides_what_a_partial_entry_protects(trader: Trader, release: str, exits: str) -> None:
    trader.control("toggles", otoco_release=release)
    option = trader.contract()
    trader.control("price", symbol=option, price=5.0)
    trader.control("faults", match={"method": "POST", "path": "/orders$"}, kind="partial_fill", times=1, quantity=1)
    group = trader.place(three_legs(option, 3, (5.0, 6.0, 4.0)))
    assert [leg["status"] for leg in trader.order(group)["leg"]] == ["partially_filled", exits, exits]
    trader.control("price", symbol=option, price=3.5)
    assert trader.cash()["positions"] == ({option: 1} if release == "full_fill" else {})


def test_a_cancelled_entry_ends_the_whole_otoco(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5.5)
    group = trader.place(three_legs(option, 1, (5.0, 6.0, 4.0)))
    trader.http.delete(f"/v1/accounts/{trader.account}/orders/{group}")
    eventually(lambda: trader.order(group)["status"] == "canceled")
    assert {leg["status"] for leg in trader.order(group)["leg"]} == {"canceled"}


def test_a_market_entry_in_an_otoco_is_refused_unless_the_toggle_allows_it(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5.0)
    form = three_legs(option, 1, (5.0, 6.0, 4.0)) | {"type[0]": "market"}
    del form["price[0]"]
    assert trader.post(form).json()["errors"]["error"][1] == "OtoOcoMarketNotAllowed"
    trader.control("toggles", otoco_market=True)
    assert trader.order(trader.place(form))["leg"][0]["status"] == "filled"


def test_exits_too_near_each_other_are_refused(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option)
    answer = trader.post(bracket(option, 1, target=5.05, stop=4.99)).json()
    assert answer["errors"]["error"][1] == "OcoPriceDifferenceIsLessThanDelta"


def test_a_bracket_filled_by_the_broker_is_not_taken_down_afterwards(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option, quantity=4)
    trader.control("toggles", wrong_side_ms=300)
    doubled = trader.place(bracket(option, 1, target=7.0, stop=5.5))
    happen(trader, "double_fill", order_id=doubled)
    later = trader.place(bracket(option, 1, target=7.0, stop=5.5))
    eventually(lambda: trader.truth(later)["status"] == "canceled")
    assert [leg["status"] for leg in trader.truth(doubled)["leg"]] == ["filled", "filled"]
