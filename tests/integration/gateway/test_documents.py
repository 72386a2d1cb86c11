"""Settings, the inbox and the state of the house."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import InvalidInput, LiveNotEnabled, UpstreamUnavailable
from libs.common.handlers import Context
from libs.common.messages.forensics import GetForensicsStatus
from libs.common.messages.monitor import GetMonitorStatus, IncidentEnded, IncidentOpened
from libs.common.messages.orders import (
    GetOrdersStatus,
    GetTradingSettings,
    StoreCredentials,
    TestCredentials,
    TradeClosed,
    TradeUnprotected,
    UpdateTradingSettings,
)
from libs.common.messages.pricing import GetMarketStatus, GetPricingStatus
from libs.common.messages.vocabulary import BrokerMode, CloseReason, OrderStatus, Severity, TradeStatus
from libs.common.testing import eventually
from tests.integration.gateway.facts import NOW, order, trade
from tests.integration.gateway.house import House

pytestmark = pytest.mark.integration

TRADING: dict[str, Any] = {
    "broker_mode": "PAPER",
    "account_id": "VA00000001",
    "max_positions": 5,
    "created_at": "2026-11-01T10:00:00Z",
    "updated_at": "2026-11-02T10:00:00.5+00:00",
}
STATUSES = (GetOrdersStatus, GetMonitorStatus, GetPricingStatus, GetForensicsStatus)


async def test_settings_are_one_document_of_both_parts(house: House) -> None:
    house.answers[GetTradingSettings] = TRADING
    alice = await house.signed_in("alice")
    shown = (await alice.get("/api/settings")).json()
    assert {name: shown[name] for name in TRADING if name != "updated_at"} == {
        name: value for name, value in TRADING.items() if name != "updated_at"
    }
    assert (shown["auto_refresh"], shown["sounds"], shown["channels"], shown["quiet_hours"]) == (
        True, True, ["page"], None,
    )  # fmt: skip
    assert datetime.fromisoformat(shown["updated_at"]) > datetime.fromisoformat(TRADING["updated_at"])


async def test_each_part_of_a_change_goes_to_its_keeper(house: House) -> None:
    def update(command: UpdateTradingSettings, _ctx: Context) -> dict[str, Any]:
        return {**TRADING, **command.changes}

    house.answers[UpdateTradingSettings] = update
    house.answers[GetTradingSettings] = TRADING
    alice = await house.signed_in("alice")
    quiet = {"start": "22:00:00", "end": "07:00:00", "zone": "Europe/Rome"}
    change = {"max_positions": 9, "sounds": False, "quiet_hours": quiet, "max_premium": None, "confirm": "LIVE"}
    changed = await alice.put("/api/settings", json=change)
    assert changed.status_code == 200, changed.text
    [(command, _)] = house.asked
    assert command == UpdateTradingSettings(changes={"max_positions": 9, "max_premium": None}, confirm="LIVE")
    assert (changed.json()["max_positions"], changed.json()["sounds"]) == (9, False)
    shown = (await alice.get("/api/settings")).json()
    assert (shown["sounds"], shown["quiet_hours"]) == (False, quiet)
    assert (await alice.put("/api/settings", json={"quiet_hours": None})).json()["quiet_hours"] is None


async def test_a_refusal_changes_nothing(house: House) -> None:
    house.answers[UpdateTradingSettings] = LiveNotEnabled("confirm with LIVE")
    house.answers[GetTradingSettings] = TRADING
    alice = await house.signed_in("alice")
    refused = await alice.put("/api/settings", json={"broker_mode": "TRADIER_LIVE", "sounds": False})
    assert (refused.status_code, refused.json()["code"]) == (403, "live_not_enabled")
    assert (await alice.get("/api/settings")).json()["sounds"] is True


@pytest.mark.parametrize(
    "change",
    [
        {"max_positions": None},
        {"sounds": None},
        {"surprise": 1},
        {"naked_policy": "hope"},
        {"username": "bob"},
        {"max_positions": True},
        {"account_balance": "NaN"},
        {"max_contracts": -1},
        {"repair_delay_s": 1.5},
    ],
)
async def test_a_setting_that_means_nothing_is_refused(house: House, change: dict[str, Any]) -> None:
    alice = await house.signed_in("alice")
    answer = await alice.put("/api/settings", json=change)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_input")
    assert house.asked == []


async def test_a_broker_token_goes_in_and_never_comes_out(house: House) -> None:
    house.answers[StoreCredentials] = InvalidInput("this token belongs to another account")
    alice = await house.signed_in("alice")
    token = "very-secret-token"
    body = {"broker_mode": "TRADIER_SANDBOX", "account_id": "VA123", "token": token}
    answer = await alice.put("/api/settings/credentials", json=body)
    assert token not in answer.text
    assert token not in (await alice.put("/api/settings/credentials", json={**body, "token": token + " "})).text
    [(command, _)] = house.asked
    assert token not in repr(command)


async def test_the_body_that_would_store_a_token_may_be_tried_first(house: House) -> None:
    house.answers[TestCredentials] = {"ok": True, "broker_mode": "TRADIER_LIVE", "account_id": "6YA1"}
    alice = await house.signed_in("alice")
    body = {
        "broker_mode": "TRADIER_LIVE",
        "account_id": "6YA1",
        "account_name": "Main",
        "token": "t",
        "confirm": "LIVE",
    }
    answer = await alice.post("/api/settings/credentials/test", json=body)
    assert (answer.status_code, answer.json()["ok"]) == (200, True), answer.text
    [(command, _)] = house.asked
    assert command == TestCredentials(broker_mode=BrokerMode.TRADIER_LIVE, account_id="6YA1", token="t")


async def test_what_happens_to_orders_and_trades_becomes_lines_once(house: House) -> None:
    alice = await house.signed_in("alice")
    await house.say(order(OrderStatus.WORKING), "alice", key_version=1)
    await house.say(order(OrderStatus.WORKING), "alice", key_version=2)
    await house.say(order(OrderStatus.FILLED), "alice", key_version=3)
    await house.say(trade(TradeUnprotected), "alice", key_version=3)
    closed = trade(
        TradeClosed,
        status=TradeStatus.CLOSED,
        close_reason=CloseReason.TP_HIT,
        close_price=Decimal("8.00"),
        realized_pnl=Decimal("760.00"),
    )
    await house.say(closed, "alice", key_version=4)
    incident: dict[str, Any] = {
        "id": "i1",
        "kind": "naked",
        "severity": Severity.ERROR,
        "text": "no exits",
        "opened_at": NOW,
    }
    await house.say(IncidentOpened(**incident), "alice", key_version=1)
    await house.say(IncidentEnded(**incident, ended_at=NOW), "alice", key_version=2)

    async def listed() -> list[dict[str, Any]] | None:
        found = (await alice.get("/api/notifications/trades")).json()
        return found["notifications"] if found["unread"] >= 6 else None

    lines = await eventually(listed)
    assert lines is not None
    by_type = {line["data"]["type"]: line["data"] for line in lines}
    assert sorted(line["data"]["type"] for line in lines) == [
        "incident_ended", "incident_opened", "order_accepted", "order_filled", "trade_closed", "trade_unprotected",
    ]  # fmt: skip
    assert by_type["order_filled"]["fill_price"] == "4.20"
    assert by_type["order_filled"]["message"] == "SPY 2026-12-18 580 Call: Entry filled: 2 at 4.20"
    assert by_type["trade_closed"]["message"] == "SPY 2026-12-18 580 Call: target hit at 8.00, +$760.00"
    assert (by_type["trade_closed"]["action"], by_type["trade_closed"]["trade_id"]) == ("TP_HIT", "t1")


async def test_the_inbox_is_read_line_by_line_or_at_once_and_paged(house: House) -> None:
    alice, bob = await house.signed_in("alice"), await house.signed_in("bob")
    for number in range(5):
        await house.say(order(order_key=f"PAPER:VA1:{number}"), "alice", key_version=1)

    async def unread() -> int:
        return int((await alice.get("/api/notifications/trades?limit=1")).json()["unread"])

    await eventually(lambda: _is(unread, 5))
    first = (await alice.get("/api/notifications/trades?limit=3")).json()
    rest = (await alice.get(f"/api/notifications/trades?limit=3&cursor={first['next_cursor']}")).json()
    ids = [line["id"] for line in first["notifications"] + rest["notifications"]]
    assert (len(ids), len(set(ids)), rest["next_cursor"]) == (5, 5, None)
    assert ids == sorted(ids, reverse=True)

    assert (await bob.post(f"/api/notifications/trades/{ids[0]}/read")).status_code == 404
    assert (await bob.get("/api/notifications/trades")).json() == {
        "notifications": [], "next_cursor": None, "unread": 0,
    }  # fmt: skip
    read = (await alice.post(f"/api/notifications/trades/{ids[0]}/read")).json()
    again = (await alice.post(f"/api/notifications/trades/{ids[0]}/read")).json()
    assert read["read_at"] is not None
    assert read == again
    assert await unread() == 4
    assert (await bob.post("/api/notifications/trades/read-all")).json() == {"read": 0}
    assert (await alice.post("/api/notifications/trades/read-all")).json() == {"read": 4}
    assert (await alice.get("/api/notifications/trades?unread_only=true")).json()["notifications"] == []


async def test_the_status_merges_every_service_and_names_the_silent(house: House) -> None:
    banner = {"code": "re_authenticate", "level": "error", "text": "token refused", "since": "2026-11-20T15:00:00Z"}
    house.answers[GetOrdersStatus] = {"banners": [banner], "feeds": [{"name": "marks", "age_s": 3.2, "ok": True}]}
    house.answers[GetPricingStatus] = {"banners": [], "feeds": [{"name": "orats", "age_s": None, "ok": False}]}
    house.answers[GetForensicsStatus] = {"banners": [], "feeds": []}
    house.answers[GetMonitorStatus] = UpstreamUnavailable("the database of monitor is away")
    market = {
        "mode": "PAPER", "state": "open", "date": "2026-11-20", "next_change_at": None, "next_state": None,
        "now": "2026-11-20T15:00:00Z",
    }  # fmt: skip
    house.answers[GetMarketStatus] = market
    alice = await house.signed_in("alice")
    status = (await alice.get("/api/system/status")).json()
    assert {line["name"]: line["ok"] for line in status["services"]} == {
        "gateway": True, "orders": True, "monitor": False, "pricing": True, "forensics": True,
    }  # fmt: skip
    assert {banner["code"] for banner in status["banners"]} == {"re_authenticate", "monitor_unavailable"}
    assert [feed["name"] for feed in status["feeds"]] == ["marks", "orats"]
    assert status["market"]["state"] == "open"
    assert status["page_fallback_s"] == 15

    for question in STATUSES:
        house.answers[question] = {"banners": [], "feeds": []}
    assert (await alice.get("/api/system/status")).json()["banners"] == []

    house.answers[GetMarketStatus] = market | {"state": "postmarket", "since": "2026-11-20T21:00:00Z"}
    (closed,) = (await alice.get("/api/system/status")).json()["banners"]
    assert (closed["code"], closed["level"], closed["since"]) == ("market_closed", "info", "2026-11-20T21:00:00Z")


async def _is(count: Any, wanted: int) -> bool:
    return bool(await count() == wanted)
