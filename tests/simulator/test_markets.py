"""Tradier's market side: quotes, chains, bars, clock, calendar."""

from itertools import pairwise

from tests.simulator.process import Trader, entry


def test_quotes_take_a_list_name_the_unknown_and_shape_one_as_an_object(trader: Trader) -> None:
    option = trader.contract()
    found = trader.get("/markets/quotes", symbols=f"SPY,{option},NOPE", greeks="true").json()["quotes"]
    assert [one["symbol"] for one in found["quote"]] == ["SPY", option]
    assert found["unmatched_symbols"] == {"symbol": "NOPE"}
    assert found["quote"][1]["greeks"]["delta"] > 0
    assert found["quote"][0]["trade_date"] > 1_700_000_000_000
    assert trader.get("/markets/quotes", symbols="SPY").json()["quotes"]["quote"]["type"] == "etf"
    assert trader.get("/markets/quotes", symbols=option).json()["quotes"]["quote"]["greeks"] is None
    only = trader.get("/markets/quotes", symbols="NOPE,NADA").json()["quotes"]
    assert only == {"unmatched_symbols": {"symbol": ["NOPE", "NADA"]}}
    posted = trader.http.post("/v1/markets/quotes", data={"symbols": "SPY"}).json()
    assert posted["quotes"]["quote"]["symbol"] == "SPY"


def test_an_unknown_chain_is_null_and_a_known_one_is_listed_by_lookup(trader: Trader) -> None:
    assert trader.get("/markets/options/chains", symbol="SPY", expiration="2031-01-01").json() == {"options": None}
    assert trader.get("/markets/options/expirations", symbol="NOPE").json() == {"expirations": None}
    symbols = trader.get("/markets/options/lookup", underlying="SPY").json()["symbols"][0]
    assert symbols["rootSymbol"] == "SPY"
    assert len(symbols["options"]) == 800
    assert trader.contract() in symbols["options"]


def test_expirations_come_plain_or_with_details(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T15:00:00Z")
    plain = trader.get("/markets/options/expirations", symbol="SPY").json()["expirations"]["date"]
    assert plain == ["2026-11-27", "2026-12-04", "2026-12-11", "2026-12-18", "2026-12-24", "2026-12-31",
                     "2027-01-15", "2027-02-19", "2027-03-19", "2027-04-16"]  # fmt: skip
    found = trader.get("/markets/options/expirations", symbol="SPY", strikes="true").json()["expirations"]["expiration"]
    assert [one["date"] for one in found] == plain
    assert (found[3]["expiration_type"], found[2]["expiration_type"]) == ("standard", "weeklys")
    assert len(found[0]["strikes"]["strike"]) == 40


def test_todays_expiry_leaves_the_list_after_its_last_trade(trader: Trader) -> None:
    trader.control("clock", now="2026-12-04T21:10:00Z")
    for symbol, listed in (("SPY", True), ("AAPL", False)):
        days = trader.get("/markets/options/expirations", symbol=symbol).json()["expirations"]["date"]
        assert ("2026-12-04" in days) is listed
    answer = trader.post(entry("AAPL261204C00270000"))
    assert answer.json() == {"errors": {"error": "Undefined symbol: AAPL261204C00270000"}}


def test_a_ladder_follows_a_price_far_away(trader: Trader) -> None:
    trader.control("price", symbol="SPY", price=3080)
    day = trader.get("/markets/options/expirations", symbol="SPY").json()["expirations"]["date"][3]
    strikes = trader.get("/markets/options/strikes", symbol="SPY", expiration=day).json()["strikes"]["strike"]
    assert len(strikes) == 80
    assert strikes[-40] < 3080 < strikes[-1]
    assert 665.0 in strikes


def test_bars_join_and_agree_with_the_quote(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T16:00:30Z", session="calendar", speed=0)
    span = {"start": "2026-11-23 09:30", "end": "2026-11-24 16:00", "session_filter": "open"}
    data = trader.get("/markets/timesales", symbol="SPY", interval="1min", **span).json()["series"]["data"]
    assert len(data) == 390 + 91
    assert data[0]["time"] == "2026-11-23T09:30:00"
    for before, after in pairwise(data):
        assert after["low"] <= min(after["open"], after["close"])
        assert after["high"] >= max(after["open"], after["close"])
        if after["timestamp"] == before["timestamp"] + 60:
            assert after["open"] == before["close"]
    assert data[-1]["close"] == trader.get("/markets/quotes", symbols="SPY").json()["quotes"]["quote"]["last"]
    five = trader.get("/markets/timesales", symbol="SPY", interval="5min", **span).json()["series"]["data"]
    assert len(five) == 78 + 19


def test_bars_outside_the_reach_or_of_nothing_are_refused_or_null(trader: Trader) -> None:
    answer = trader.get("/markets/timesales", symbol="SPY", start="2020-01-01 09:30")
    assert answer.status_code == 400
    assert answer.text.startswith("Invalid parameter, start: must be on or after")
    assert trader.get("/markets/timesales", symbol="NOPE").json() == {"series": None}
    assert trader.get("/markets/timesales", symbol="SPY", interval="2min").status_code == 400


def test_history_has_a_bar_for_each_trading_day_week_and_month(trader: Trader) -> None:
    trader.control("clock", now="2026-11-30T16:00:00Z")
    span = {"start": "2026-11-02", "end": "2026-11-30"}
    daily = trader.get("/markets/history", symbol="SPY", **span).json()["history"]["day"]
    assert len(daily) == 20
    assert "2026-11-26" not in {bar["date"] for bar in daily}
    weekly = trader.get("/markets/history", symbol="SPY", interval="weekly", **span).json()["history"]["day"]
    assert len(weekly) == 5
    monthly = trader.get("/markets/history", symbol="SPY", interval="monthly", **span).json()["history"]["day"]
    assert monthly["high"] == max(bar["high"] for bar in daily)
    assert monthly["close"] == daily[-1]["close"]


def test_the_calendar_knows_holidays_and_half_days(trader: Trader) -> None:
    days = trader.get("/markets/calendar", month=11, year=2026).json()["calendar"]["days"]["day"]
    by_date = {day["date"]: day for day in days}
    assert len(days) == 30
    assert by_date["2026-11-26"]["status"] == "closed"
    assert by_date["2026-11-27"]["open"] == {"start": "09:30", "end": "13:00"}


def test_a_preview_tells_the_cost_and_places_nothing(trader: Trader) -> None:
    option = trader.contract()
    trader.control("price", symbol=option, price=5)
    order = trader.post(entry(option, quantity=2) | {"preview": "true"}).json()["order"]
    assert (order["status"], order["result"], order["order_cost"]) == ("ok", True, 1000.0)
    assert "id" not in order
    assert trader.truth() == []


def test_a_working_order_can_be_changed_and_a_leg_cannot(trader: Trader) -> None:
    option, group = trader.protected()
    resting = trader.place(entry(option) | {"type": "limit", "price": "4.00"})
    path = f"/v1/accounts/{trader.account}/orders"
    assert (
        trader.http.put(f"{path}/{resting}", data={"price": "4.50", "order_id": "1"}).json()["order"]["status"] == "ok"
    )
    assert trader.order(resting)["price"] == 4.5
    refused = trader.http.put(f"{path}/{group + 1}", data={"price": "7.00"}).json()
    assert refused["errors"]["error"][1] == "OrderContingentChangeNotAllowed"
    trader.control("toggles", modify_leg="allow")
    assert trader.http.put(f"{path}/{group + 1}", data={"price": "7.00"}).json()["order"]["status"] == "ok"
    trader.control("price", symbol=option, price=4.4)
    answer = trader.http.put(f"{path}/{resting}", data={"price": "4.00"})
    assert (answer.status_code, answer.text) == (400, "order already in finalized state: filled")


def test_the_official_close_is_shown_from_the_close_to_the_next_pre_market(trader: Trader) -> None:
    def closes(now: str) -> tuple[float | None, float]:
        trader.control("clock", now=now, session="calendar")
        quote = trader.get("/markets/quotes", symbols="AAPL").json()["quotes"]["quote"]
        return quote["close"], quote["prevclose"]

    shut, thursday = closes("2026-12-18T20:30:00Z")
    friday, before = closes("2026-12-18T21:00:01Z")
    assert (shut, before) == (None, thursday)
    assert friday is not None
    assert closes("2026-12-20T15:00:00Z") == (friday, thursday)
    assert closes("2026-12-21T09:00:00Z") == (None, friday)
