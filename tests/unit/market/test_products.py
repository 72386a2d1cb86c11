"""Hours, settlement and last trade of a series."""

from datetime import UTC, date, datetime

import pytest

from libs.market import products
from libs.market.options import OccSymbol
from libs.market.products import Settlement, SettlementKind, SettlementTime


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type,misc]


@pytest.mark.parametrize(
    ("symbol", "last"),
    [
        ("AAPL261120C00200000", utc(2026, 11, 20, 21, 0)),
        ("SPY261120C00650000", utc(2026, 11, 20, 21, 15)),
        ("AAPL261127C00200000", utc(2026, 11, 27, 18, 0)),
        ("QQQ261127C00500000", utc(2026, 11, 27, 18, 15)),
        ("SPX261120C06700000", utc(2026, 11, 19, 21, 15)),  # AM-settled: the session before
        ("SPXW261120C06700000", utc(2026, 11, 20, 21, 0)),  # expiring: stops with the stock market
        ("VIX261125C00020000", utc(2026, 11, 24, 21, 15)),
        ("RUTW260930P02000000", utc(2026, 9, 30, 20, 0)),
        ("SPX280121C06700000", utc(2028, 1, 20, 21, 15)),
        ("AAPL260403C00200000", utc(2026, 4, 2, 20, 0)),  # expiry date on Good Friday
    ],
)
def test_last_trade(symbol: str, last: datetime) -> None:
    assert products.last_trade_at(OccSymbol.parse(symbol)) == last


@pytest.mark.parametrize(
    ("symbol", "time", "kind"),
    [
        ("AAPL261120C00200000", SettlementTime.PM, SettlementKind.PHYSICAL),
        ("SPY261120C00650000", SettlementTime.PM, SettlementKind.PHYSICAL),
        ("SPX261120C06700000", SettlementTime.AM, SettlementKind.CASH),
        ("SPXW261120C06700000", SettlementTime.PM, SettlementKind.CASH),
        ("XSP261120C00670000", SettlementTime.PM, SettlementKind.CASH),
        ("NDXP261120C25000000", SettlementTime.PM, SettlementKind.CASH),
        ("VIXW261202C00020000", SettlementTime.AM, SettlementKind.CASH),
    ],
)
def test_settlement(symbol: str, time: SettlementTime, kind: SettlementKind) -> None:
    assert products.settlement(OccSymbol.parse(symbol)) == Settlement(time, kind)


def test_an_am_settled_contract_settles_at_the_open_after_its_last_trade() -> None:
    contract = OccSymbol.parse("SPX261120C06700000")
    assert products.settles_at(contract) == utc(2026, 11, 20, 14, 30)
    assert products.settles_at(OccSymbol.parse("SPXW261120C06700000")) == utc(2026, 11, 20, 21, 0)


@pytest.mark.parametrize(
    ("root", "underlying"),
    [("SPXW", "SPX"), ("NDXP", "NDX"), ("SPY", "SPY"), ("AAPL1", "AAPL"), ("BRKB", "BRK/B"), ("2SPY", "SPY")],
)
def test_a_root_belongs_to_its_underlying(root: str, underlying: str) -> None:
    assert products.underlying_of(root) == underlying


@pytest.mark.parametrize(
    ("root", "underlying", "size", "standard"),
    [
        ("AAPL", "AAPL", 100, True),
        ("SPXW", "SPX", 100, True),
        ("BRKB", "BRK/B", 100, True),
        ("BRKB", "BRK.B", 100, True),
        ("AAPL1", "AAPL", 100, False),
        ("AAPL", "AAPL", 10, False),
        ("AAPL", "AAPL", None, False),
        ("AAPL", "MSFT", 100, False),
    ],
)
def test_standard_contracts(root: str, underlying: str, size: int | None, standard: bool) -> None:
    assert products.is_standard_contract(root, underlying, size) is standard


def test_a_contract_trades_inside_its_own_hours_only() -> None:
    spy, aapl = OccSymbol.parse("SPY261218C00650000"), OccSymbol.parse("AAPL261218C00200000")
    late = utc(2026, 11, 20, 21, 10)
    assert products.is_trading(spy, late)
    assert not products.is_trading(aapl, late)
    assert not products.is_trading(spy, utc(2026, 11, 20, 21, 15))
    assert not products.is_trading(spy, utc(2026, 11, 20, 14, 29))
    assert products.is_trading(spy, utc(2026, 11, 20, 14, 30))
    assert not products.is_trading(spy, utc(2026, 11, 21, 16, 0))


def test_days_to_expiry_count_new_york_days() -> None:
    contract = OccSymbol.parse("SPY261120C00650000")
    assert products.days_to_expiry(contract, utc(2026, 11, 20, 4, 0)) == 1
    assert products.days_to_expiry(contract, utc(2026, 11, 20, 15, 0)) == 0
    assert products.session_on("SPY", date(2026, 11, 20)) == (utc(2026, 11, 20, 14, 30), utc(2026, 11, 20, 21, 15))
