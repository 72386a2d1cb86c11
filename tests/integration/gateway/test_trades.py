"""Trade routes hand questions on and answers back; what the door itself refuses never leaves it. Limits §5: 36, 37."""

from __future__ import annotations

import csv
import io
from decimal import Decimal
from typing import Any

import httpx
import pytest

from libs.common.errors import IdempotencyMismatch, NotFound, StaleVersion, UpstreamRefused, UpstreamUnavailable
from libs.common.handlers import Context, Reply
from libs.common.messages.base import Asked
from libs.common.messages.orders import (
    AdjustTrade,
    CloseTrade,
    ExportTrades,
    GetContext,
    GetTimeline,
    GetTrade,
    ListHistory,
    ListTrades,
    PlaceTrade,
    ResolveTrade,
    WithdrawTrade,
)
from libs.common.messages.pricing import GetChain, GetSnapshots, ListExpirations
from libs.common.messages.vocabulary import BrokerMode
from tests.integration.gateway.house import House

pytestmark = pytest.mark.integration

BODY: dict[str, Any] = {
    "ticker": "SPY",
    "option_type": "CALL",
    "strike": "580",
    "expiry": "2026-12-18",
    "qty": 2,
    "entry": {"type": "limit", "limit_price": 4.2},
    "sl_price": "2.10",
    "tp_price": 8,
}
KEY = {"Idempotency-Key": "my-key-1"}


async def test_a_placed_trade_reaches_orders_as_its_users_command_and_its_bytes_come_back(house: House) -> None:
    answer = b'{"id":"t1",  "entry_price":"4.20"}'
    house.answers[PlaceTrade] = Reply(201, answer, {"Idempotent-Replayed": "true", "Internal-Detail": "x"})
    alice = await house.signed_in("alice")
    got = await alice.post("/api/trades", json=BODY, headers=KEY)
    assert (got.status_code, got.content) == (201, answer)
    assert got.headers["idempotent-replayed"] == "true"
    assert "internal-detail" not in got.headers
    [(command, ctx)] = house.asked
    assert isinstance(command, PlaceTrade)
    assert ctx.user == "alice"
    assert (command.idempotency_key, command.entry.limit_price, command.tp_price) == (
        "my-key-1",
        Decimal("4.2"),
        Decimal(8),
    )
    assert ctx.correlation_id == got.headers["x-correlation-id"]


@pytest.mark.parametrize("status", [200, 201, 202])
async def test_orders_decides_the_status(house: House, status: int) -> None:
    house.answers[CloseTrade] = Reply(status, b'{"id":"t1"}')
    alice = await house.signed_in("alice")
    assert (await alice.post("/api/trades/t1/close", json={"version": 3}, headers=KEY)).status_code == status


async def test_a_refusal_comes_back_in_the_brokers_words_with_everything_beside_it(house: House) -> None:
    alice = await house.signed_in("alice")
    house.answers[PlaceTrade] = UpstreamRefused("You do not have enough buying power")
    refused = await alice.post("/api/trades", json=BODY, headers=KEY)
    assert (refused.status_code, refused.json()["code"]) == (422, "broker_refused")
    assert refused.json()["detail"] == "You do not have enough buying power"
    house.answers[AdjustTrade] = StaleVersion("version 3 is not 4", current={"id": "t1", "version": 4})
    stale = await alice.post("/api/trades/t1/adjust", json={"version": 3, "new_sl": "2"}, headers=KEY)
    assert (stale.status_code, stale.json()["current"]["version"]) == (409, 4)
    house.answers[PlaceTrade] = IdempotencyMismatch("another body came with this key")
    assert (await alice.post("/api/trades", json=BODY, headers=KEY)).json()["code"] == "idempotency_mismatch"
    house.answers[GetTrade] = NotFound("no such trade")
    assert (await alice.get("/api/trades/t2")).status_code == 404


async def test_every_trade_route_asks_its_owner(house: House) -> None:
    for question in (GetTimeline, GetContext, GetSnapshots, GetTrade, ListHistory, ListTrades):
        house.answers[question] = {}
    for command in (CloseTrade, AdjustTrade, WithdrawTrade, ResolveTrade):
        house.answers[command] = {}
    alice = await house.signed_in("alice")
    asked: dict[str, Asked] = {
        "/api/trades/t1/timeline": GetTimeline(trade_id="t1"),
        "/api/trades/t1/context": GetContext(trade_id="t1"),
        "/api/trades/t1": GetTrade(trade_id="t1"),
        "/api/trades?status=OPEN&limit=5&broker_mode=PAPER": ListTrades(
            status="OPEN", limit=5, broker_mode=BrokerMode.PAPER
        ),
        "/api/trades/history?result=win&strategy=orb": ListHistory(result="win", strategy="orb"),
        "/api/trades/t1/snapshots?points=9": GetSnapshots(trade_id="t1", points=9),
    }
    for path, wanted in asked.items():
        assert (await alice.get(path)).status_code == 200, path
        assert house.asked[-1][0] == wanted
    await alice.post("/api/trades/t1/withdraw", headers=KEY)
    withdrawn: Asked = WithdrawTrade(trade_id="t1", idempotency_key="my-key-1")
    assert house.asked[-1][0] == withdrawn
    for named in ("12345", None):
        await alice.post("/api/trades/t1/resolve", headers=KEY, json={"broker_order_id": named})
        resolved: Asked = ResolveTrade(trade_id="t1", idempotency_key="my-key-1", broker_order_id=named)
        assert house.asked[-1][0] == resolved


@pytest.mark.parametrize("body", [{}, {"broker_order_id": "x"}, {"broker_order_id": ""}, {"broker_order_id": 5}])
async def test_what_resolves_an_order_is_said_outright(house: House, body: dict[str, Any]) -> None:
    alice = await house.signed_in("alice")
    answer = await alice.post("/api/trades/t1/resolve", headers=KEY, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert house.asked == []


async def test_history_reads_bare_dates_as_whole_days_in_new_york(house: House) -> None:
    house.answers[ListHistory] = {}
    alice = await house.signed_in("alice")
    assert (await alice.get("/api/trades/history?from=2026-11-20&to=2026-11-20")).status_code == 200
    question = house.asked[-1][0]
    assert isinstance(question, ListHistory)
    assert question.closed_from is not None
    assert question.closed_to is not None
    assert question.closed_from.isoformat() == "2026-11-20T05:00:00+00:00"
    assert question.closed_to.isoformat() == "2026-11-21T05:00:00+00:00"


async def test_an_unchanged_list_is_answered_304_without_a_body(house: House) -> None:
    def answer(question: ListTrades, _ctx: Context) -> Reply:
        tag = '"abc"'
        return Reply(304, b"", {"ETag": tag}) if question.if_none_match == tag else Reply(200, b"{}", {"ETag": tag})

    house.answers[ListTrades] = answer
    alice = await house.signed_in("alice")
    first = await alice.get("/api/trades")
    again = await alice.get("/api/trades", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("change", "headers"),
    [
        ({}, {}),
        ({}, {"Idempotency-Key": ""}),
        ({}, {"Idempotency-Key": "x" * 129}),
        ({}, {"Idempotency-Key": "a b"}),
        ({}, {"Idempotency-Key": "sig.alice.bot.1"}),
        ({"qty": 0}, KEY),
        ({"qty": -1}, KEY),
        ({"qty": 10**9}, KEY),
        ({"qty": "two"}, KEY),
        ({"qty": 1.5}, KEY),
        ({"qty": None}, KEY),
        ({"surprise": 1}, KEY),
        ({"entry": {"type": "limit", "limit_price": 1, "stop": 2}}, KEY),
        ({"entry": {"type": "stop"}}, KEY),
        ({"strike": "NaN"}, KEY),
        ({"strike": "1e99"}, KEY),
        ({"strike": -5}, KEY),
        ({"sl_price": True}, KEY),
        ({"ticker": "<script>"}, KEY),
        ({"ticker": "SPY\u0000"}, KEY),
        ({"expiry": "18.12.2026"}, KEY),
        ({"strategy": "a\u0000b"}, KEY),
        ({"strategy": "x" * 500}, KEY),
        ({"signals_snapshot": {"1m": "\ud800"}}, KEY),
        ({"signals_snapshot": "text"}, KEY),
        ({"username": "bob"}, KEY),
    ],
)
async def test_a_body_that_cannot_be_right_is_refused_before_anybody_is_asked(
    house: House, change: dict[str, Any], headers: dict[str, str]
) -> None:
    import json

    alice = await house.signed_in("alice")
    content = json.dumps({**BODY, **change})
    answer = await alice.post("/api/trades", content=content, headers={**headers, "Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert answer.json()["code"] == "invalid_input"
    assert answer.json()["detail"]
    assert house.asked == []


async def test_documents_that_are_not_json_too_long_or_too_deep_are_refused(house: House) -> None:
    alice = await house.signed_in("alice")
    headers = {**KEY, "Content-Type": "application/json"}

    async def sent(content: bytes) -> httpx.Response:
        return await alice.post("/api/trades", content=content, headers=headers)

    deep = b'{"a":' * 5000 + b"1" + b"}" * 5000
    for content in (b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"qty": NaN}', deep, b"[" * 60_000):
        assert (await sent(content)).status_code == 422, content[:20]
    snapshot = b'{"signals_snapshot":' + b'{"a":' * 100 + b"1" + b"}" * 101
    assert (await sent(snapshot)).status_code == 422
    assert (await sent(b'{"strategy":"' + b"x" * 70_000 + b'"}')).status_code == 413

    async def chunks() -> Any:
        for _ in range(10):
            yield b" " * 10_000

    assert (await alice.post("/api/trades", content=chunks(), headers=headers)).status_code == 413
    assert house.asked == []


async def test_odd_ids_and_unknown_query_fields_are_refused(house: House) -> None:
    alice = await house.signed_in("alice")
    paths = [
        *(f"/api/trades/{odd}" for odd in ("%00", "a.b", "*", "x" * 65)),
        *(f"/api/trades?{odd}" for odd in ("limit=0", "limit=201", "status=ALL", "surprise=1")),
        "/api/trades/history?from=yesterday",
        "/api/market/chain/SPY",
        "/api/market/expirations/%3E",
    ]
    for path in paths:
        assert (await alice.get(path)).status_code == 422, path
    assert house.asked == []


async def test_tickers_with_a_slash_reach_pricing_whole_and_in_capitals(house: House) -> None:
    house.answers[ListExpirations] = {}
    house.answers[GetChain] = {}
    alice = await house.signed_in("alice")
    await alice.get("/api/market/expirations/brk%2Fb")
    await alice.get("/api/market/chain/spy?expiry=2026-12-18")
    asked = [question.ticker for question, _ in house.asked if isinstance(question, ListExpirations | GetChain)]
    assert asked == ["BRK/B", "SPY"]


async def test_an_export_streams_every_page_and_no_cell_is_a_formula(house: House) -> None:
    def page(question: ExportTrades, ctx: Context) -> dict[str, Any]:
        number = int(question.cursor or 0)
        row = {
            "id": f"t{number}",
            "username": ctx.user,
            "strategy": '=HYPERLINK("http://evil","x")',
            "realized_pnl": "-12.50",
            "ai_verdict": "+1+1",
            "reason": "@SUM(A1)",
            "orders": [{"role": "ENTRY"}],
            "targets": {"target_pnl_15m": "-1.5", "computed_at": None},
            "context": {"captured_at": None},
        }
        return {"trades": [row] * 3, "next_cursor": None if number == 2 else str(number + 1)}

    house.answers[ExportTrades] = page
    alice = await house.signed_in("alice")
    got = await alice.get("/api/trades/export?format=csv")
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["content-disposition"] == 'attachment; filename="bookend-trades.csv"'
    rows = list(csv.DictReader(io.StringIO(got.text)))
    assert [row["id"] for row in rows] == ["t0"] * 3 + ["t1"] * 3 + ["t2"] * 3
    assert rows[0]["realized_pnl"] == "-12.50"
    assert rows[0]["target_pnl_15m"] == "-1.5"
    assert rows[0]["context"] == '{"captured_at":null}'
    for cell in (rows[0]["strategy"], rows[0]["ai_verdict"], rows[0]["reason"]):
        assert cell.startswith("'")

    as_json = (await alice.get("/api/trades/export?format=json")).json()
    assert [row["id"] for row in as_json["trades"]] == [row["id"] for row in rows]
    assert as_json["trades"][0]["strategy"].startswith("=HYPERLINK")


async def test_an_export_that_breaks_in_the_middle_is_never_taken_for_the_whole(house: House) -> None:
    def page(question: ExportTrades, _ctx: Context) -> Any:
        if question.cursor:
            return UpstreamUnavailable("orders went away")
        return {"trades": [{"id": "t1"}], "next_cursor": "1"}

    house.answers[ExportTrades] = page
    alice = await house.signed_in("alice")
    with pytest.raises(httpx.RemoteProtocolError):
        await alice.get("/api/trades/export?format=json")
    house.answers[ExportTrades] = UpstreamUnavailable("orders is away")
    assert (await alice.get("/api/trades/export")).status_code == 503


async def test_a_silent_service_is_answered_as_what_is_known_of_it(house: House) -> None:
    alice = await house.signed_in("alice")
    house.answers[GetTrade] = UpstreamUnavailable("the database of orders is away")
    away = await alice.get("/api/trades/t1")
    assert (away.status_code, away.json()["code"]) == (503, "upstream_unavailable")
    assert away.headers["retry-after"]
