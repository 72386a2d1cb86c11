"""The circuit breaker in front of the broker client: what it stops, what it never stops, and how it closes."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from libs.broker.base import BrokerMode, BrokerProvider, Priority
from libs.broker.breaker import Breaker, Breakers
from libs.broker.budget import UNLIMITED, Budget, RateClass, UnlimitedBudget
from libs.broker.factory import BrokerFactory
from libs.broker.tradier_session import Deadlines
from libs.common.errors import AppError, NotFound, OutcomeUnknown, UpstreamAuth, UpstreamRefused, UpstreamUnavailable
from libs.common.http import HttpClient
from libs.common.http_limits import RateReading
from libs.common.testing import eventually
from tests.contract.recorded import ACCOUNT, TOKEN, Reply, Script, Step, Trouble, response
from tests.unit.broker.test_forms import LIMIT

HOST = "https://broker.test/v1"
LONG_S = 60.0
Called = Callable[[BrokerProvider], Awaitable[object]]


class Broker:
    """One process's clients of two accounts at a broker that answers from a script."""

    def __init__(self, *steps: Step, failures: int = 3, pause_s: float = LONG_S) -> None:
        self.script = Script(*steps)
        self.breakers = Breakers(failures, pause_s)

    def at(self, priority: Priority, account: str = ACCOUNT, budget: Budget = UNLIMITED) -> BrokerProvider:
        http = HttpClient(wire=self.script, first_pause_s=0.0)
        urls = dict.fromkeys(BrokerMode, HOST)
        factory = BrokerFactory(http, urls, budget, Deadlines(1.0, 1.0), breakers=self.breakers)
        return factory.get_broker(BrokerMode.TRADIER_SANDBOX, account, TOKEN).with_priority(priority)

    def answers(self, *steps: Step) -> None:
        self.script.steps = list(steps)

    async def failing(self, calls: int, priority: Priority = Priority.POLL) -> None:
        for _ in range(calls):
            with pytest.raises(UpstreamUnavailable):
                await self.at(priority).positions()

    @property
    def asked(self) -> int:
        return len(self.script.requests)

    @property
    def until(self) -> datetime | None:
        return self.breakers.paused_until(HOST, ACCOUNT)


READS: dict[str, Called] = {
    "orders": lambda broker: broker.orders(),
    "positions": lambda broker: broker.positions(),
    "quotes": lambda broker: broker.quotes(["SPY"]),
    "preview": lambda broker: broker.preview(LIMIT),
}
BROKEN: dict[str, Step] = {
    "503": response("backend_down.txt", 503),
    "500": response("backend_down.txt", 500),
    "502 as a page": response("documentation_page.html", 502),
    "no connection": Trouble.REFUSED,
    "no answer": Trouble.SILENT,
    "a lost connection": Trouble.RESET,
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_after_enough_failures_entries_and_polls_are_refused_unasked_and_told_until_when(
    broken: Step,
) -> None:
    broker = Broker(broken)
    await broker.failing(3)
    asked = broker.asked
    for called in READS.values():
        for priority in (Priority.POLL, Priority.ENTRY):
            with pytest.raises(UpstreamUnavailable) as refused:
                await called(broker.at(priority))
            assert broker.until is not None
            assert f"{broker.until:%H:%M:%S} UTC" in refused.value.detail
            assert 0 < refused.value.extra["retry_after_s"] <= LONG_S
    with pytest.raises(UpstreamUnavailable):
        await broker.at(Priority.ENTRY).place(LIMIT)
    assert broker.asked == asked


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_exits_cancels_and_their_reads_go_out_whatever_the_breaker_says(
    broken: Step,
) -> None:
    broker = Broker(broken)
    await broker.failing(3)
    exits = broker.at(Priority.EXIT)
    calls: tuple[Called, ...] = (
        lambda one: one.place(LIMIT),
        lambda one: one.cancel("257459"),
        lambda one: one.order("257459"),
        *READS.values(),
    )
    for called in calls:
        asked = broker.asked
        with pytest.raises((UpstreamUnavailable, OutcomeUnknown)):
            await called(exits)
        assert broker.asked > asked
    broker.answers(response("placed.json"))
    assert (await exits.place(LIMIT)).id == "257459"


REFUSALS: dict[str, tuple[Reply, type[AppError]]] = {
    "400": (response("refused_type.txt", 400), UpstreamRefused),
    "401 of the token": (response("fault_invalid_token.json", 401), UpstreamAuth),
    "401 by id": (response("unauthorized_account.txt", 401), NotFound),
    "429": (response("fault_rate_limit.json", 429, {"Retry-After": "30"}), UpstreamUnavailable),
    "a page": (response("documentation_page.html", 200), UpstreamUnavailable),
    "404": (response("documentation_page.html", 404), UpstreamUnavailable),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
async def test_what_the_broker_answers_is_no_failure(refusal: tuple[Reply, type[AppError]]) -> None:
    answer, ending = refusal
    broker = Broker(answer)
    for _ in range(5):
        with pytest.raises(ending):
            await broker.at(Priority.POLL).order("257459")
    assert broker.until is None


class SpentBudget(UnlimitedBudget):
    """Grants nothing."""

    async def take(self, token_hash: str, rate_class: RateClass, priority: Priority) -> None:
        raise UpstreamUnavailable("used up", retry_after_s=9)

    def observed(self, token_hash: str, rate_class: RateClass, reading: RateReading) -> None:
        raise AssertionError


async def test_a_request_budget_that_says_later_is_no_failure() -> None:
    broker = Broker(response("placed.json"))
    for _ in range(5):
        with pytest.raises(UpstreamUnavailable):
            await broker.at(Priority.POLL, budget=SpentBudget()).positions()
    assert broker.until is None


async def test_an_answer_between_failures_begins_the_count_again() -> None:
    broker = Broker(response("backend_down.txt", 500))
    for _ in range(3):
        broker.answers(response("backend_down.txt", 500))
        await broker.failing(2)
        broker.answers(response("fault_invalid_token.json", 401))
        with pytest.raises(UpstreamAuth):
            await broker.at(Priority.POLL).positions()
    assert broker.until is None


async def test_market_data_between_failures_does_not_hide_that_the_account_does_not_answer() -> None:
    broker = Broker(response("backend_down.txt", 500))
    for _ in range(3):
        broker.answers(response("backend_down.txt", 500))
        await broker.failing(1)
        broker.answers(response("clock_open.json"))
        if broker.until is None:
            await broker.at(Priority.POLL).clock()
    assert broker.until is not None


async def test_a_failing_exit_counts_too() -> None:
    broker = Broker(Trouble.REFUSED)
    await broker.failing(3, Priority.EXIT)
    assert broker.until is not None


async def test_one_accounts_trouble_stops_no_other() -> None:
    broker = Broker(response("backend_down.txt", 500))
    await broker.failing(3)
    asked = broker.asked
    for account in ("VA00000002", ""):
        with pytest.raises(UpstreamUnavailable):
            await broker.at(Priority.POLL, account).profile()
    assert broker.asked > asked + 1


async def test_after_the_pause_a_read_tries_and_an_order_only_after_its_answer() -> None:
    broker = Broker(response("backend_down.txt", 500), pause_s=0.1)
    await broker.failing(3)
    await eventually(lambda: broker.until is None, 2)
    broker.answers(response("placed.json"))
    asked = broker.asked
    with pytest.raises(UpstreamUnavailable):
        await broker.at(Priority.ENTRY).place(LIMIT)
    assert broker.asked == asked
    broker.answers(response("positions_none.json"))
    await broker.at(Priority.POLL).positions()
    broker.answers(response("placed.json"))
    await broker.at(Priority.ENTRY).place(LIMIT)


async def test_a_failed_try_opens_it_for_another_pause() -> None:
    heard: list[datetime | None] = []
    broker = Broker(response("backend_down.txt", 500), pause_s=0.1)

    def hear(_: Breaker, until: datetime | None) -> None:
        heard.append(until)

    broker.breakers.listeners.append(hear)
    await broker.failing(3)
    await eventually(lambda: broker.until is None, 2)
    await broker.failing(1)
    assert broker.until is not None
    assert broker.until <= datetime.now(UTC) + timedelta(seconds=0.1)
    await eventually(lambda: broker.until is None, 2)
    broker.answers(response("positions_none.json"))
    await broker.at(Priority.POLL).positions()
    assert [until is None for until in heard] == [False, False, True]
