"""Prices, clock, replay, toggles and reset do what the contract says, at once."""

import pytest

from tests.simulator.process import Trader, bracket, entry, eventually, exit_order

BARS = "time,open,high,low,close,volume\n2026-11-20 09:30,700,712,699,710,0\n2026-11-20 09:31,710,711,690,695,0\n"


def quote(trader: Trader, symbol: str) -> dict[str, float]:
    found: dict[str, float] = trader.get("/markets/quotes", symbols=symbol).json()["quotes"]["quote"]
    return found


def test_a_pinned_option_has_one_price_on_both_vendors_sides(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=7.77)
    assert (quote(trader, option)["bid"], quote(trader, option)["ask"]) == (7.77, 7.77)
    row = trader.http.get("/datav2/strikes/options", params={"token": "t", "tickers": option}).json()["data"][0]
    assert (row["bidPrice"], row["askPrice"]) == (7.77, 7.77)


def test_a_target_fills_at_its_limit_before_the_control_answers(trader: Trader) -> None:
    option, group = trader.protected(target=6.0)
    trader.control("price", symbol=option, price=6.4)
    leg = trader.truth(group)["leg"][0]
    assert (leg["status"], leg["avg_fill_price"]) == ("filled", 6.0)


def test_a_stop_fills_at_the_price_that_reached_it(trader: Trader) -> None:
    option, group = trader.protected(stop=4.0)
    trader.control("price", symbol=option, price=3.6)
    leg = trader.truth(group)["leg"][1]
    assert (leg["status"], leg["avg_fill_price"]) == ("filled", 3.6)


def test_pinning_an_underlying_moves_its_options_and_their_exits(trader: Trader) -> None:
    trader.control("price", symbol="AAPL", price=270)
    option = trader.contract("AAPL")
    trader.place(entry(option))
    before = quote(trader, option)
    stop = round(before["bid"] / 2 / 0.05) * 0.05
    group = trader.place(bracket(option, 1, target=90.0, stop=stop))
    trader.control("price", symbol="AAPL", price=230)
    assert quote(trader, option)["ask"] < before["bid"]
    assert trader.truth(group)["leg"][1]["status"] == "filled"


def test_a_pinned_option_wins_over_its_underlying(trader: Trader) -> None:
    option, group = trader.protected()
    trader.control("price", symbol="SPY", price=100)
    assert quote(trader, option)["bid"] == 5.0
    assert trader.truth(group)["status"] == "open"
    trader.control("release", symbol=option)
    assert trader.truth(group)["leg"][1]["status"] == "open"
    assert quote(trader, option)["bid"] == 0


def test_nothing_sells_at_bid_zero(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option)
    trader.control("quote", symbol=option, bid=0, ask=0.05)
    order_id = trader.place(exit_order(option))
    assert trader.order(order_id)["status"] == "open"
    trader.control("quote", symbol=option, bid=0.04, ask=0.05)
    assert trader.order(order_id)["avg_fill_price"] == 0.04


def test_buys_fill_at_the_ask_and_sells_at_the_bid(trader: Trader) -> None:
    option = trader.contract()
    trader.control("quote", symbol=option, bid=4.9, ask=5.1)
    bought = trader.place(entry(option) | {"type": "limit", "price": "5.50"})
    sold = trader.place(exit_order(option))
    assert (trader.order(bought)["avg_fill_price"], trader.order(sold)["avg_fill_price"]) == (5.1, 4.9)


def test_a_released_symbol_goes_back_to_its_path(trader: Trader) -> None:
    trader.control("clock", speed=0)
    path = quote(trader, "SPY")["last"]
    trader.control("price", symbol="SPY", price=500)
    assert quote(trader, "SPY")["last"] == 500
    trader.control("release", symbol="SPY")
    assert quote(trader, "SPY")["last"] == path


@pytest.mark.parametrize("body", [{"symbol": "NOPE", "price": 1}, {"symbol": "SPY", "price": 0}, {"symbol": "SPY"}])
def test_a_price_that_makes_no_sense_is_refused(trader: Trader, body: dict[str, object]) -> None:
    assert trader.http.post("/_control/price", json=body).status_code == 422


def test_the_clock_is_open_by_default_and_can_be_moved_closed_and_scaled(trader: Trader) -> None:
    def clock() -> dict[str, object]:
        found: dict[str, object] = trader.get("/markets/clock").json()["clock"]
        return found

    assert clock()["state"] == "open"
    trader.control("clock", now="2026-11-22T17:00:00Z")
    assert (clock()["date"], clock()["state"]) == ("2026-11-22", "open")
    trader.control("clock", session="calendar")
    assert (clock()["state"], clock()["next_state"], clock()["next_change"]) == ("closed", "premarket", "04:00")
    trader.control("clock", now="2026-11-27T17:56:00Z", speed=60)
    assert clock()["state"] == "open"
    eventually(lambda: clock()["state"] == "postmarket", within_s=15)
    trader.control("clock", session="closed", speed=1)
    assert clock()["state"] == "closed"


def test_nothing_fills_while_the_session_is_closed(trader: Trader) -> None:
    option, group = trader.protected()
    trader.control("clock", session="closed")
    trader.control("price", symbol=option, price=9)
    assert trader.truth(group)["status"] == "open"
    trader.control("clock", session="open")
    assert trader.truth(group)["leg"][0]["status"] == "filled"


def test_a_replay_touches_every_extreme(trader: Trader) -> None:
    trader.control("price", symbol="SPY", price=700)
    option = trader.contract()
    trader.place(entry(option))
    trader.control("quote", symbol=option, bid=5, ask=5.05)
    shares = {"class": "equity", "symbol": "SPY", "side": "buy", "quantity": 1, "duration": "day"}
    low = trader.place(shares | {"type": "limit", "price": "691.00"})
    trader.control("replay", symbol="SPY", csv=BARS, speed=2000)
    eventually(lambda: trader.order(low)["status"] == "filled")
    eventually(lambda: quote(trader, "SPY")["last"] == 695)


def test_a_recording_that_is_none_is_refused(trader: Trader) -> None:
    answer = trader.http.post("/_control/replay", json={"symbol": "SPY", "csv": "a,b\n1,2\n", "speed": 1})
    assert answer.status_code == 422


def test_oco_partial_cancels_reduces_or_leaves_the_sibling(trader: Trader) -> None:
    seen = {}
    for policy in ("cancel_sibling", "reduce", "leave"):
        trader.control("reset")
        trader.control("toggles", oco_partial=policy)
        option = trader.contract()
        trader.buy(option, quantity=4)
        match = {"method": "POST", "path": "/orders$"}
        trader.control("faults", match=match, kind="partial_fill", times=1, quantity=1)
        group = trader.place(bracket(option, 4, target=6, stop=4))
        trader.control("price", symbol=option, price=6.5)
        leg, sibling = trader.truth(group)["leg"]
        assert (leg["status"], leg["exec_quantity"]) == ("partially_filled", 1)
        seen[policy] = (sibling["status"], sibling["quantity"])
    assert seen == {"cancel_sibling": ("canceled", 4), "reduce": ("open", 3), "leave": ("open", 4)}


def test_null_tag_hides_the_tag_of_a_group(trader: Trader) -> None:
    option = trader.contract()
    trader.buy(option)
    group = trader.place(bracket(option, 1, target=6, stop=4, tag="bk-1"))
    assert trader.order(group, includeTags="true")["tag"] == "bk-1"
    trader.control("toggles", null_tag=True)
    assert trader.order(group, includeTags="true")["tag"] is None
    assert trader.truth(group)["tag"] == "bk-1"


def test_stop_trigger_looks_at_bid_or_last(trader: Trader) -> None:
    option, group = trader.protected(stop=4.0)
    trader.control("toggles", stop_trigger="last")
    trader.control("quote", symbol=option, bid=3.9, ask=4.5)
    assert trader.truth(group)["leg"][1]["status"] == "open"
    trader.control("toggles", stop_trigger="bid")
    trader.control("quote", symbol=option, bid=3.9, ask=4.5)
    assert trader.truth(group)["leg"][1]["avg_fill_price"] == 3.9


def test_latency_delays_every_answer(trader: Trader) -> None:
    trader.control("toggles", latency_ms=150)
    assert trader.get("/balances").elapsed.total_seconds() >= 0.15


def test_an_unknown_toggle_is_refused(trader: Trader) -> None:
    assert trader.http.post("/_control/toggles", json={"nonsense": 1}).status_code == 422


def test_opposite_sides_are_refused_allowed_or_refused_for_market_orders_only(trader: Trader) -> None:
    option, _ = trader.protected()
    resting = entry(option) | {"type": "limit", "price": "4.50"}
    assert "OrderWithDifferentSide" in trader.post(entry(option)).text
    trader.place(resting)
    trader.control("toggles", opposite_side="refuse")
    assert "OrderWithDifferentSide" in trader.post(resting).text
    trader.control("toggles", opposite_side="allow")
    trader.place(entry(option))


def test_reset_starts_over(trader: Trader) -> None:
    trader.protected()
    trader.control("toggles", null_tag=True)
    trader.control("reset")
    assert trader.truth() == []
    assert trader.http.get("/_control/toggles").json()["null_tag"] is False
    assert trader.http.get("/_control/cash").json() == []


def test_the_truth_has_the_documented_shape(trader: Trader) -> None:
    _, group = trader.protected()
    documented = {"account", "id", "class", "status", "tag", "symbol", "option_symbol", "side", "type", "price", "stop",
                  "quantity", "exec_quantity", "avg_fill_price", "leg"}  # fmt: skip
    order = trader.truth(group)
    assert documented <= set(order)
    assert documented <= set(order["leg"][0])
    assert [leg["type"] for leg in order["leg"]] == ["limit", "stop"]


def test_every_request_is_remembered_without_its_token(trader: Trader) -> None:
    trader.get("/balances")
    seen = trader.http.get("/_control/requests", params={"account": trader.account}).json()
    assert (seen[-1]["method"], seen[-1]["path"]) == ("GET", f"/v1/accounts/{trader.account}/balances")
    assert len(seen[-1]["token_hash"]) == 16
    assert all(trader.token not in str(one) for one in seen)


def test_a_placement_is_remembered_with_its_tag_and_a_preview_without(trader: Trader) -> None:
    order = entry(trader.contract(), tag="bk-once")
    trader.post({**order, "preview": "true"})
    trader.post(order)
    seen = trader.http.get("/_control/requests", params={"account": trader.account, "method": "POST"}).json()
    assert [(one["method"], one["tag"]) for one in seen] == [("POST", None), ("POST", "bk-once")]


def test_cash_tells_money_value_and_result(trader: Trader) -> None:
    option, _ = trader.protected(quantity=2)
    assert trader.cash() | {"positions": {}} == {
        "account": trader.account, "cash": 99_000.0, "deposited": 100_000.0, "position_value": 1000.0, "realized": 0.0,
        "positions": {},
    }  # fmt: skip
    trader.control("price", symbol=option, price=6.5)
    assert (trader.cash()["cash"], trader.cash()["realized"]) == (100_200.0, 200.0)
    balances = trader.get("/balances").json()["balances"]
    assert (balances["total_cash"], balances["close_pl"], balances["open_pl"]) == (100_200.0, 200.0, 0.0)


def test_orders_fill_by_themselves_as_the_seeded_path_moves(trader: Trader) -> None:
    option = trader.contract()
    trader.place(entry(option))
    bid = quote(trader, option)["bid"]
    group = trader.place(bracket(option, 1, target=round(bid * 1.05, 1), stop=round(bid * 0.95, 1)))
    trader.control("clock", speed=5000)
    eventually(lambda: trader.truth(group)["status"] == "filled", within_s=10)
    assert sorted(leg["status"] for leg in trader.truth(group)["leg"]) == ["canceled", "filled"]
