"""What contracts turn into without an order is recognised by size and series, by nothing else."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.market import conversions

OCC = "AAPL261218C00277500"


@pytest.mark.parametrize(
    ("there", "qty", "expected"),
    [
        ("AAPL1261218C00277500", 3, "AAPL1261218C00277500"),
        ("AAPL2261218C00138750", 3, "AAPL2261218C00138750"),
        ("AAPL1261218C00277500", 2, None),
        ("AAP1261218C00277500", 3, None),
        ("AAPL", 3, None),
        (OCC, 3, None),
    ],
)
def test_as_many_of_an_adjusted_series_took_their_place(there: str, qty: int, expected: str | None) -> None:
    assert conversions.successor_of(OCC, Decimal(3), {there: Decimal(qty)}) == expected


def test_what_replaces_an_adjusted_contract_may_be_the_plain_one() -> None:
    positions = {"AAPL261218C00277500": Decimal(3)}
    assert conversions.successor_of("AAPL1261218C00277500", Decimal(3), positions) == OCC


@pytest.mark.parametrize(("shares", "expected"), [(300, True), (-300, True), (299, False), (0, False)])
def test_shares_stand_for_exercised_contracts(shares: int, expected: bool) -> None:
    assert conversions.is_exercised("AAPL", Decimal(3), {"AAPL": Decimal(shares)}) is expected
