"""Settings that nobody can mean, or that contradict each other, are refused in words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.errors import InvalidInput
from services.orders.preferences import TradingSettings, changed


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"account_balance": "0"}, "account_balance must be above 0"),
        ({"account_balance": "-1"}, "account_balance: input should be greater than or equal to 0"),
        ({"account_balance": "NaN"}, "account_balance: input should be a finite number"),
        ({"account_balance": "1e20"}, "account_balance: "),
        ({"daily_loss_limit": "5000.01"}, "daily_loss_limit must be at most account_balance 5000.00, was 5000.01"),
        (
            {"account_balance": "100", "daily_loss_limit": "101"},
            "daily_loss_limit must be at most account_balance 100, was 101",
        ),
        ({"daily_loss_limit": "-5"}, "daily_loss_limit: input should be greater than or equal to 0"),
        ({"heat_limit_pct": "101"}, "heat_limit_pct must be at most 100, was 101"),
        ({"heat_limit_pct": "0"}, "heat_limit_pct: input should be greater than 0"),
        ({"max_positions": 0}, "max_positions: input should be greater than or equal to 1"),
        ({"max_positions": 10_001}, "max_positions: input should be less than or equal to 10000"),
        ({"max_contracts": -1}, "max_contracts: input should be greater than or equal to 1"),
        ({"max_premium": "0"}, "max_premium must be above 0; null means no limit"),
        ({"max_spread_pct": "201"}, "max_spread_pct must be at most 200, was 201"),
        ({"max_quote_age_s": 0}, "max_quote_age_s: input should be greater than or equal to 1"),
        (
            {"no_entry_before_expiry_min": 10},
            "no_entry_before_expiry_min must be at least expiry_flatten_min 30, was 10: what is bought later is sold",
        ),
        ({"expiry_flatten_min": 61}, "no_entry_before_expiry_min must be at least expiry_flatten_min 61, was 60"),
        ({"limits": "none"}, "limits: extra inputs are not permitted"),
    ],
)
def test_absurd_and_contradictory_limits_are_refused_by_name(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        changed(TradingSettings(), changes, confirm=None)
    assert words in caught.value.detail


def test_limits_that_go_together_may_be_changed_together() -> None:
    wanted = changed(TradingSettings(), {"account_balance": "100", "daily_loss_limit": "0"}, confirm=None)
    assert (wanted.account_balance, wanted.daily_loss_limit) == (Decimal(100), Decimal(0))
    late = changed(TradingSettings(), {"expiry_flatten_min": 0, "no_entry_before_expiry_min": 0}, confirm=None)
    assert late.no_entry_before_expiry_min == 0


def test_what_was_stored_before_a_rule_existed_does_not_stop_other_changes() -> None:
    old = TradingSettings(heat_limit_pct=Decimal(300))
    assert changed(old, {"max_positions": 9}, confirm=None).max_positions == 9
