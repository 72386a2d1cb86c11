"""How long signals are kept: decided ones until nobody can send them again, waiting ones until they are decided."""

from __future__ import annotations

from datetime import timedelta
from typing import cast

import orjson
import pytest

from libs.common.config import SettingsProblem, load
from libs.common.errors import AppError
from libs.common.ids import new_id
from libs.common.jobs import Job
from libs.common.messages.durables import DAY_S, DEAD, SIGNALS, STREAMS
from libs.common.messages.signals import ApproveSignal
from services.orders import handlers_signals, upkeep
from services.orders.settings import Settings
from tests.integration.orders.bots import entries, publish, rows_of, signal, until
from tests.integration.orders.house import House, environment

pytestmark = pytest.mark.integration

KEPT_DAYS = cast("int", Settings.model_fields["signals_kept_days"].default)


async def of_age(house: House, state: str, days: float) -> str:
    """Store a signal that was decided, or if it waits came in, so long ago."""
    row_id = new_id()
    async with house.admin() as admin:
        await admin.execute(
            "insert into orders.signals (id, username, bot, signal_id, state, body_hash, received_at, expires_at, "
            "decided_at, key_version) select $1, $2, 'scanner', $1, $3, 'x', at, at, "
            "case when $3 <> 'pending' then at end, 1 from (select now() - $4::interval as at) a",
            row_id,
            house.user,
            state,
            timedelta(days=days),
        )
    return row_id


async def forget(house: House) -> timedelta:
    return cast("timedelta", await upkeep.forget.run(cast("Job", None), house.deps))


async def test_what_was_decided_long_ago_goes_and_whatever_may_still_become_a_trade_stays(house: House) -> None:
    decided = ("accepted", "rejected", "expired")
    old = [await of_age(house, state, KEPT_DAYS + 0.1) for state in decided]
    young = [await of_age(house, state, KEPT_DAYS - 0.1) for state in decided]
    waiting = [await of_age(house, state, 10 * KEPT_DAYS) for state in ("pending", "placing")]
    assert await forget(house) == upkeep.EVERY
    assert {row["id"] for row in await rows_of(house)} == {*young, *waiting}
    assert not {*old} & {row["id"] for row in await rows_of(house)}
    assert await forget(house) == upkeep.EVERY


async def test_very_many_go_in_portions_one_soon_after_the_other(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "AT_ONCE", 2)
    for days in (3, 1, 2):
        await of_age(house, "rejected", KEPT_DAYS + days)
    assert await forget(house) < timedelta(minutes=1)
    assert len(await rows_of(house)) == 1
    assert await forget(house) == upkeep.EVERY
    assert await rows_of(house) == []


async def test_a_signal_that_became_a_trade_becomes_none_again_even_when_it_is_forgotten(house: House) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house)
    first = await publish(house, body)
    assert first is not None
    placed = await until(house, first.id, state="accepted")
    await house.until(placed["trade_id"], protection="PROTECTED")
    await _was_decided(house, KEPT_DAYS + 1)
    await forget(house)
    assert await rows_of(house) == []
    again = await publish(house, body)
    assert again is not None
    assert (await until(house, again.id, state="accepted"))["trade_id"] == placed["trade_id"]
    other = await publish(house, body | {"qty": 1}, row_id=await _forgotten_again(house))
    assert other is not None
    assert (await until(house, other.id, state="rejected"))["code"] == "idempotency_mismatch"
    assert len(await entries(house)) == 1


async def test_no_user_can_remove_a_signal(house: House) -> None:
    await of_age(house, "rejected", 1)
    with pytest.raises(AppError, match="InsufficientPrivilege"):
        async with house.deps.db.for_user(house.user) as unit:
            await unit.fetch("delete from orders.signals")


def test_signals_are_kept_longer_than_one_can_come_again_from_its_queue_or_from_among_the_dead() -> None:
    again_s = STREAMS[DEAD].max_age_s + STREAMS[SIGNALS].max_age_s
    least = again_s // DAY_S + 1
    with pytest.raises(SettingsProblem, match="SIGNALS_KEPT_DAYS"):
        load(Settings, environment("http://nowhere") | {"SIGNALS_KEPT_DAYS": str(least - 1)})
    assert load(Settings, environment("http://nowhere") | {"SIGNALS_KEPT_DAYS": str(least)}).signals_kept_days == least
    assert least < KEPT_DAYS


async def _was_decided(house: House, days: float) -> None:
    async with house.admin() as admin:
        await admin.execute("update orders.signals set decided_at = decided_at - $1::interval", timedelta(days=days))


async def _forgotten_again(house: House) -> str:
    await _was_decided(house, KEPT_DAYS + 1)
    await forget(house)
    return new_id()


async def test_a_decided_signal_keeps_its_words_and_a_waiting_one_its_documents_too(house: House) -> None:
    documents = {"signals_snapshot": {"daily": {"rsi": 62.1}}, "ai_reasoning_log": {"prompt": "long"}}
    waiting = await publish(house, signal(house, **documents))
    refused = await publish(house, signal(house, expires_at="2026-01-02T15:00:00Z", **documents))
    assert waiting is not None
    assert refused is not None
    kept = {row["id"]: orjson.loads(row["body"]) for row in await rows_of(house)}
    assert documents.items() <= kept[waiting.id].items()
    assert kept[refused.id].keys() & documents.keys() == set()
    approved = ApproveSignal(id=waiting.id)
    trade_id = (await handlers_signals.approve_signal(approved, house.context(), house.deps)).json()["trade_id"]
    (row,) = [row for row in await rows_of(house) if row["id"] == waiting.id]
    assert orjson.loads(row["body"]).keys() & documents.keys() == set()
    assert orjson.loads(row["body"])["ticker"] == house.contract.root
    async with house.admin() as admin:
        sql = "select ai_reasoning_log::text from orders.entry_context where trade_id = $1"
        assert await admin.fetchval(sql, trade_id) == '{"prompt": "long"}'
