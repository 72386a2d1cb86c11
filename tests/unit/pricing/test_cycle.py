"""What a cycle asks, stores and says, and what the vendor's minute allows."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from services.pricing.cycle import marks, points, wishes
from services.pricing.orats import Rows, read_rows
from services.pricing.quota import Window, take
from tests.unit.pricing.test_orats import ROW

NOW = datetime(2026, 11, 20, 15, 1, tzinfo=UTC)


def test_one_wish_a_ticker_however_many_hold_it() -> None:
    held = [
        ("SPY", "SPY261218C00650000"),
        ("AAPL", "AAPL261218C00142000"),
        ("SPY", "SPY261127P00640000"),
        ("SPY", "SPY261218C00650000"),
    ]
    found = wishes(held, date(2026, 1, 2))
    assert [wish.ticker for wish in found] == ["AAPL", "SPY"]
    assert found[1].expiries == (date(2026, 11, 27), date(2026, 12, 18))


def test_points_share_the_cycles_time_and_their_marks_say_the_same() -> None:
    rows = read_rows("AAPL", [ROW])
    stored = points(rows, taken_at=NOW, tag="PRE_MARKET", source="orats")
    assert {(point.taken_at, point.tag, point.underlying) for point in stored} == {
        (NOW, "PRE_MARKET", Decimal("176.78"))
    }
    tick = marks(rows, stored, is_delayed=False)
    assert tick is not None
    assert [(mark.occ_symbol, mark.mark) for mark in tick.marks] == [(p.occ_symbol, p.mark) for p in stored]
    assert stored[0].delta == Decimal("0.980000")


def test_nothing_quoted_is_nothing_said() -> None:
    empty = Rows(ticker="AAPL", underlying_price=None, quotes=())
    assert marks(empty, points(empty, taken_at=NOW, tag=None, source="orats"), is_delayed=False) is None


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 90)), max_size=30), st.integers(1, 60))
def test_no_minute_sees_more_than_its_ceiling(asks: list[tuple[int, int]], ceiling: int) -> None:
    window = Window(opened_at=NOW, used=0, ceiling=ceiling)
    now, granted_in_window, opened_at = NOW, 0, NOW
    for asked, pause_s in asks:
        now += timedelta(seconds=pause_s)
        window, granted = take(window, asked, now)
        assert 0 <= granted <= asked
        granted_in_window = granted if window.opened_at != opened_at else granted_in_window + granted
        opened_at = window.opened_at
        assert granted_in_window <= ceiling


def test_a_new_minute_grants_again() -> None:
    window, granted = take(Window(opened_at=NOW, used=10, ceiling=10), 5, NOW + timedelta(seconds=59))
    assert granted == 0
    assert take(window, 5, NOW + timedelta(seconds=60))[1] == 5
