"""What the broker answers, as a person sees it: across the page, on the live feed, and in answers to what he asks."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader

pytestmark = pytest.mark.integration

ALWAYS = 100_000
ACCOUNT = "/accounts/"
SEEN_S = 30
OVER_S = 40

READS_ANSWERED: dict[str, tuple[str, str, str]] = {
    "400": ("status_400", ACCOUNT, "broker_refuses"),
    "401 of the account alone": ("status_401", ACCOUNT, "broker_unavailable"),
    "401 of the profile too": ("status_401", "/", "re_authenticate"),
    "403": ("status_403", "/", "blocked"),
    "429": ("status_429", ACCOUNT, "stale_data"),
    "500": ("status_500", "/", "broker_unavailable"),
    "502 as a page": ("status_502_html", ACCOUNT, "broker_unavailable"),
    "503": ("status_503", "/", "broker_unavailable"),
    "no answer": ("drop_before", "/", "broker_unavailable"),
}
"""The fault, the requests it meets, and the banner's code."""


@contextmanager
def traders(stack: Stack, names: list[str]) -> Iterator[dict[str, Trader]]:
    with ExitStack() as opened:
        yield {name: opened.enter_context(Trader(stack.gateway_url)) for name in names}


def account_of(trader: Trader) -> str:
    return str(trader.ok("GET", "/api/settings")["account_id"])


def has_been_read(trader: Trader) -> bool:
    feeds = [feed for feed in trader.ok("GET", "/api/system/status")["feeds"] if account_of(trader) in feed["name"]]
    return len(feeds) == 2 and all(feed["ok"] for feed in feeds)


def banners(trader: Trader) -> list[Json]:
    return [one for one in trader.ok("GET", "/api/system/status")["banners"] if one["code"] != "entries_paused"]


def told(heard: list[Json]) -> list[list[str]]:
    ticks = [frame["data"] for frame in heard if frame["event"] == "banner" and frame["data"]["origin"] == "monitor"]
    return [[banner["code"] for banner in tick["banners"]] for tick in ticks]


def test_what_reads_are_answered_is_a_banner_that_ends_by_itself(stack: Stack, simulator: Simulator) -> None:
    with traders(stack, list(READS_ANSWERED)) as people, ExitStack() as feeds:
        heard = {name: feeds.enter_context(trader.listening()) for name, trader in people.items()}
        for trader in people.values():
            assert trader.eventually(lambda trader=trader: has_been_read(trader), SEEN_S)  # type: ignore[misc]
            assert banners(trader) == []
        for name, (kind, path, _) in READS_ANSWERED.items():
            simulator.fault(kind, method=None, path=path, account=account_of(people[name]), times=ALWAYS)
        try:
            for name, (_, _, code) in READS_ANSWERED.items():
                trader = people[name]
                assert trader.eventually(lambda t=trader, c=code: [b["code"] for b in banners(t)] == [c], SEEN_S), (  # type: ignore[misc]
                    name,
                    banners(trader),
                )
                (banner,) = banners(trader)
                assert "Paper" in banner["text"]
                assert banner["since"]
                assert trader.eventually(lambda n=name, c=code: [c] in told(heard[n]), 5), (name, told(heard[name]))  # type: ignore[misc]
        finally:
            simulator.clear_faults()
        for name, trader in people.items():
            assert trader.eventually(lambda t=trader: banners(t) == [], OVER_S), (name, banners(trader))  # type: ignore[misc]
            assert trader.eventually(lambda n=name: told(heard[n])[-1] == [], 5), (name, told(heard[name]))  # type: ignore[misc]


ORDER_ANSWERED: dict[str, tuple[str, int, str, str]] = {
    "400": ("status_400", 422, "broker_refused", "Invalid parameter, account: is not valid."),
    "401": ("status_401", 422, "broker_refused", "the broker refused the token"),
    "403": ("status_403", 422, "broker_refused", "Forbidden"),
    "429": ("status_429", 503, "upstream_unavailable", "could not be placed; nothing was bought"),
}
"""The fault, the HTTP status, the problem's code, and words in its detail."""


@pytest.mark.parametrize("case", ORDER_ANSWERED)
def test_an_order_that_is_refused_is_answered_with_the_brokers_words_and_bought_nothing(
    case: str, trader: Trader, simulator: Simulator
) -> None:
    kind, status, code, words = ORDER_ANSWERED[case]
    body = trader.body(trader.contract("SPY", 1))
    account = account_of(trader)
    simulator.fault(kind, account=account)
    answer = trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert words in answer.json()["detail"]
    assert simulator.orders(account) == []


def test_while_the_broker_does_not_answer_entries_are_refused_until_a_told_time_and_then_go_again(
    trader: Trader, simulator: Simulator
) -> None:
    body = trader.body(trader.contract("QQQ", 1))
    account = account_of(trader)
    simulator.fault("status_503", method=None, path="/", account=account, times=ALWAYS)

    def refused() -> bool:
        answer = trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex)
        assert answer.status_code == 503, answer.text
        return "asked again after" in answer.json()["detail"] and int(answer.headers["Retry-After"]) > 0

    def codes() -> set[str]:
        return {banner["code"] for banner in trader.ok("GET", "/api/system/status")["banners"]}

    try:
        assert trader.eventually(refused, 20)
        assert trader.eventually(lambda: codes() >= {"entries_paused", "broker_unavailable"}, SEEN_S), codes()
    finally:
        simulator.clear_faults()
    assert trader.eventually(lambda: codes() == set(), OVER_S), codes()
    placed = trader.insist("POST", "/api/trades", body, key=uuid.uuid4().hex)
    trader.protected(placed["id"])


def test_a_closed_market_is_said_and_refuses_an_entry_in_words(trader: Trader, simulator: Simulator) -> None:
    body = trader.body(trader.contract("IWM", 1))
    simulator.session("closed")
    try:
        assert trader.eventually(lambda: state(trader) == "closed", 15), state(trader)
        answer = trader.call("POST", "/api/trades", body, key=uuid.uuid4().hex)
        assert (answer.status_code, answer.json()["code"]) == (422, "market_closed"), answer.text
        assert "IWM" in answer.json()["detail"]
        assert [banner["code"] for banner in banners(trader)] == ["market_closed"]
    finally:
        simulator.session("open")
    assert trader.eventually(lambda: state(trader) == "open", 15), state(trader)


def state(trader: Trader) -> str:
    return str(trader.ok("GET", "/api/system/status")["market"]["state"])
