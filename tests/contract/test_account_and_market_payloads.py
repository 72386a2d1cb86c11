"""Every recorded account and market shape, read by our client."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from libs.broker import tradier_account as account
from libs.broker import tradier_market as market
from libs.broker.venue_clock import clock_from
from libs.common.errors import UpstreamAuth
from libs.common.http import Unreadable
from libs.market.session import MarketState
from tests.contract.recorded import answer


def test_no_positions_are_an_empty_list() -> None:
    assert account.positions(answer("positions_none.json")) == ()


def test_one_position_comes_as_an_object() -> None:
    (position,) = account.positions(answer("positions_one.json"))
    assert (position.symbol, position.qty, position.cost_basis_usd) == (
        "SPY261218C00650000",
        Decimal(1),
        Decimal("421.5"),
    )
    assert position.acquired_at == datetime(2026, 11, 20, 15, 31, 2, 149000, tzinfo=UTC)


def test_a_short_is_negative_and_shares_may_be_fractions() -> None:
    short, shares = account.positions(answer("positions_many.json"))
    assert (short.qty, short.cost_basis_usd) == (Decimal(-2), Decimal(-210))
    assert shares.qty == Decimal("10.5371")


@pytest.mark.parametrize(
    ("name", "kind", "option_power", "stock_power"),
    [
        ("balances_margin.json", "margin", "6363.86", "12727.72"),
        ("balances_cash.json", "cash", "4879.5", "4879.5"),
        ("balances_pdt.json", "pdt", "30000", "120000"),
    ],
)
def test_buying_power_is_read_from_whichever_part_the_account_has(
    name: str, kind: str, option_power: str, stock_power: str
) -> None:
    report = account.balances(answer(name))
    assert report.account_type == kind
    assert report.option_buying_power_usd == Decimal(option_power)
    assert report.stock_buying_power_usd == Decimal(stock_power)
    assert report.total_cash_usd is not None


def test_a_profile_lists_one_account_or_many() -> None:
    (only,) = account.profile(answer("profile_one_account.json")).accounts
    assert (only.account_id, only.option_level, only.status) == ("VA00000001", 3, "active")
    two = account.profile(answer("profile_two_accounts.json"))
    assert [each.account_id for each in two.accounts] == ["6YA00005", "6YA00006"]
    with pytest.raises(UpstreamAuth):
        account.profile(answer("fault_invalid_token.json", 401))
    with pytest.raises(UpstreamAuth):
        account.profile(answer("fault_expired_token.json", 500))


def test_an_option_quote_has_its_contract_and_times() -> None:
    quote = market.quotes(answer("quotes_one.json"), is_delayed=True)["SPY261218C00650000"]
    assert (quote.bid, quote.ask, quote.last) == (Decimal("4.18"), Decimal("4.21"), Decimal("4.2"))
    assert (quote.open, quote.close) == (None, None)
    assert (quote.option_type, quote.strike, quote.expiry) == ("CALL", Decimal(650), date(2026, 12, 18))
    assert (quote.contract_size, quote.root, quote.underlying) == (100, "SPY", "SPY")
    assert quote.quoted_at == datetime.fromtimestamp(1795186802, UTC)
    assert quote.is_delayed
    assert quote.greeks is not None
    assert quote.greeks.delta == pytest.approx(0.4213)
    assert quote.greeks.updated_at == datetime(2026, 11, 20, 14, 59, 12, tzinfo=UTC)


def test_unmatched_symbols_are_absent_and_greeks_may_be_null() -> None:
    quotes = market.quotes(answer("quotes_many_with_unmatched.json"), is_delayed=False)
    assert set(quotes) == {"SPY", "SPY261218C00650000"}
    assert quotes["SPY261218C00650000"].greeks is None
    assert quotes["SPY"].ask_at is None
    assert quotes["SPY"].type == "etf"
    assert not quotes["SPY"].is_delayed


@pytest.mark.parametrize("name", ["quotes_only_unmatched.json", "quotes_null.json"])
def test_no_match_at_all_is_no_quote(name: str) -> None:
    assert market.quotes(answer(name), is_delayed=False) == {}


def test_a_chain_has_both_rights_and_null_is_an_empty_one() -> None:
    expiry = date(2026, 12, 18)
    chain = market.chain(answer("chain.json"), "SPY", expiry, is_delayed=False)
    assert [option.option_type for option in chain.options] == ["CALL", "PUT"]
    assert market.chain(answer("chain_null.json"), "SPY", expiry, is_delayed=False).options == ()


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("expirations_dates.json", [date(2026, 11, 27), date(2026, 12, 4), date(2026, 12, 18)]),
        ("expirations_one_date.json", [date(2026, 12, 18)]),
        ("expirations_objects.json", [date(2026, 11, 27), date(2026, 12, 18)]),
        ("expirations_null.json", []),
    ],
)
def test_expiries_in_every_shape(name: str, days: list[date]) -> None:
    assert list(market.expirations(answer(name))) == days


def test_a_real_venues_clock_follows_the_calendar() -> None:
    report = market.clock(answer("clock_open.json"))
    assert (report.state, report.next_state) == (MarketState.OPEN, MarketState.POSTMARKET)
    assert report.market_now == datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
    assert report.follows_calendar
    assert clock_from(report, report.market_now).held is None


def test_a_held_venues_clock_keeps_its_session_and_speed() -> None:
    report = market.clock(answer("clock_held_open.json"))
    assert not report.follows_calendar
    clock = clock_from(report, datetime(2026, 11, 20, 3, 0, tzinfo=UTC))
    assert clock.held is MarketState.OPEN
    assert clock.market_at(datetime(2026, 11, 20, 3, 0, 2, tzinfo=UTC)) == datetime(2026, 11, 21, 8, 2, tzinfo=UTC)


@pytest.mark.parametrize("name", ["documentation_page.html", "cancel_ok.json"])
def test_an_answer_to_another_question_is_unreadable(name: str) -> None:
    with pytest.raises(Unreadable):
        account.positions(answer(name))
    with pytest.raises(Unreadable):
        market.quotes(answer(name), is_delayed=False)
    with pytest.raises(Unreadable):
        market.expirations(answer(name))


def test_history_tells_executions_by_day_and_whose_money_moved_which_way() -> None:
    trades, entries = account.past_trades(answer("history_many.json"))
    assert [(one.day.isoformat(), one.symbol, one.qty, one.price) for one in trades] == [
        ("2026-11-19", "SPY261218C00650000", Decimal(-2), Decimal("4.23")),
        ("2026-11-19", "SPY261218C00650000", Decimal(-1), Decimal(4)),  # a sale written without a sign
        ("2026-11-18", "SPY261218C00650000", Decimal(3), Decimal("4.2")),
    ]
    assert entries == 4
    (only,), _ = account.past_trades(answer("history_one.json"))
    assert only.qty == 1
    assert account.past_trades(answer("history_none.json")) == ((), 0)
