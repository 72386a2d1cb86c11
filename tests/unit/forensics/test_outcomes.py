"""A closed trade into its outcome."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from libs.common.messages.trade import TradeRow
from services.forensics.outcomes import outcome_of

AT = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def a_trade(**changes: Any) -> TradeRow:
    values = {
        "id": "t1",
        "username": "ann",
        "account_id": "VA1",
        "broker_mode": "PAPER",
        "ticker": "SPY",
        "occ_symbol": "SPY261218C00650000",
        "option_type": "CALL",
        "strike": Decimal(650),
        "expiry": date(2026, 12, 18),
        "multiplier": 100,
        "qty": 2,
        "filled_qty": 2,
        "entry_price": Decimal("4.20"),
        "entry_date": AT,
        "status": "CLOSED",
        "protection": "NONE",
        "close_price": Decimal("6.00"),
        "close_date": AT,
        "close_reason": "TP_HIT",
        "realized_pnl": Decimal("360.00"),
        "version": 3,
        "key_version": 7,
    }
    return TradeRow.model_validate(values | changes)


def test_a_closed_trade_has_one_outcome_however_often_it_is_fed() -> None:
    outcome = outcome_of(a_trade())
    assert outcome is not None
    assert (outcome.was_held, outcome.realized_pnl, outcome.close_reason) == (True, Decimal("360.00"), "TP_HIT")
    assert outcome_of(a_trade()) == outcome


def test_an_open_trade_has_none() -> None:
    assert outcome_of(a_trade(status="FILLED", close_date=None, close_reason=None)) is None


def test_a_trade_that_held_nothing_has_no_result() -> None:
    outcome = outcome_of(a_trade(filled_qty=0, close_reason="REJECTED", realized_pnl=None, close_price=None))
    assert outcome is not None
    assert (outcome.was_held, outcome.realized_pnl, outcome.entry_price) == (False, None, None)


def test_a_trade_that_its_demo_venue_forgot_counts_in_no_statistic() -> None:
    wiped = outcome_of(a_trade(reason="SANDBOX_WIPE", trigger_precision="ESTIMATED", close_reason="CLOSED_AT_BROKER"))
    assert wiped is not None
    assert (wiped.was_held, wiped.realized_pnl) == (False, None)
