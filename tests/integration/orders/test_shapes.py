"""What PostgreSQL words is what the messages declare, and the database refuses what the lifecycle refuses."""

from __future__ import annotations

from decimal import Decimal
from itertools import product
from typing import Any

import asyncpg
import orjson
import pytest

from libs.common.errors import NotFound
from libs.common.handlers import Reply
from libs.common.ids import new_id
from libs.common.messages.orders import (
    CloseTrade,
    Entry,
    ExportTrades,
    GetContext,
    GetTimeline,
    GetTrade,
    ListHistory,
    ListTracked,
    ListTrades,
)
from libs.common.messages.trade import TradeDetail, TradeRow
from libs.common.messages.vocabulary import EntryType, TradeStatus
from services.orders import handlers_queries as queries
from services.orders.lifecycle import ALLOWED
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


async def listed(house: House, **asked: Any) -> Reply:
    return await queries.list_trades(ListTrades(**asked), house.context(), house.deps)


async def test_a_list_row_has_exactly_the_documented_keys(house: House) -> None:
    trade = await house.protected(card_score=Decimal("7.5"), strategy="breakout")
    (row,) = (await listed(house, status="OPEN")).json()["trades"]
    assert set(row) == set(TradeRow.model_fields)
    parsed = TradeRow.model_validate(row)
    assert parsed.id == trade["id"]
    assert {order.role for order in parsed.orders} == {"ENTRY", "STOP_LOSS", "TAKE_PROFIT"}


async def test_a_pending_limit_shows_its_price(house: House) -> None:
    placed = await house.place(entry=Entry(type=EntryType.LIMIT, limit_price=Decimal("3.90")))
    (row,) = (await listed(house, status="OPEN")).json()["trades"]
    assert (row["entry_type"], row["limit_price"], row["entry_price"]) == ("limit", "3.90", None)
    assert (placed["entry_type"], Decimal(placed["limit_price"])) == ("limit", Decimal("3.90"))


async def test_a_detail_has_exactly_the_documented_keys(house: House) -> None:
    trade = await house.protected(card_score=Decimal("7.5"), ai_verdict="go")
    raw = await queries.get_trade(GetTrade(trade_id=trade["id"]), house.context(), house.deps)
    detail = orjson.loads(raw)
    assert set(detail) == set(TradeDetail.model_fields)
    parsed = TradeDetail.model_validate(detail)
    assert (parsed.card_score, parsed.ai_verdict) == (Decimal("7.5"), "go")
    assert parsed.delta_at_entry is not None


async def test_the_newest_fact_of_a_trade_says_what_the_list_says(house: House) -> None:
    await house.protected()
    (row,) = (await listed(house, status="OPEN")).json()["trades"]
    newest = max((data for topic, data in await house.facts() if topic.startswith("trade_")), key=_version)
    told, kept = TradeRow.model_validate(_without(newest)), TradeRow.model_validate(row)
    assert told == kept


def _version(data: dict[str, Any]) -> int:
    return int(data["key_version"])


def _without(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "trade_id"}


async def test_a_list_unchanged_since_its_etag_is_304(house: House) -> None:
    await house.protected()
    first = await listed(house, status="OPEN")
    again = await listed(house, status="OPEN", if_none_match=first.headers["ETag"])
    assert (again.status, again.body) == (304, b"")


async def test_pages_follow_each_other_without_loss(house: House) -> None:
    for strike in (0, 5, 10):
        contract = house.contract
        moved = type(contract)(contract.root, contract.expiry, contract.option_type, contract.strike + strike)
        await house.sim.control("quote", symbol=str(moved), bid="4.00", ask="4.20")
        await house.protected(strike=moved.strike)
    first = (await listed(house, status="OPEN", limit=2)).json()
    second = (await listed(house, status="OPEN", limit=2, cursor=first["next_cursor"])).json()
    ids = [trade["id"] for trade in [*first["trades"], *second["trades"]]]
    assert (len(ids), ids, second["next_cursor"]) == (3, sorted(ids, reverse=True), None)


async def test_history_export_and_tracked_tell_the_closed_trade(house: House) -> None:
    trade = await house.protected()
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    context = house.context()
    lost = orjson.loads(await queries.list_history(ListHistory(result="loss"), context, house.deps))
    won = orjson.loads(await queries.list_history(ListHistory(result="win"), context, house.deps))
    assert ([row["id"] for row in lost["trades"]], won["trades"]) == ([trade["id"]], [])
    exported = orjson.loads(await queries.export_trades(ExportTrades(), context, house.deps))
    assert set(exported["trades"][0]) == {*TradeDetail.model_fields, "context"}
    assert (await listed(house, status="CLOSED")).json()["trades"][0]["close_reason"] == "MANUAL_CLOSE"
    tracked = orjson.loads(await queries.list_tracked(ListTracked(), context, house.deps))
    assert trade["id"] not in [row["id"] for row in tracked["trades"]]


async def test_the_capsule_and_the_story_are_kept(house: House) -> None:
    trade = await house.protected(ai_reasoning_log={"prompt": "p", "output": "o", "confidence": 1})
    capsule = orjson.loads(await queries.get_context(GetContext(trade_id=trade["id"]), house.context(), house.deps))
    assert capsule["order_book_state"]["bid"] == "4.00" or Decimal(capsule["order_book_state"]["bid"]) == 4
    assert capsule["ai_reasoning_log"]["prompt"] == "p"
    assert capsule["missing"] == ["signals_snapshot", "market_regime"]
    story = orjson.loads(await queries.get_timeline(GetTimeline(trade_id=trade["id"]), house.context(), house.deps))
    assert [event["kind"] for event in story["events"]][:3] == ["asked", "order_sent", "order_accepted"]


async def test_another_users_trade_is_not_there(house: House) -> None:
    trade = await house.protected()
    for ask, query in (
        (queries.get_trade, GetTrade(trade_id=trade["id"])),
        (queries.get_timeline, GetTimeline(trade_id=trade["id"])),
        (queries.get_context, GetContext(trade_id=trade["id"])),
    ):
        with pytest.raises(NotFound):
            await ask(query, house.context(user="mallory"), house.deps)  # type: ignore[arg-type]
    found = await queries.list_trades(ListTrades(status="OPEN"), house.context(user="mallory"), house.deps)
    assert found.json()["trades"] == []


async def test_the_trigger_allows_exactly_what_the_table_allows(house: House) -> None:
    trade = await house.protected()
    async with house.database.admin() as admin:
        for before, after in product(TradeStatus, TradeStatus):
            if before is after:
                continue
            allowed = await _passes(admin, trade["id"], before, after)
            assert allowed == ((before, after) in ALLOWED), (before, after)


async def _passes(admin: asyncpg.Connection, trade_id: str, before: TradeStatus, after: TradeStatus) -> bool:
    """Try one transition on a row set to `before` behind the trigger's back; nothing is kept."""
    closed = "$2::text = 'CLOSED'"
    values = f"status = $2::text, is_locked = ({closed}), close_reason = case when {closed} then 'TP_HIT' end"
    trial = admin.transaction()
    await trial.start()
    try:
        await admin.execute("set local session_replication_role = replica")
        await admin.execute(f"update orders.trades set {values} where id = $1", trade_id, before)
        await admin.execute("set local session_replication_role = origin")
        await admin.execute(f"update orders.trades set {values} where id = $1", trade_id, after)
    except asyncpg.IntegrityConstraintViolationError:
        return False
    else:
        return True
    finally:
        await trial.rollback()


@pytest.mark.parametrize("change", ["realized_pnl = 0", "sl_price = 1", "version = version + 1", "reason = 'x'"])
async def test_a_locked_row_refuses_every_change(house: House, change: str) -> None:
    trade = await house.protected()
    await house.ask(CloseTrade(idempotency_key=new_id(), trade_id=trade["id"], version=trade["version"]))
    async with house.database.admin() as admin:
        with pytest.raises(asyncpg.RestrictViolationError):
            await admin.execute(f"update orders.trades set {change} where id = $1", trade["id"])
