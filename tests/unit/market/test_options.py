"""OCC symbols both ways."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidInput
from libs.market.options import OccSymbol, OptionType, is_option_symbol

CONTRACTS = st.builds(
    OccSymbol,
    root=st.from_regex(r"[A-Z0-9]([A-Z0-9/]{0,4}[A-Z0-9])?", fullmatch=True),
    expiry=st.dates(date(2000, 1, 1), date(2099, 12, 31)),
    option_type=st.sampled_from(OptionType),
    strike=st.integers(1, 99_999_999).map(lambda n: Decimal(n) / 1000),
)


@given(CONTRACTS)
def test_every_contract_survives_its_own_symbol(contract: OccSymbol) -> None:
    assert OccSymbol.parse(str(contract)) == contract


@pytest.mark.parametrize(
    ("text", "root", "expiry", "option_type", "strike"),
    [
        ("SPY261218C00650000", "SPY", date(2026, 12, 18), OptionType.CALL, "650"),
        ("SPXW261120P06725000", "SPXW", date(2026, 11, 20), OptionType.PUT, "6725"),
        ("BRK/B270115C00450000", "BRK/B", date(2027, 1, 15), OptionType.CALL, "450"),
        ("BRKB270115C00450000", "BRKB", date(2027, 1, 15), OptionType.CALL, "450"),
        ("AAPL1270115P00012500", "AAPL1", date(2027, 1, 15), OptionType.PUT, "12.5"),
        ("F261204C00000625", "F", date(2026, 12, 4), OptionType.CALL, "0.625"),
        ("2SPY261218C00650000", "2SPY", date(2026, 12, 18), OptionType.CALL, "650"),
    ],
)
def test_known_symbols_read_and_write(text: str, root: str, expiry: date, option_type: OptionType, strike: str) -> None:
    contract = OccSymbol.parse(text)
    assert contract == OccSymbol(root, expiry, option_type, Decimal(strike))
    assert str(contract) == text
    assert str(contract.strike) == strike


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SPY",
        "SPY   261218C00650000",
        "SPY261218C0065000",
        "SPY261218X00650000",
        "SPY261318C00650000",
        "SPY260230C00650000",
        "spy261218C00650000",
        "TOOLONG261218C00650000",
        "SPY261218C00000000",
        "/SPY261218C00650000",
        "SPY261218C00650000\n",
        "SPY٢٦1218C00650000",
    ],
)
def test_what_is_not_a_symbol_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        OccSymbol.parse(text)
    assert not is_option_symbol(text)


@pytest.mark.parametrize("strike", ["0", "-1", "100000", "1.0005", "NaN", "Infinity"])
def test_a_strike_that_no_symbol_can_say_is_refused(strike: str) -> None:
    with pytest.raises(InvalidInput):
        OccSymbol("SPY", date(2026, 12, 18), OptionType.CALL, Decimal(strike))


def test_equal_contracts_hash_alike_however_their_strike_was_written() -> None:
    one = OccSymbol("SPY", date(2026, 12, 18), OptionType.CALL, Decimal("650.00"))
    assert {one} == {OccSymbol.parse("SPY261218C00650000")}
