"""A bot's signal becomes a trade as a person's order would, once, or is refused in words, and nothing is sent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from orjson import dumps, loads

from libs.common.errors import Expired, IllegalTransition, LimitExceeded, NotFound
from libs.common.ids import new_id
from libs.common.messages.safety import KillAction, KillSwitch
from libs.common.messages.signals import ApproveSignal, ListSignals, PublishSignal, RejectSignal, SignalState
from libs.common.testing import eventually
from services.orders import arriving, handlers_safety, handlers_signals, store_signals
from services.orders.arriving import Arrival
from tests.integration.orders.bots import BOT, entries, outcomes, publish, rows_of, signal, until
from tests.integration.orders.checker import check
from tests.integration.orders.house import House

pytestmark = pytest.mark.integration


async def test_a_signal_becomes_a_protected_trade_by_itself_in_auto_mode(house: House) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house, strategy="breakout", signals_snapshot={"daily": {"rsi": 62.1}})
    taken = await publish(house, body)
    assert taken is not None
    row = await until(house, taken.id, state="accepted")
    trade = await house.until(row["trade_id"], protection="PROTECTED")
    assert trade["idempotency_key"] == f"sig.{house.user}.{BOT}.{body['signal_id']}"
    assert (trade["strategy"], trade["qty"]) == ("breakout", 2)
    (said,) = await outcomes(house)
    assert said[0] == "signal_accepted"
    assert (said[1]["signal_id"], said[1]["trade_id"], said[1]["bot"]) == (body["signal_id"], trade["id"], BOT)
    async with house.admin() as admin:
        kept = await admin.fetchval(
            "select signals_snapshot::text from orders.entry_context where username = $1", house.user
        )
    assert kept == '{"daily": {"rsi": 62.1}}'
    await check(house)


async def test_a_signal_waits_for_its_user_in_review_mode(house: House) -> None:
    taken = await publish(house, signal(house, ref_price="4.20"))
    assert taken is not None
    assert taken.state is SignalState.PENDING
    assert [topic for topic, _ in await outcomes(house)] == ["signal_queued"]
    listed = await handlers_signals.list_signals(ListSignals(state=SignalState.PENDING), house.context(), house.deps)
    (shown,) = loads(listed)["signals"]
    assert shown["id"] == taken.id
    assert (shown["quote"]["bid"], shown["quote"]["ask"], shown["quote"]["mid"]) == ("4", "4.2", "4.1")
    assert shown["quote"]["age_s"] is not None
    assert await entries(house) == []
    reply = await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(via="page"), house.deps)
    assert reply.status == 200
    assert (reply.json()["state"], reply.json()["signal_id"]) == ("accepted", taken.signal_id)
    await house.until(reply.json()["trade_id"], protection="PROTECTED")
    again = await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps)
    assert again.json()["trade_id"] == reply.json()["trade_id"]
    assert len(await entries(house)) == 1
    async with house.admin() as admin:
        kinds = await admin.fetch(
            "select kind, via from orders.audit where username = $1 and kind like 'signal%'", house.user
        )
    assert [tuple(row) for row in kinds] == [("signal_approved", "page")]
    await check(house)


async def test_what_its_user_rejects_is_never_placed(house: House) -> None:
    taken = await publish(house, signal(house))
    assert taken is not None
    for _ in range(2):
        reply = await handlers_signals.reject_signal(RejectSignal(id=taken.id), house.context(), house.deps)
        assert (reply.json()["state"], reply.json()["code"]) == ("rejected", "rejected")
    with pytest.raises(IllegalTransition):
        await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps)
    assert [topic for topic, _ in await outcomes(house)] == ["signal_queued", "signal_rejected"]
    assert await entries(house) == []


async def test_a_trade_is_not_rejected_with_its_signal(house: House) -> None:
    taken = await publish(house, signal(house))
    assert taken is not None
    await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps)
    with pytest.raises(IllegalTransition, match="close its trade instead"):
        await handlers_signals.reject_signal(RejectSignal(id=taken.id), house.context(), house.deps)


async def test_what_nobody_approves_in_time_ends_by_its_job(house: House) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    taken = await publish(house, signal(house, expires_at=soon))
    assert taken is not None
    await until(house, taken.id, state="expired")
    topic, data = (await outcomes(house))[-1]
    assert (topic, data["reason"]) == ("signal_rejected", "nobody approved the signal in time; nothing was sent")
    with pytest.raises(IllegalTransition):
        await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps)


async def test_an_approval_that_comes_late_sends_nothing(house: House) -> None:
    house.stopping.set()
    soon = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    taken = await publish(house, signal(house, expires_at=soon))
    assert taken is not None

    async def is_late() -> bool:
        return datetime.now(UTC) > datetime.fromisoformat(soon) + timedelta(seconds=0.05)

    await eventually(is_late)
    with pytest.raises(Expired):
        await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps)
    assert await entries(house) == []


async def test_another_users_signal_is_not_there(house: House) -> None:
    taken = await publish(house, signal(house))
    assert taken is not None
    with pytest.raises(NotFound):
        await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(user="somebody"), house.deps)
    with pytest.raises(NotFound):
        await handlers_signals.reject_signal(RejectSignal(id=taken.id), house.context(user="somebody"), house.deps)
    listed = await handlers_signals.list_signals(ListSignals(), house.context(user="somebody"), house.deps)
    assert loads(listed)["signals"] == []


def ahead(**time: float) -> str:
    return (datetime.now(UTC) + timedelta(**time)).isoformat()


WRONG: list[tuple[str, Callable[[dict[str, Any]], Any], str, str]] = [
    ("past", lambda b: b | {"expires_at": ahead(seconds=-1)}, "expired", "the signal's time was over"),
    ("last week", lambda b: b | {"expires_at": ahead(days=-7)}, "expired", "the signal's time was over"),
    (
        "far future",
        lambda b: b | {"expires_at": ahead(minutes=6)},
        "invalid_input",
        "expires_at is at most 5 min ahead",
    ),
    ("no zone", lambda b: b | {"expires_at": "2026-11-21T12:00:00"}, "invalid_input", "expires_at: input should have"),
    ("version", lambda b: b | {"v": 2}, "invalid_input", "v: input should be 1"),
    ("types", lambda b: b | {"qty": "many"}, "invalid_input", "qty: input should be a valid integer"),
    ("truth", lambda b: b | {"qty": True}, "invalid_input", "qty: value error, true is not a value of this field"),
    ("true version", lambda b: b | {"v": True}, "invalid_input", "v: value error, true is not a value of this field"),
    ("not a number", lambda b: b | {"strike": "NaN"}, "invalid_input", "strike: input should be a finite number"),
    ("endless", lambda b: b | {"sl_price": "-Infinity"}, "invalid_input", "sl_price: input should be a finite number"),
    ("exponent", lambda b: b | {"ref_price": "1e999999"}, "invalid_input", "ref_price: decimal input should have"),
    ("quantity", lambda b: b | {"qty": -2}, "invalid_input", "qty: input should be greater than or equal to 1"),
    ("stop below 0", lambda b: b | {"sl_price": "-1"}, "invalid_input", "sl_price: input should be greater"),
    ("another's name", lambda b: b | {"signal_id": "sig.bob/1"}, "invalid_input", "signal_id: string should match"),
    ("no name", lambda b: b | {"signal_id": None}, "invalid_input", "signal_id: input should be a valid string"),
    ("a list", lambda b: [b], "invalid_input", "Input should be a valid dictionary"),
    ("unknown field", lambda b: b | {"username": "bob"}, "invalid_input", "username: extra inputs are not permitted"),
    ("mode", lambda b: b | {"broker_mode": "TRADIER_LIVE"}, "invalid_input", "the signal is for TRADIER_LIVE"),
    ("account", lambda b: b | {"account_id": "VA99999999"}, "invalid_input", "account VA99999999 is not one of your"),
    ("slippage alone", lambda b: b | {"max_slippage_pct": 1}, "invalid_input", "max_slippage_pct needs a ref_price"),
    ("expired contract", lambda b: b | {"expiry": "2024-01-19"}, "invalid_input", "is not listed: no such strike"),
    ("no contract", lambda b: b | {"strike": "1.5"}, "invalid_input", "is not listed"),
    ("stop", lambda b: b | {"sl_price": "9"}, "invalid_input", "stop must be below"),
    (
        "slippage",
        lambda b: b | {"ref_price": "4.00", "max_slippage_pct": "2"},
        "limit_exceeded",
        "max_slippage_pct is 2 % of 4.00; the entry would cost 4.2",
    ),
]


@pytest.mark.parametrize(("change", "code", "words"), [row[1:] for row in WRONG], ids=[row[0] for row in WRONG])
async def test_what_is_wrong_is_refused_in_words_and_nothing_is_sent(
    house: House, change: Callable[[dict[str, Any]], Any], code: str, words: str
) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house)
    taken = await publish(house, dumps(change(body)))
    assert taken is not None
    row = await until(house, taken.id, code=code)
    assert words in row["reason"], row["reason"]
    (said,) = await outcomes(house)
    assert (said[0], said[1]["code"], said[1]["reason"]) == ("signal_rejected", code, row["reason"])
    sent = change(body)
    if not isinstance(sent, list):
        assert said[1]["signal_id"] == sent["signal_id"], "told by the name it was sent under, where it has one"
    assert await entries(house) == []
    assert await house.only_trade() is None


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"expires_at": ahead(days=2)}, "invalid_input", "expires_at is at most the session's end"),
        ({"expiry": "2024-01-19"}, "invalid_input", "has expired; it traded last 2024-01-19"),
        ({"expires_at": ahead(days=-7)}, "expired", "the signal's time was over"),
        ({"broker_mode": "TRADIER_SANDBOX"}, "invalid_input", "the signal is for TRADIER_SANDBOX"),
        ({"account_id": "VA99999999"}, "invalid_input", "account VA99999999 is not one of your"),
    ],
    ids=["far future", "expired contract", "last week", "mode", "account"],
)
async def test_what_nobody_could_approve_in_time_does_not_wait_for_it(
    house: House, change: dict[str, Any], code: str, words: str
) -> None:
    taken = await publish(house, signal(house) | change)
    assert taken is not None
    assert (taken.state in {"rejected", "expired"}, taken.code) == (True, code)
    assert words in (taken.reason or "")
    assert await entries(house) == []


@pytest.mark.parametrize("raw", [b"", b"{", b"NaN", b'{"qty": NaN}', b"[" * 60_000, b"\xff\xfe", b'"x"', b"x" * 70_000])
async def test_what_cannot_be_read_is_answered(house: House, raw: bytes) -> None:
    taken = await publish(house, raw)
    assert taken is not None
    (said,) = await outcomes(house)
    assert (said[0], said[1]["code"], said[1]["signal_id"]) == ("signal_rejected", "invalid_input", None)


async def test_deep_documents_are_refused(house: House) -> None:
    deep: dict[str, Any] = {}
    for _ in range(40):
        deep = {"x": deep}
    taken = await publish(house, signal(house, signals_snapshot=deep))
    assert taken is not None
    assert taken.reason == "signals_snapshot: value error, nested deeper than 16"


async def test_a_better_body_may_use_the_name_of_a_refused_one(house: House) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house)
    await publish(house, body | {"qty": "many"})
    taken = await publish(house, body)
    assert taken is not None
    await until(house, taken.id, state="accepted")


async def test_a_signal_published_again_is_told_again_and_placed_once(house: House) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house)
    first = await publish(house, body)
    assert first is not None
    await until(house, first.id, state="accepted")
    for _ in range(3):
        again = await publish(house, body | {"strike": float(body["strike"])})
        assert again is not None
        assert again.id == first.id
    facts = await outcomes(house)
    assert [topic for topic, _ in facts] == ["signal_accepted"] * 4
    assert len({data["key_version"] for _, data in facts}) == 4
    assert len({data["trade_id"] for _, data in facts}) == 1
    other = await publish(house, body | {"qty": 1})
    assert other is not None
    assert (other.code, other.id != first.id) == ("idempotency_mismatch", True)
    await house.until(facts[0][1]["trade_id"], protection="PROTECTED")
    assert len(await entries(house)) == 1
    await check(house)


async def test_one_delivery_is_answered_once_however_often_it_comes(house: House) -> None:
    row_id = new_id()
    assert await publish(house, b"{", row_id=row_id) is not None
    again = await publish(house, b"{", row_id=row_id)
    assert again is not None
    assert again.id == row_id
    assert len(await outcomes(house)) == 1


async def test_two_bots_of_a_user_name_their_signals_apart(house: House) -> None:
    body = signal(house)
    one, other = await publish(house, body), await publish(house, body, bot="other")
    assert one is not None
    assert other is not None
    assert one.id != other.id
    assert {one.state, other.state} == {SignalState.PENDING}


async def test_signals_that_are_off_are_refused(house: House) -> None:
    await house.prefer(signal_mode="off")
    taken = await publish(house, signal(house))
    assert taken is not None
    assert (taken.state, taken.code, taken.reason) == ("rejected", "forbidden", "signals are off: signal_mode is off")


async def test_a_limit_refuses_a_signal_in_the_limits_words(house: House) -> None:
    await house.prefer(signal_mode="auto", max_contracts=1)
    taken = await publish(house, signal(house))
    assert taken is not None
    row = await until(house, taken.id, state="rejected")
    assert (row["code"], row["reason"]) == ("limit_exceeded", "max_contracts is 1; this would be 2 contracts")
    assert row["trade_id"] is None
    assert await house.only_trade() is None


async def test_a_limit_that_refuses_an_approval_is_told_to_who_approves(house: House) -> None:
    taken = await publish(house, signal(house))
    assert taken is not None
    await house.prefer(max_contracts=1)
    with pytest.raises(LimitExceeded, match="max_contracts is 1"):
        await handlers_signals.approve_signal(ApproveSignal(id=taken.id), house.context(), house.deps)
    assert (await rows_of(house))[0]["state"] == "rejected"


async def test_an_entry_that_could_not_be_placed_refuses_its_signal_and_names_the_trade(house: House) -> None:
    await house.prefer(signal_mode="auto")
    await house.fault("status_429")
    taken = await publish(house, signal(house))
    assert taken is not None
    row = await until(house, taken.id, state="rejected")
    assert row["reason"] == "the order could not be placed; nothing was bought"
    assert (await house.trade(row["trade_id"]))["close_reason"] == "REJECTED"


async def test_an_entry_whose_answer_is_lost_is_accepted_and_sent_once(house: House) -> None:
    await house.prefer(signal_mode="auto")
    await house.fault("drop_after")
    taken = await publish(house, signal(house))
    assert taken is not None
    row = await until(house, taken.id, state="accepted")
    await house.until(row["trade_id"], within_s=20, protection="PROTECTED")
    assert len(await entries(house)) == 1
    await check(house)


async def test_a_bot_that_publishes_too_much_is_told_then_dropped(house: House) -> None:
    house.deps.settings.__dict__["signals_per_min"] = 3
    ends = [await publish(house, signal(house)) for _ in range(14)]
    states = [None if end is None else (end.state, end.code) for end in ends]
    assert states[:3] == [("pending", None)] * 3
    assert states[3:12] == [("rejected", "throttled")] * 9
    assert states[12:] == [None, None]
    other = await publish(house, signal(house), bot="other")
    assert other is not None
    assert other.state is SignalState.PENDING


async def test_a_bot_that_tells_one_signal_for_ever_is_told_again_a_while_and_then_dropped(house: House) -> None:
    house.deps.settings.__dict__["signals_per_min"] = 3
    body = signal(house)
    ends = [await publish(house, body) for _ in range(14)]
    assert {None if end is None else end.state for end in ends[:12]} == {SignalState.PENDING}
    assert ends[12:] == [None, None]
    delivered_again = Arrival(house.user, BOT, dumps(body), new_id(), "bot", is_first=False)
    assert await arriving.receive(house.deps, delivered_again) is not None, "our own trouble is no bot's haste"


async def test_a_closed_market_refuses_at_once_in_either_mode(house: House) -> None:
    await house.sim.control("clock", session="closed")
    for mode in ("review", "auto"):
        await house.prefer(signal_mode=mode)
        taken = await publish(house, signal(house))
        assert taken is not None
        row = await until(house, taken.id, state="rejected")
        assert row["code"] == "market_closed"
    assert await entries(house) == []


async def test_waiting_signals_are_refused_together_in_the_callers_words(house: House) -> None:
    taken = [await publish(house, signal(house)) for _ in range(3)]
    async with house.db.for_user(house.user) as unit:
        assert await store_signals.refuse_waiting(unit, house.user, LimitExceeded("no more today")) == 3
    rows = await rows_of(house)
    assert [(row["state"], row["code"], row["reason"]) for row in rows] == [
        ("rejected", "limit_exceeded", "no more today")
    ] * 3
    assert taken[0] is not None
    with pytest.raises(IllegalTransition):
        await handlers_signals.approve_signal(ApproveSignal(id=taken[0].id), house.context(), house.deps)
    assert await entries(house) == []


async def test_over_http_a_signal_is_answered_with_its_outcome(house: House) -> None:
    await house.prefer(signal_mode="auto")
    body = signal(house)
    command = PublishSignal(bot="http", body=body)
    reply = await handlers_signals.publish_signal(command, house.context(), house.deps)
    assert (reply.status, reply.json()["state"]) == (201, "accepted")
    again = await handlers_signals.publish_signal(command, house.context(), house.deps)
    assert again.json()["trade_id"] == reply.json()["trade_id"]
    wrong = PublishSignal(bot="http", body=signal(house, expires_at=ahead(seconds=-5)))
    with pytest.raises(Expired):
        await handlers_signals.publish_signal(wrong, house.context(), house.deps)
    await house.prefer(signal_mode="review")
    waits = PublishSignal(bot="http", body=signal(house))
    reply = await handlers_signals.publish_signal(waits, house.context(), house.deps)
    assert (reply.status, reply.json()["state"]) == (202, "pending")


async def test_pages_of_signals_follow_each_other(house: House) -> None:
    ids = []
    for _ in range(5):
        taken = await publish(house, signal(house))
        assert taken is not None
        ids.append(taken.id)
    seen, cursor = [], None
    while True:
        page = loads(
            await handlers_signals.list_signals(ListSignals(limit=2, cursor=cursor), house.context(), house.deps)
        )
        seen += [row["id"] for row in page["signals"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == sorted(ids, reverse=True)


async def test_the_kill_switch_refuses_waiting_and_new_signals_and_release_revives_none(house: House) -> None:
    waiting = await publish(house, signal(house))
    assert waiting is not None
    await turn(house, KillAction.ENGAGE)
    row = await until(house, waiting.id, state="rejected")
    assert row["code"] == "kill_switch_on"
    for mode in ("review", "auto"):
        await house.prefer(signal_mode=mode)
        new = await publish(house, signal(house))
        assert new is not None
        assert (await until(house, new.id, state="rejected"))["code"] == "kill_switch_on"
    await turn(house, KillAction.RELEASE)
    with pytest.raises(IllegalTransition):
        await handlers_signals.approve_signal(ApproveSignal(id=waiting.id), house.context(), house.deps)
    assert await entries(house) == []


async def turn(house: House, action: KillAction) -> None:
    await handlers_safety.kill_switch(KillSwitch(action=action), house.context(), house.deps)
