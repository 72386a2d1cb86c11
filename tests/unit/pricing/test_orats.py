"""ORATS rows into quotes."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from libs.market.options import OccSymbol
from services.pricing.orats import number, read_expirations, read_rows, whole

ROW: dict[str, Any] = {
    "ticker": "AAPL",
    "tradeDate": "2026-11-20",
    "expirDate": "2026-12-18",
    "strike": 142,
    "stockPrice": 176.78,
    "callBidPrice": 34.7,
    "callAskPrice": 35.1,
    "putBidPrice": 0,
    "putAskPrice": 0.02,
    "callMidIv": 0.31,
    "putMidIv": 0.33,
    "smvVol": 0.32,
    "delta": 0.98,
    "gamma": 0.002,
    "theta": -0.02,
    "vega": 0.01,
    "callVolume": 10,
    "callOpenInterest": 200,
    "putVolume": 0,
    "putOpenInterest": 7,
    "quoteDate": "2026-11-20T15:00:01Z",
    "updatedAt": "2026-11-20T15:00:03Z",
    "expiryTod": "pm",
}


def test_a_row_holds_a_call_and_a_put() -> None:
    rows = read_rows("AAPL", [ROW])
    call, put = rows.quotes
    assert str(call.contract) == "AAPL261218C00142000"
    assert (call.bid, call.ask, call.mark) == (Decimal("34.7"), Decimal("35.1"), Decimal("34.9"))
    assert (call.delta, call.theta, call.iv) == (0.98, -0.02, 0.31)
    assert call.quoted_at == datetime(2026, 11, 20, 15, 0, 1, tzinfo=UTC)
    assert str(put.contract) == "AAPL261218P00142000"
    assert rows.underlying_price == Decimal("176.78")


def test_a_puts_delta_is_the_calls_less_one_and_its_theta_unknown() -> None:
    put = read_rows("AAPL", [ROW]).quotes[1]
    assert put.delta is not None
    assert abs(put.delta + 0.02) < 1e-9
    assert (put.theta, put.gamma, put.vega) == (None, 0.002, 0.01)


def test_a_zero_bid_with_an_ask_marks_at_zero() -> None:
    put = read_rows("AAPL", [ROW]).quotes[1]
    assert (put.bid, put.ask, put.mark) == (Decimal(0), Decimal("0.02"), Decimal(0))


def test_both_sides_zero_is_no_quote() -> None:
    rows = read_rows("AAPL", [{**ROW, "putAskPrice": 0}])
    assert [quote.contract.option_type for quote in rows.quotes] == ["CALL"]
    assert rows.skipped == 0


def test_only_what_is_wished_is_read() -> None:
    wanted = frozenset({OccSymbol.parse("AAPL261218P00142000")})
    assert [str(q.contract) for q in read_rows("AAPL", [ROW, {**ROW, "strike": 145}], wanted).quotes] == [
        "AAPL261218P00142000"
    ]


def test_an_index_at_the_close_is_its_weekly_series() -> None:
    row = {**ROW, "ticker": "SPX", "strike": 6500}
    assert {quote.contract.root for quote in read_rows("SPX", [row]).quotes} == {"SPXW"}
    assert {quote.contract.root for quote in read_rows("SPX", [{**row, "expiryTod": "am"}]).quotes} == {"SPX"}


def test_expiries_come_sorted_once_and_in_both_shapes() -> None:
    given_rows = [{"expirDate": "2026-12-18"}, "2026-11-27", {"expirDate": "2026-12-18"}, {"other": 1}]
    assert read_expirations(given_rows) == (date(2026, 11, 27), date(2026, 12, 18))


broken = st.dictionaries(
    st.sampled_from(sorted(ROW)),
    st.one_of(st.none(), st.text(max_size=5), st.integers(), st.floats(), st.lists(st.integers(), max_size=2)),
    max_size=6,
)


@given(broken)
def test_a_broken_row_never_stops_the_others(changes: dict[str, Any]) -> None:
    rows = read_rows("AAPL", [{**ROW, **changes}, {**ROW, "strike": 150}])
    assert {"AAPL261218C00150000", "AAPL261218P00150000"} <= {str(quote.contract) for quote in rows.quotes}
    assert rows.skipped <= 1


def test_what_is_no_finite_number_is_no_figure() -> None:
    for value in (float("inf"), float("nan"), 10**400, True, "3", None):
        assert (number(value), whole(value)) == (None, None)
    assert (number(2), whole(2.0)) == (2.0, 2)
