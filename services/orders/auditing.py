"""What a change of settings is told as: limits, the mode and the rest apart, each with before and after.

1. What did not change is not told; a change that changes nothing tells nothing.
2. Nothing here ever sees a token.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from services.orders.preferences import TradingSettings

MODE = frozenset({"broker_mode", "account_id", "signal_mode"})
LIMITS = frozenset(
    {
        "account_balance",
        "max_positions",
        "daily_loss_limit",
        "heat_limit_pct",
        "max_contracts",
        "max_premium",
        "max_spread_pct",
        "collar_pct",
        "max_quote_age_s",
        "no_entry_before_expiry_min",
        "allow_am_settled",
        "allow_non_standard",
    }
)


@dataclass(frozen=True)
class Line:
    """One line of the audit."""

    kind: str
    text: str
    data: dict[str, Any]


def of_settings(before: TradingSettings, after: TradingSettings) -> Iterator[Line]:
    """Tell what a change of settings changed."""
    old, new = _plain(before), _plain(after)
    different = [name for name in new if old[name] != new[name]]
    for kind, names in (
        ("mode_changed", [name for name in different if name in MODE]),
        ("limits_changed", [name for name in different if name in LIMITS]),
        ("settings_changed", [name for name in different if name not in MODE | LIMITS]),
    ):
        if names:
            told = ", ".join(f"{name} from {_worded(old[name])} to {_worded(new[name])}" for name in names)
            data = {"before": {name: old[name] for name in names}, "after": {name: new[name] for name in names}}
            yield Line(kind, told, data)


def _plain(settings: TradingSettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", include=set(TradingSettings.model_fields))


def _worded(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def of_credentials(mode: str, account_id: str, name: str | None, *, verb: str, version: int) -> Line:
    """Tell of a token that was stored, renewed or removed."""
    called = f" ({name})" if name else ""
    data = {"broker_mode": mode, "account_id": account_id, "account_name": name, "version": version}
    return Line(f"credentials_{verb}", f"credentials of {mode} account {account_id}{called} {verb}", data)
