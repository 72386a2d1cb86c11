"""ORATS's side: the same numbers as Tradier's, in ORATS's words."""

from typing import Any

import httpx
import pytest

from tests.simulator.process import Trader

Rows = list[dict[str, Any]]
DOCUMENTED = (
    "ticker tradeDate expirDate dte strike stockPrice spotPrice callVolume callOpenInterest callBidSize callAskSize "
    "putVolume putOpenInterest putBidSize putAskSize callBidPrice callValue callAskPrice putBidPrice putValue "
    "putAskPrice callBidIv callMidIv callAskIv smvVol putBidIv putMidIv putAskIv residualRate delta gamma theta vega "
    "rho phi driftlessTheta callSmvVol putSmvVol extSmvVol extCallValue extPutValue quoteDate updatedAt "
    "snapShotEstTime snapShotDate expiryTod"
)


def ask(trader: Trader, path: str, **params: object) -> httpx.Response:
    query = {"token": "orats"} | {name: str(value) for name, value in params.items()}
    return trader.http.get(f"/datav2/{path}", params=query, headers={"Authorization": ""})


def rows(trader: Trader, path: str, **params: object) -> Rows:
    answer = ask(trader, path, **params)
    assert answer.status_code == 200, answer.text
    found: Rows = answer.json()["data"]
    return found


def expiries(trader: Trader, symbol: str) -> list[str]:
    days: list[str] = ask(trader, "live/expirations", ticker=symbol).json()["data"]
    return days


def test_a_strikes_row_has_every_documented_field(trader: Trader) -> None:
    row = rows(trader, "live/strikes/monthly", ticker="SPY", expiry=expiries(trader, "SPY")[3])[0]
    assert set(row) == set(DOCUMENTED.split())
    assert row["quoteDate"].endswith("Z")
    assert isinstance(row["snapShotEstTime"], str)
    assert row["expiryTod"] == "pm"


@pytest.mark.parametrize("symbol", ["SPY", "TSLA", "S042", "VIX"])
def test_both_vendors_tell_the_same_numbers(trader: Trader, symbol: str) -> None:
    trader.control("clock", speed=0)
    day = expiries(trader, symbol)[2]
    ours = rows(trader, "live/strikes/monthly", ticker=symbol, expiry=day)
    chain = trader.get("/markets/options/chains", symbol=symbol, expiration=day, greeks="true").json()
    options = {(one["strike"], one["option_type"]): one for one in chain["options"]["option"]}
    assert len(ours) == 40
    assert len(options) == 80
    for row in ours:
        for side in ("call", "put"):
            option = options[row["strike"], side]
            assert (option["bid"], option["ask"]) == (row[f"{side}BidPrice"], row[f"{side}AskPrice"])
            assert (option["volume"], option["open_interest"]) == (row[f"{side}Volume"], row[f"{side}OpenInterest"])
            delta = row["delta"] if side == "call" else row["delta"] - 1
            assert option["greeks"]["delta"] == pytest.approx(delta, abs=1e-5)
            assert option["greeks"]["smv_vol"] == pytest.approx(row["smvVol"], abs=1e-5)
    spot = trader.get("/markets/quotes", symbols=symbol).json()["quotes"]["quote"]["last"]
    assert {row["stockPrice"] for row in ours} == {spot}


def test_call_and_put_keep_parity_with_the_row_itself(trader: Trader) -> None:
    for row in rows(trader, "live/strikes", ticker="AAPL"):
        assert row["callValue"] - row["putValue"] == pytest.approx(row["stockPrice"] - row["strike"], abs=0.003)


def test_days_to_expiry_count_both_ends(trader: Trader) -> None:
    trader.control("clock", now="2026-11-24T15:00:00Z")
    row = rows(trader, "live/strikes/monthly", ticker="SPY", expiry="2026-12-18")[0]
    assert (row["tradeDate"], row["dte"]) == ("2026-11-24", 25)


def test_live_strikes_holds_every_expiry_and_the_monthly_call_only_those_asked_for(trader: Trader) -> None:
    days = expiries(trader, "QQQ")
    assert len(days) == 10
    assert len(rows(trader, "live/strikes", ticker="QQQ")) == 400
    two = rows(trader, "live/strikes/monthly", ticker="QQQ", expiry=f"{days[0]},{days[5]}")
    assert {row["expirDate"] for row in two} == {days[0], days[5]}
    assert rows(trader, "live/strikes/monthly", ticker="QQQ", expiry="2040-01-20") == []


def test_delayed_strikes_take_many_tickers_and_filters(trader: Trader) -> None:
    found = rows(trader, "strikes", ticker="SPY,AAPL", dte="30,60", delta=".30,.45", fields="ticker,dte,delta")
    assert {row["ticker"] for row in found} == {"SPY", "AAPL"}
    assert all(30 <= row["dte"] <= 60 and 0.30 <= row["delta"] <= 0.45 for row in found)
    assert set(found[0]) == {"ticker", "dte", "delta"}


def test_more_than_ten_tickers_an_unknown_one_or_a_bad_token_are_refused(trader: Trader) -> None:
    eleven = ",".join(f"S{n:03d}" for n in range(11))
    assert ask(trader, "strikes", ticker=eleven).status_code == 400
    assert ask(trader, "live/strikes", ticker="NOPE").status_code == 404
    assert ask(trader, "live/strikes", ticker="SPY", token="bad-1").status_code == 403
    assert ask(trader, "live/strikes/monthly", ticker="SPY", expiry="soon").status_code == 400


def test_summaries_tell_one_row_per_ticker(trader: Trader) -> None:
    row = rows(trader, "live/summaries", ticker="SPY")[0]
    assert 0.1 < row["iv30d"] < 0.3
    assert row["stockPrice"] == trader.get("/markets/quotes", symbols="SPY").json()["quotes"]["quote"]["last"]


def test_options_by_opra_name_contracts_and_underlyings(trader: Trader) -> None:
    call, put = trader.contract("AAPL"), trader.contract("AAPL", right="P")
    found = rows(trader, "live/strikes/options", tickers=f"{call},{put},AAPL261218C99999999")
    assert [row["optionSymbol"] for row in found] == [call, put]
    assert found[0]["delta"] - found[1]["delta"] == pytest.approx(1.0, abs=1e-5)
    assert found[0]["gamma"] == found[1]["gamma"]
    underlying = rows(trader, "strikes/options", tickers="AAPL")[0]
    assert "optionSymbol" not in underlying
    assert " " in underlying["updatedAt"]
    assert underlying["quoteDate"].endswith("Z")


def test_options_by_terms_answer_strikes_rows(trader: Trader) -> None:
    day = expiries(trader, "SPY")[4]
    strike = rows(trader, "live/strikes/monthly", ticker="SPY", expiry=day)[7]["strike"]
    found = rows(trader, "strikes/options", ticker="SPY", expirDate=day, strike=strike)
    assert [(row["strike"], row["expirDate"]) for row in found] == [(strike, day)]
    terms = [{"ticker": "SPY", "expirDate": day, "strike": strike}, {"ticker": "NOPE"}]
    answer = trader.http.post("/datav2/strikes/options", params={"token": "orats"}, json=terms)
    assert [row["strike"] for row in answer.json()["data"]] == [strike]
