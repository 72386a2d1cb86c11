"""What marks note, what replies carry, and how consumers wait."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from libs.common.clock import ManualClock
from libs.common.consumers import LONGEST_DELAY_S, delay_s
from libs.common.handlers import LATEST, Answers, Consumes, Context, Hears, Reply, answers, consume, hears, marked
from libs.common.messages.base import Envelope, token_of, utc
from libs.common.messages.monitor import OrderChanged
from libs.common.messages.orders import TRADE_FACTS, GetTrade
from libs.common.messages.pricing import Marks
from libs.common.readiness import Readiness, Stage


@answers(GetTrade)
async def get_trade(query: GetTrade, ctx: Context, deps: Any) -> dict[str, str]:
    """Answer nothing."""
    return {}


@consume(*TRADE_FACTS, durable="monitor-orders", accept=LATEST)
async def on_trade(fact: Any, ctx: Context, deps: Any) -> None:
    """Do nothing."""


@hears(Marks)
async def on_marks(tick: Marks, token: str, deps: Any) -> None:
    """Do nothing."""


def test_a_mark_only_notes_and_the_handler_stays_callable() -> None:
    assert marked(get_trade, Answers).message is GetTrade
    assert marked(on_trade, Consumes).messages == TRADE_FACTS
    assert marked(on_marks, Hears).message is Marks
    assert asyncio.run(get_trade(GetTrade(trade_id="t"), _context(), None)) == {}


def test_a_handler_in_the_wrong_list_is_named() -> None:
    with pytest.raises(TypeError, match=r"test_handlers\.get_trade is not marked as one that consumes"):
        marked(get_trade, Consumes)


def test_a_durable_that_does_not_exist_is_refused_where_it_is_written() -> None:
    with pytest.raises(ValueError, match="orders-brokre"):
        consume(OrderChanged, durable="orders-brokre", accept=LATEST)


def test_money_leaves_as_text_and_time_in_utc() -> None:
    class Answer(BaseModel):
        price_usd: Decimal
        at: datetime

    moment = datetime(2026, 11, 20, 15, tzinfo=UTC)
    shape = {"price_usd": "4.20", "at": "2026-11-20T15:00:00Z"}
    assert Reply.of({"price_usd": Decimal("4.20"), "at": moment}).json() == shape
    assert Reply.of(Answer(price_usd=Decimal("4.20"), at=moment)).json() == shape
    assert Reply.of({"inner": Answer(price_usd=Decimal("4.20"), at=moment)}).json() == {"inner": shape}
    assert Reply.of(b'{"as":"it is"}').body == b'{"as":"it is"}'


def test_header_names_are_written_with_underscores() -> None:
    assert Reply.of({}, 202, Idempotent_Replayed="true").headers == {"Idempotent-Replayed": "true"}


@given(st.integers(min_value=1, max_value=10_000))
def test_delays_grow_and_stay_bounded(deliveries: int) -> None:
    assert 0 < delay_s(deliveries) <= LONGEST_DELAY_S * 1.25


@given(st.text(min_size=1))
def test_any_key_becomes_one_plain_token(key: str) -> None:
    token = token_of(key)
    assert len(token) == len(key)
    assert not set(token) & set(".*> \t\r\n")


def test_a_time_without_a_zone_is_refused() -> None:
    assert utc(datetime(2026, 11, 20, 15, tzinfo=UTC)).tzinfo is UTC
    with pytest.raises(ValueError, match="without a zone"):
        utc(datetime(2026, 11, 20, 15))  # noqa: DTZ001 - the point


def test_an_envelope_survives_its_encoding() -> None:
    query = GetTrade(trade_id="t1")
    envelope = Envelope(id="1", user="bob", occurred_at=datetime(2026, 11, 20, tzinfo=UTC), correlation_id="c")
    read = Envelope.decode(envelope.encode(query))
    assert (read.id, read.user, read.correlation_id, read.data) == ("1", "bob", "c", {"trade_id": "t1"})
    assert "key" not in orjson.loads(envelope.encode(query))


def test_readiness_needs_every_dependency_lately() -> None:
    clock = ManualClock()
    ready = Readiness(clock)
    succeeded = ready.noted("database", 15)
    assert not _says_ready(ready)
    ready.stage = Stage.READY
    assert not _says_ready(ready)
    succeeded()
    assert _says_ready(ready)
    clock.advance(15.5)
    assert not _says_ready(ready)
    assert ready.report()["dependencies"]["database"] == {"ok": False, "age_s": 15.5}
    succeeded()
    ready.stage = Stage.STOPPING
    assert not _says_ready(ready)


def test_a_dependency_whose_last_try_failed_is_not_ok_however_young() -> None:
    ready = Readiness(ManualClock())
    ready.stage = Stage.READY
    bus = ready.watch("bus", 15, lambda: 0.1)
    assert _says_ready(ready)
    bus.reason = "not connected"
    assert not _says_ready(ready)
    assert ready.report()["dependencies"]["bus"]["reason"] == "not connected"


def _says_ready(ready: Readiness) -> bool:
    assert ready.report()["ready"] == ready.is_ready
    return ready.is_ready


def _context() -> Context:
    return Context(id="1", user="bob", correlation_id="c", occurred_at=datetime(2026, 11, 20, tzinfo=UTC))
