"""What the simulator answers has the keys and kinds of what the vendor was seen to answer."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.process import Trader, bracket, entry, eventually, three_legs

PAYLOADS = Path(__file__).parents[1] / "contract" / "payloads"
SEEN_ONLY_SOMETIMES = {"tag", "price", "stop_price", "avg_fill_price", "last_fill_price", "last_fill_quantity",
                       "remaining_quantity", "create_date", "transaction_date", "reason_description"}  # fmt: skip


def recorded(name: str) -> Any:
    return json.loads((PAYLOADS / name).read_text())


def keys(value: Any, path: str = "") -> set[str]:
    """Name every key by its way from the top; all items of a list share one way."""
    if isinstance(value, dict):
        return {way for name, inner in value.items() for way in {f"{path}/{name}"} | keys(inner, f"{path}/{name}")}
    if isinstance(value, list):
        return {way for item in value for way in keys(item, path)}
    return set()


def balances(trader: Trader) -> Any:
    return trader.get("/balances").json()


def profile(trader: Trader) -> Any:
    return trader.get("/user/profile").json()


def filled_group(trader: Trader) -> Any:
    option = trader.contract()
    trader.buy(option)
    group = trader.place(bracket(option, 1, target=6, stop=4, tag="bk-exits"))
    trader.control("price", symbol=option, price=6.5)
    eventually(lambda: trader.order(group)["status"] == "filled")
    return trader.get(f"/orders/{group}", includeTags="true").json()


def waiting_otoco(trader: Trader) -> Any:
    option = trader.contract()
    trader.control("price", symbol=option, price=5.5)
    group = trader.place(three_legs(option, 2, (5.0, 6.0, 4.0)) | {"tag": "bk-1"})
    return trader.get(f"/orders/{group}", includeTags="true").json()


def one_position(trader: Trader) -> Any:
    trader.buy(trader.contract())
    return trader.get("/positions").json()


def preview(trader: Trader) -> Any:
    return trader.post(entry(trader.contract()) | {"preview": "true"}).json()


def placed(trader: Trader) -> Any:
    return trader.post(entry(trader.contract())).json()


def quote(trader: Trader) -> Any:
    return trader.get("/markets/quotes", symbols=trader.contract(), greeks="true").json()


def expirations(trader: Trader) -> Any:
    return trader.get("/markets/options/expirations", symbol="SPY", strikes="true").json()


def clock(trader: Trader) -> Any:
    return trader.get("/markets/clock").json()


def session(trader: Trader) -> Any:
    return trader.http.post("/v1/accounts/events/session").json()


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("balances_margin.json", balances),
        ("profile_one_account.json", profile),
        ("order_oco_filled.json", filled_group),
        ("order_otoco_waiting.json", waiting_otoco),
        ("positions_one.json", one_position),
        ("preview.json", preview),
        ("placed.json", placed),
        ("quotes_one.json", quote),
        ("expirations_objects.json", expirations),
        ("clock_held_open.json", clock),
        ("stream_session.json", session),
    ],
)
def test_an_answer_has_the_keys_of_the_recorded_one(trader: Trader, name: str, answer: Callable[[Trader], Any]) -> None:
    missing = {
        way for way in keys(recorded(name)) - keys(answer(trader)) if way.split("/")[-1] not in SEEN_ONLY_SOMETIMES
    }
    assert missing == set()


def test_the_texts_are_the_recorded_ones(trader: Trader) -> None:
    option = trader.contract()
    order_id = trader.buy(option)
    refused = trader.http.delete(f"/v1/accounts/{trader.account}/orders/{order_id}").text
    assert refused == (PAYLOADS / "cancel_finalized_filled.txt").read_text().strip()
    refused = trader.post(entry(option) | {"tag": "a b"}).text
    assert refused == (PAYLOADS / "refused_tag.txt").read_text().strip()
    refused = trader.post(entry(option) | {"type": "best"}).text
    assert refused == (PAYLOADS / "refused_type.txt").read_text().strip()
    trader.control("toggles", refusal_form="string")
    sell = entry(option, side="sell_to_close", quantity=2)
    assert trader.post(sell).json() == recorded("refused_string.json")
