"""The kill switch's decisions: what goes first, how much at once, what is told, what is not ours."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.broker.reports import PositionReport
from libs.common.messages.base import MAX_MESSAGE_BYTES
from libs.common.messages.vocabulary import BrokerMode, CloseReason, Protection, TradeStatus
from services.orders import asking, killing
from services.orders.killing import Doomed
from services.orders.plan import next_step
from services.orders.steps import Cancel, Moment, Read, Void, Wait, Waits
from services.orders.trade import ActionState
from tests.unit.orders.views import NOW, OCC, a_view, protected

MOMENT = Moment(NOW)
HELD = Doomed(
    trade_id="t",
    occ_symbol=OCC,
    account_id="A",
    broker_mode=BrokerMode.PAPER,
    qty=2,
    held_qty=2,
    multiplier=100,
    price=Decimal("4.20"),
    stop=Decimal(3),
    protection=Protection.PROTECTED,
    is_settling=False,
    has_live_entry=False,
    has_unknown=False,
    has_live_exits=True,
    has_leaving=False,
    has_live_sale=False,
    is_unbid=False,
    close_state=None,
    failed_at=None,
    failed_words=None,
    successor_occ=None,
)
ENTRY = replace(HELD, trade_id="e", held_qty=0, has_live_entry=True, has_live_exits=False)


def ids_of(process: int) -> Any:
    return lambda: f"action-{process}"


# ── what goes first ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_entries_go_first_then_what_may_lose_most() -> None:
    small, large = replace(HELD, trade_id="small", qty=1, held_qty=1), replace(HELD, trade_id="large")
    bare = replace(HELD, trade_id="bare", protection=Protection.NAKED)
    rows = (small, large, bare, ENTRY)
    assert [row.trade_id for row in killing.entries_first(rows, MOMENT)] == ["e"]
    assert [row.trade_id for row in killing.holdings(rows, MOMENT)] == ["bare", "large", "small"]


@pytest.mark.parametrize(
    "row",
    [
        replace(HELD, is_settling=True),
        replace(HELD, close_state=ActionState.RUNNING),
        replace(HELD, close_state=ActionState.QUEUED),
        replace(HELD, successor_occ="X"),
        replace(HELD, failed_at=NOW - timedelta(seconds=29)),
    ],
)
def test_nothing_is_begun_twice_in_vain_or_too_soon_after_a_refusal(row: Doomed) -> None:
    assert not killing.may_begin(row, MOMENT)
    assert killing.may_begin(replace(HELD, failed_at=NOW - timedelta(seconds=31)), MOMENT)


@given(
    st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30),
    st.integers(0, 200),
)
def test_never_more_exits_are_taken_down_than_sales_can_follow(book: list[tuple[bool, bool]], left: int) -> None:
    rows = [
        replace(HELD, close_state=ActionState.RUNNING if begun else None, has_live_sale=begun and sold)
        for begun, sold in book
    ]
    bare = sum(begun and not sold for begun, sold in book)
    more = killing.room(rows, left)
    assert more >= 0
    if more:
        assert bare + more <= killing.MOST_BARE
        # Each costs a cancel and a sale, and those that are bare already still need theirs.
        assert bare + 2 * more <= left


# ── under the trade's lock ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_protected_holding_is_sold_in_its_session_and_queued_outside() -> None:
    view = protected()
    now = killing.begun(view, MOMENT, is_open=True, new_id=ids_of(1))
    assert (now.trade.status, now.close_action and now.close_action.reason) == (
        TradeStatus.CLOSING,
        CloseReason.KILL_SWITCH,
    )
    later = killing.begun(view, MOMENT, is_open=False, new_id=ids_of(1))
    assert (later.trade.status, later.trade.protection) == (TradeStatus.FILLED, Protection.PROTECTED)
    assert later.queued is not None
    assert later.queued.reason is CloseReason.KILL_SWITCH


def test_asking_again_changes_nothing() -> None:
    for is_open in (True, False):
        once = killing.begun(protected(), MOMENT, is_open=is_open, new_id=ids_of(1))
        assert killing.begun(once, MOMENT, is_open=is_open, new_id=ids_of(2)) is once


def test_an_adjust_that_waits_for_the_open_makes_room() -> None:
    view = asking.with_adjust(
        protected(), action_id="a", sl=Decimal(3), tp=Decimal(7), state=ActionState.QUEUED, now=NOW
    )
    found = killing.begun(view, MOMENT, is_open=False, new_id=ids_of(1))
    assert [action.reason for action in found.actions if action.is_active] == [CloseReason.KILL_SWITCH]


def test_an_entry_that_must_not_leave_is_voided_and_ends_as_killed() -> None:
    view = killing.refused_entry(a_view(), MOMENT, new_id=ids_of(1))
    assert isinstance(next_step(view, MOMENT), Void)


def test_what_the_switch_cancels_waits_for_the_one_list_before_it_is_read_by_itself() -> None:
    waits = Waits()
    view = killing.begun(protected(), MOMENT, is_open=True, new_id=ids_of(1))
    assert isinstance(next_step(view, MOMENT), Cancel)
    asked = view
    for leg in view.live_bracket:
        asked = asked.with_order(replace(leg, cancel_at=NOW, cancel_first_at=NOW, reads=0, read_at=None))
    assert next_step(asked, MOMENT) == Wait(NOW + timedelta(seconds=waits.kill_list_s))
    late = Moment(NOW + timedelta(seconds=waits.kill_list_s + 0.01))
    assert isinstance(next_step(asked, late), Read)


# ── what is told ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("row", "name", "words"),
    [
        (HELD, "closing", "waits for its turn; its exits rest"),
        (replace(ENTRY, close_state=ActionState.RUNNING), "closing", "the entry is being cancelled"),
        (replace(HELD, close_state=ActionState.RUNNING), "closing", "the exits are being cancelled"),
        (replace(HELD, close_state=ActionState.RUNNING, has_live_sale=True), "closing", "the sale is at the broker"),
        (replace(HELD, close_state=ActionState.RUNNING, has_live_sale=True, is_unbid=True), "closing", "nobody bids; "),
        (replace(HELD, close_state=ActionState.QUEUED), "queued_for_open", "the session is closed"),
        (replace(ENTRY, has_unknown=True), "unknown", "no clear answer"),
        (replace(HELD, failed_at=NOW, failed_words="no"), "failed", "no"),
        (replace(HELD, successor_occ="Y"), "failed", "the contract became Y"),
        (replace(HELD, is_settling=True), "settling", "trades no more"),
        (replace(HELD, trouble="no answer"), "closing", "waits for its turn; its exits rest; no answer"),
        (replace(HELD, trouble="no token", trouble_lasts=True), "failed", "no token; its exits rest"),
        (replace(ENTRY, trouble="no token", trouble_lasts=True), "failed", "no token"),
        (replace(HELD, trouble="no answer", close_state=ActionState.QUEUED), "queued_for_open", "the session is"),
    ],
)
def test_a_trade_stands_in_one_list_with_its_reason(row: Doomed, name: str, words: str) -> None:
    found = killing.shown([row], (), engaged=True, changed_at=NOW)
    lists = {one: getattr(found, one) for one in ("closing", "queued_for_open", "unknown", "failed", "settling")}
    assert [one for one, rows in lists.items() if rows] == [name]
    assert words in lists[name][0].reason
    assert lists[name][0].qty == 2


def test_a_list_too_long_for_a_fact_is_cut_and_says_so() -> None:
    rows = [replace(HELD, trade_id=str(number)) for number in range(killing.MOST_LISTED + 3)]
    found = killing.shown(rows, (), engaged=True, changed_at=NOW)
    assert (len(found.closing), found.omitted) == (killing.MOST_LISTED, 3)
    wordy = [replace(row, failed_at=NOW, failed_words="no" * 500) for row in rows]
    told = killing.shown([*rows, *wordy], (), engaged=True, changed_at=NOW)
    assert len(told.model_dump_json()) < MAX_MESSAGE_BYTES


@pytest.mark.parametrize(
    ("position", "before", "after", "foreign"),
    [
        ("3", {}, {}, 3),
        ("5", {OCC: 2}, {OCC: 2}, 3),
        ("2", {OCC: 2}, {OCC: 2}, 0),
        # Sold between the two looks, or about to be seen sold: never told as somebody else's.
        ("2", {OCC: 2}, {}, 0),
        ("0", {OCC: 2}, {OCC: 2}, 0),
        # An entry of ours may be executing: nobody can tell whose they are.
        ("2", {OCC: None}, {OCC: 2}, 0),
        ("2", {}, {OCC: None}, 0),
        ("-1", {}, {}, -1),
    ],
)
def test_only_what_is_surely_not_ours_is_told_as_foreign(
    position: str, before: dict[str, int | None], after: dict[str, int | None], foreign: int
) -> None:
    held = PositionReport(symbol=OCC, qty=Decimal(position), cost_basis_usd=Decimal(0))
    found = killing.foreign(BrokerMode.PAPER, "A", [held], (before, after))
    assert sum(row.qty for row in found) == foreign
    assert all(row.trade_id is None for row in found)
