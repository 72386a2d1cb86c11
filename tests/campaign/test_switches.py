"""What an engaged kill switch has neither ended nor listed is found, and so is what a limit should have refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.campaign.picture import Picture
from tests.campaign.switches import LISTS, beyond_limits, still_at_work

TRADE = {"id": "t1", "username": "ann", "occ_symbol": "SPY261218C00500000", "status": "FILLED", "qty": 2,
         "protection": "PROTECTED", "filled_qty": 2, "recovered_from": None, "naked_s": Decimal(0)}  # fmt: skip
ENTRY = {"trade_id": "t1", "role": "ENTRY", "status": "FILLED"}


def picture(*trades: dict[str, Any], orders: tuple[dict[str, Any], ...] = (ENTRY,)) -> Picture:
    return Picture({row["id"]: row for row in trades}, list(orders), [], [], [], [], {}, [])


def state(**lists: list[dict[str, Any]]) -> dict[str, Any]:
    return {"engaged": True} | {name: [] for name in LISTS} | lists


def test_what_is_listed_with_its_reason_or_over_is_no_finding() -> None:
    listed = state(queued_for_open=[{"trade_id": "t1", "reason": "waits for the open"}])
    assert list(still_at_work(picture(TRADE), "ann", listed)) == []
    assert list(still_at_work(picture(TRADE | {"status": "CLOSED"}), "ann", state())) == []
    assert list(still_at_work(picture(TRADE), "bob", state())) == []


@pytest.mark.parametrize(
    ("orders", "found", "words"),
    [
        ((ENTRY,), state(), "not listed"),
        ((ENTRY | {"status": "WORKING"},), state(), "an entry works"),
        ((ENTRY,), state(failed=[{"trade_id": "t1", "reason": ""}]), "without a reason"),
        ((ENTRY,), state(closing=[{"trade_id": "t1", "reason": "x"}], engaged=False), "and it is not"),  # type: ignore[arg-type]
    ],
)
def test_what_goes_on_under_an_engaged_switch_is_found(
    orders: tuple[dict[str, Any], ...], found: dict[str, Any], words: str
) -> None:
    (told,) = still_at_work(picture(TRADE, orders=orders), "ann", found)
    assert words in told


def test_more_trades_or_larger_ones_than_allowed_are_found() -> None:
    two = picture(TRADE, TRADE | {"id": "t2"})
    assert list(beyond_limits(two, "ann", {"max_positions": 2, "max_contracts": 2})) == []
    assert len(list(beyond_limits(two, "ann", {"max_positions": 1, "max_contracts": None}))) == 1
    assert len(list(beyond_limits(two, "ann", {"max_positions": 2, "max_contracts": 1}))) == 2
    late = picture(TRADE, TRADE | {"id": "t2", "recovered_from": "t1"})
    assert list(beyond_limits(late, "ann", {"max_positions": 1})) == []
