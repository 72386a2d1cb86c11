"""The broker client over recorded answers: what is sent, what is repeated, how each write ends."""

import asyncio
import logging
from dataclasses import replace
from datetime import date
from decimal import Decimal
from urllib.parse import parse_qs

import pytest

from libs.broker.base import BrokerMode, CancelAnswer, OrderStatus, Priority
from libs.broker.budget import RateClass, UnlimitedBudget, token_hash
from libs.broker.factory import BrokerFactory, with_version
from libs.common.errors import (
    AppError,
    InvalidInput,
    LiveNotEnabled,
    NotFound,
    OutcomeUnknown,
    UpstreamAuth,
    UpstreamRefused,
    UpstreamUnavailable,
)
from libs.common.http import HttpClient
from libs.common.http_limits import RateReading
from tests.contract.recorded import ACCOUNT, TOKEN, Reply, Request, Script, Step, Trouble, broker, response
from tests.unit.broker.test_forms import LIMIT, OCO, OTOCO


async def test_an_order_is_posted_once_as_a_form_with_the_token() -> None:
    script = Script(response("placed.json"))
    placed = await broker(script).place(LIMIT)
    (request,) = script.requests
    assert placed.id == "257459"
    assert (request.method, request.path) == ("POST", f"/v1/accounts/{ACCOUNT}/orders")
    assert request.headers["authorization"] == f"Bearer {TOKEN}"
    assert request.headers["accept"] == "application/json"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.content.decode())["option_symbol"] == [LIMIT.occ_symbol]


@pytest.mark.parametrize(
    ("step", "ending"),
    [
        (response("refused_list.json"), UpstreamRefused),
        (response("refused_type.txt", 400), UpstreamRefused),
        (response("refused_type.txt", 403), UpstreamRefused),
        (response("fault_invalid_token.json", 401), UpstreamAuth),
        (response("unauthorized_account.txt", 401), UpstreamAuth),
        (response("fault_rate_limit.json", 429), UpstreamUnavailable),
        (response("backend_down.txt", 500), OutcomeUnknown),
        (response("fault_datastore.json", 500), OutcomeUnknown),
        (response("fault_expired_token.json", 500), OutcomeUnknown),
        (response("documentation_page.html", 502), OutcomeUnknown),
        (response("documentation_page.html", 200), OutcomeUnknown),
        (response("placed.json", 404), OutcomeUnknown),
        (response("placed.json", 302), OutcomeUnknown),
        (response("placed.json", 520), OutcomeUnknown),
        (response("fault_datastore.json", 200), OutcomeUnknown),
        (Reply(200, b'{"order":{"status":"ok"}}'), OutcomeUnknown),
        (Reply(200, b'{"order":'), OutcomeUnknown),
        (Reply(200, b""), OutcomeUnknown),
        (Trouble.REFUSED, UpstreamUnavailable),
        (Trouble.RESET, OutcomeUnknown),
        (Trouble.SILENT, OutcomeUnknown),
        (Trouble.DROPPED, OutcomeUnknown),
        (Trouble.NONSENSE, OutcomeUnknown),
    ],
)
async def test_every_write_ends_in_one_of_three_ways_and_is_sent_once(step: Step, ending: type[AppError]) -> None:
    script = Script(step)
    for request in (LIMIT, OCO, OTOCO):
        with pytest.raises(AppError) as ended:
            await broker(script).place(request)
        assert type(ended.value) is ending
    assert len(script.requests) == 3


BODIES = [b"", b"{", b"[]", b'"text"', b'{"order":{"id":1,"status":"ok"}}', b"<html>", b"\xff\xfe"]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [400, 401, 403, 429])
async def test_a_refusing_status_is_a_refusal_whatever_its_body(status: int, body: bytes) -> None:
    script = Script(Reply(status, body))
    with pytest.raises((UpstreamRefused, UpstreamAuth, UpstreamUnavailable)) as ended:
        await broker(script).place(LIMIT)
    assert (type(ended.value) is UpstreamUnavailable) == (status == 429)
    assert len(script.requests) == 1


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [402, 404, 405, 409, 410, 422, 451, 500, 503, 504])
async def test_any_other_status_leaves_an_order_unknown_whatever_its_body(status: int, body: bytes) -> None:
    script = Script(Reply(status, body))
    with pytest.raises(OutcomeUnknown):
        await broker(script).place(LIMIT)
    assert len(script.requests) == 1


async def test_a_throttled_write_says_when_to_come_back() -> None:
    script = Script(response("fault_rate_limit.json", 429, {"Retry-After": "7"}))
    with pytest.raises(UpstreamUnavailable) as ended:
        await broker(script).place(LIMIT)
    assert ended.value.extra["retry_after_s"] == 7


async def test_the_last_check_comes_after_the_budget_and_can_stop_the_write() -> None:
    script = Script(response("placed.json"))
    order: list[str] = []

    async def refuse() -> None:
        order.append("check")
        raise InvalidInput("too late")

    class Budget(UnlimitedBudget):
        async def take(self, token: str, rate_class: RateClass, priority: Priority) -> None:
            order.append(f"{rate_class} {priority.name} {token == token_hash(TOKEN)}")

        def observed(self, token: str, rate_class: RateClass, reading: RateReading) -> None:
            raise AssertionError("nothing was sent")

    http = HttpClient(wire=script)
    factory = BrokerFactory(http, {BrokerMode.PAPER: "http://broker.test"}, budget=Budget())
    exits = factory.get_broker(BrokerMode.PAPER, ACCOUNT, TOKEN).with_priority(Priority.EXIT)
    with pytest.raises(InvalidInput):
        await exits.place(LIMIT, before_send=refuse)
    assert order == ["trading EXIT True", "check"]
    assert script.requests == []


async def test_each_call_names_its_class_and_hands_the_vendors_count_on() -> None:
    taken: list[tuple[RateClass, Priority]] = []
    seen: list[tuple[RateClass, RateReading]] = []

    class Budget(UnlimitedBudget):
        async def take(self, token: str, rate_class: RateClass, priority: Priority) -> None:
            taken.append((rate_class, priority))

        def observed(self, token: str, rate_class: RateClass, reading: RateReading) -> None:
            seen.append((rate_class, reading))

    headers = {
        "X-Ratelimit-Allowed": "60",
        "X-Ratelimit-Used": "3",
        "X-Ratelimit-Available": "57",
        "X-Ratelimit-Expiry": "1795186800000",
    }
    answers = {
        "orders": response("orders_none_string.json", headers=headers),
        "positions": response("positions_none.json"),
        "clock": response("clock_open.json"),
        "expirations": response("expirations_null.json"),
        "chains": response("chain_null.json"),
        "profile": response("profile_one_account.json"),
        "1": response("cancel_ok.json"),
    }

    class ByPath(Script):
        def step(self, request: Request) -> Step:
            return answers[request.path.rsplit("/", 1)[1]]

    http = HttpClient(wire=ByPath())
    factory = BrokerFactory(http, {BrokerMode.PAPER: "http://broker.test/v1/"}, budget=Budget())
    account = factory.get_broker(BrokerMode.PAPER, ACCOUNT, TOKEN)
    await account.orders()
    await account.positions()
    await account.clock()
    await account.expirations("SPY")
    await account.chain("SPY", date(2026, 12, 18))
    await account.profile()
    assert await account.with_priority(Priority.EXIT).cancel("1") is CancelAnswer.REQUESTED
    standard, market = (RateClass.STANDARD, Priority.POLL), (RateClass.MARKET, Priority.POLL)
    trading = (RateClass.TRADING, Priority.EXIT)
    assert taken == [standard, standard, market, market, market, standard, trading]
    ((rate_class, reading),) = seen
    assert rate_class is RateClass.STANDARD
    assert (reading.allowed, reading.used, reading.available) == (60, 3, 57)
    assert reading.expires_at is not None
    assert reading.expires_at.timestamp() == 1795186800


async def test_live_orders_are_refused_before_anything_is_sent_but_reads_and_cancels_work() -> None:
    script = Script(response("placed.json"))
    live = broker(script, mode=BrokerMode.TRADIER_LIVE)
    with pytest.raises(LiveNotEnabled):
        await live.place(LIMIT)
    assert script.requests == []
    assert await live.cancel("1") is CancelAnswer.REQUESTED
    enabled = broker(script, mode=BrokerMode.TRADIER_LIVE, live_enabled=True)
    assert (await enabled.with_priority(Priority.ENTRY).place(LIMIT)).id == "257459"


async def test_a_read_is_repeated_through_what_passes() -> None:
    script = Script(
        response("documentation_page.html"), response("fault_datastore.json", 500), response("orders_many.json")
    )
    assert len(await broker(script).orders()) == 3
    assert len(script.requests) == 3
    failing = Script(response("backend_down.txt", 500))
    with pytest.raises(UpstreamUnavailable):
        await broker(failing).orders()
    assert len(failing.requests) == 3


async def test_a_throttled_read_waits_as_told_or_says_so_at_once() -> None:
    script = Script(response("fault_rate_limit.json", 429, {"Retry-After": "0"}), response("positions_none.json"))
    assert await broker(script).positions() == ()
    later = Script(response("fault_rate_limit.json", 429, {"Retry-After": "60"}))
    with pytest.raises(UpstreamUnavailable) as ended:
        await broker(later).positions()
    assert ended.value.extra["retry_after_s"] == 60
    assert len(later.requests) == 1


async def test_a_refused_read_is_not_repeated() -> None:
    for step, ending in (
        (response("fault_invalid_token.json", 401), UpstreamAuth),
        (response("fault_expired_token.json", 500), UpstreamAuth),
        (response("refused_type.txt", 400), UpstreamRefused),
    ):
        script = Script(step)
        with pytest.raises(ending):
            await broker(script).balances()
        assert len(script.requests) == 1


async def test_an_unknown_order_is_not_found() -> None:
    script = Script(response("unauthorized_account.txt", 401))
    with pytest.raises(NotFound):
        await broker(script).order("99")
    with pytest.raises(NotFound):
        await broker(script).cancel("99")


async def test_a_cancel_is_repeated_and_stays_unknown_if_any_try_was_sent() -> None:
    recovered = Script(Trouble.RESET, response("backend_down.txt", 500), response("cancel_ok.json"))
    assert await broker(recovered).cancel("257459") is CancelAnswer.REQUESTED
    assert {request.method for request in recovered.requests} == {"DELETE"}
    lost = Script(Trouble.RESET, Trouble.REFUSED)
    with pytest.raises(OutcomeUnknown):
        await broker(lost).cancel("257459")
    assert len(lost.requests) == 3
    never = Script(Trouble.REFUSED)
    with pytest.raises(UpstreamUnavailable):
        await broker(never).cancel("257459")
    final = Script(Trouble.RESET, response("cancel_finalized_filled.txt", 400))
    assert await broker(final).cancel("257459") is CancelAnswer.ALREADY_FINAL


def _page(first: int, count: int, meta: str = "") -> Reply:
    orders = ",".join(f'{{"id":{first + n},"status":"open","class":"option"}}' for n in range(count))
    return Reply(200, f'{{"orders":{{{meta}"order":[{orders}]}}}}'.encode())


async def test_the_order_list_follows_pages_even_when_the_limit_is_cut_down_silently() -> None:
    script = Script(_page(1, 100), _page(101, 100), _page(201, 3))
    found = await broker(script).orders()
    assert [order.id for order in found] == [str(n) for n in range(1, 204)]
    assert [request.params["page"] for request in script.requests] == ["1", "2", "3"]
    assert {request.params["includeTags"] for request in script.requests} == {"true"}


async def test_a_page_number_that_is_ignored_ends_the_list() -> None:
    script = Script(_page(1, 50))
    assert len(await broker(script).orders()) == 50
    assert len(script.requests) == 2


async def test_a_page_of_no_round_size_was_not_cut_and_costs_no_second_request() -> None:
    script = Script(_page(1, 40))
    assert len(await broker(script).orders()) == 40
    assert len(script.requests) == 1


async def test_the_brokers_own_page_count_is_believed_and_a_short_list_is_refused() -> None:
    whole = Script(
        _page(1, 60, '"total_pages":2,"total_orders":90,'), _page(61, 30, '"total_pages":2,"total_orders":90,')
    )
    assert len(await broker(whole).orders()) == 90
    short = Script(_page(1, 30, '"total_pages":1,"total_orders":60,'))
    with pytest.raises(UpstreamUnavailable, match="30 of 60"):
        await broker(short).orders()


async def test_a_short_list_costs_one_request() -> None:
    script = Script(response("orders_many.json"))
    found = await broker(script).orders()
    assert found[1].status is OrderStatus.OPEN
    assert len(script.requests) == 1


async def test_many_symbols_are_one_request_by_form_and_few_by_address() -> None:
    script = Script(response("quotes_one.json"))
    sandbox = broker(script)
    quotes = await sandbox.quotes(["SPY261218C00650000", "SPY261218C00650000"], greeks=True)
    assert quotes["SPY261218C00650000"].is_delayed
    await sandbox.quotes([f"S{n:03d}" for n in range(300)])
    few, many = script.requests
    assert (few.method, few.params["symbols"]) == ("GET", "SPY261218C00650000")
    assert many.method == "POST"
    assert len(parse_qs(many.content.decode())["symbols"][0].split(",")) == 300
    assert await sandbox.quotes([]) == {}
    paper = await broker(script, mode=BrokerMode.PAPER).quotes(["SPY261218C00650000"])
    assert not paper["SPY261218C00650000"].is_delayed


async def test_no_log_and_no_error_tells_the_token_or_the_query(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for step in (response("backend_down.txt", 500), Trouble.RESET):
        with pytest.raises(AppError) as ended:
            await broker(Script(step)).place(LIMIT)
        assert TOKEN not in str(ended.value)
        assert "x?token" not in str(ended.value)
    await broker(Script(response("positions_none.json"))).positions()
    assert TOKEN not in caplog.text
    assert "broker.test" not in caplog.text
    assert TOKEN not in repr(broker(Script(response("placed.json"))).__dict__)


async def test_no_cookie_travels_from_one_users_answer_into_anothers_request() -> None:
    script = Script(response("positions_none.json", headers={"Set-Cookie": "session=1; Path=/"}))
    account = broker(script)
    await account.positions()
    await account.positions()
    assert "cookie" not in script.requests[1].headers


async def test_a_budget_that_never_lets_through_ends_within_the_deadline() -> None:
    class Budget(UnlimitedBudget):
        async def take(self, token: str, rate_class: RateClass, priority: Priority) -> None:
            await asyncio.Event().wait()

        def observed(self, token: str, rate_class: RateClass, reading: RateReading) -> None: ...

    http = HttpClient(wire=Script(response("placed.json")))
    factory = BrokerFactory(http, {BrokerMode.PAPER: "http://broker.test"}, budget=Budget())
    factory = replace(factory, deadlines=replace(factory.deadlines, read_s=0.02, write_s=0.02))
    account = factory.get_broker(BrokerMode.PAPER, ACCOUNT, TOKEN)
    with pytest.raises(UpstreamUnavailable):
        await account.place(LIMIT)
    with pytest.raises(UpstreamUnavailable):
        await account.positions()


def test_a_mode_without_an_address_is_not_offered_and_the_version_is_added_once() -> None:
    with pytest.raises(InvalidInput):
        BrokerFactory(HttpClient(), {}).get_broker(BrokerMode.PAPER, ACCOUNT, TOKEN)
    assert with_version("http://x/") == with_version("http://x/v1") == "http://x/v1"


async def test_a_preview_may_be_repeated_and_carries_its_flag() -> None:
    script = Script(response("backend_down.txt", 500), response("preview.json"))
    report = await broker(script).preview(LIMIT)
    assert report.cost_usd == Decimal("421.7")
    assert parse_qs(script.requests[1].content.decode())["preview"] == ["true"]
