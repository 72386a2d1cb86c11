"""What the simulator knows survives `kill -9`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.simulator.process import SimulatorProcess, Trader, bracket, entry, eventually

Reborn = Callable[[Trader], Trader]


@pytest.fixture
def reborn(own_simulator: SimulatorProcess) -> Reborn:
    def kill_and_start(trader: Trader) -> Trader:
        trader.close()
        own_simulator.kill()
        own_simulator.start()
        return Trader(own_simulator.url, trader.token)

    return kill_and_start


def told(trader: Trader) -> dict[str, Any]:
    paths = ("/orders", "/positions", "/history", "/gainloss")
    seen = {path: trader.get(path, includeTags="true").json() for path in paths}
    return seen | {"cash": trader.cash(), "truth": trader.truth()}


def test_everything_survives_a_kill(own_simulator: SimulatorProcess, reborn: Reborn) -> None:
    trader = Trader(own_simulator.url, "token-1")
    trader.control("reset")
    option, group = trader.protected(quantity=2)
    trader.buy(trader.contract(strike=22), price=1.5, tag="bk-1")
    trader.control("toggles", otoco_release="first_fill")
    trader.control("toggles", history="at_once")
    before = told(trader)
    trader = reborn(trader)
    assert told(trader) == before
    assert trader.http.get("/_control/toggles").json()["otoco_release"] == "first_fill"
    quote = trader.get("/markets/quotes", symbols=option).json()["quotes"]["quote"]
    assert (quote["bid"], quote["ask"]) == (5.0, 5.0)
    trader.control("price", symbol=option, price=6.0)
    eventually(lambda: trader.truth(group)["status"] == "filled")
    newest = trader.place(entry(option) | {"type": "limit", "price": "0.01"})
    assert newest > max(one["id"] for one in before["truth"])
    trader.close()


def test_what_was_due_still_happens_after_a_kill(own_simulator: SimulatorProcess, reborn: Reborn) -> None:
    trader = Trader(own_simulator.url, "token-2")
    trader.control("reset")
    trader.control("toggles", sibling_cancel_ms=1000, parent_fill_ms=1100)
    option, group = trader.protected()
    trader.control("price", symbol=option, price=7.0)
    assert trader.truth(group)["leg"][0]["status"] == "filled"
    trader = reborn(trader)
    trader.control("price", symbol=option, price=3.0)
    eventually(lambda: trader.truth(group)["status"] == "filled")
    assert [leg["status"] for leg in trader.truth(group)["leg"]] == ["filled", "canceled"]
    assert trader.cash()["positions"] == {}
    trader.close()


def test_no_answered_order_is_lost_however_the_kill_falls(own_simulator: SimulatorProcess, reborn: Reborn) -> None:
    trader = Trader(own_simulator.url, "token-3")
    trader.control("reset")
    option = trader.contract()
    trader.control("price", symbol=option, price=1)
    answered = [trader.place(entry(option, tag=f"bk-{n}")) for n in range(20)]
    trader = reborn(trader)
    assert [one["id"] for one in trader.truth()] == answered
    assert trader.cash()["positions"] == {option: 20}
    trader.close()


def test_market_time_and_prices_go_on_after_a_kill(own_simulator: SimulatorProcess, reborn: Reborn) -> None:
    trader = Trader(own_simulator.url, "token-4")
    trader.control("reset")
    trader.control("clock", now="2027-03-01T15:00:00Z", speed=0)
    prices = trader.get("/markets/quotes", symbols="SPY,AAPL,S123").json()
    trader = reborn(trader)
    assert trader.get("/markets/quotes", symbols="SPY,AAPL,S123").json() == prices
    assert trader.get("/markets/clock").json()["clock"]["date"] == "2027-03-01"
    trader.close()


def test_two_seeds_tell_two_stories_and_one_seed_tells_one(tmp_path: Path) -> None:
    seen = []
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        running = SimulatorProcess(tmp_path / name, "--seed", seed)
        (tmp_path / name).mkdir()
        trader = Trader(running.start().url, "token-5")
        trader.control("clock", now="2027-03-01T15:00:00Z", speed=0)
        seen.append(trader.get("/markets/quotes", symbols="SPY,TSLA").json())
        trader.close()
        assert running.stop() in (0, -15)
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


def test_a_bracket_placed_before_the_kill_is_cancelled_after_it(
    own_simulator: SimulatorProcess, reborn: Reborn
) -> None:
    trader = Trader(own_simulator.url, "token-6")
    trader.control("reset")
    option = trader.contract()
    trader.buy(option)
    group = trader.place(bracket(option, 1, target=6, stop=4))
    trader = reborn(trader)
    trader.http.delete(f"/v1/accounts/{trader.account}/orders/{group}")
    eventually(lambda: trader.truth(group)["status"] == "canceled")
    trader.close()
