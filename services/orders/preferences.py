"""The trading part of a user's settings: values, defaults, and what a change may be."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from libs.common.errors import InvalidInput
from libs.common.messages.vocabulary import BrokerMode
from services.orders.trade import NakedPolicy, Policy

Usd = Annotated[Decimal, Field(ge=0, le=Decimal(1_000_000_000), max_digits=14, decimal_places=2)]
Percent = Annotated[Decimal, Field(gt=0, le=1000, max_digits=8, decimal_places=2)]


class TradingSettings(BaseModel):
    """What orders obeys. Units: USD, percent, seconds and minutes as named; null means no limit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker_mode: BrokerMode = BrokerMode.PAPER
    account_id: str | None = Field(default=None, max_length=32)
    account_balance: Usd = Decimal("5000.00")
    max_positions: int = Field(default=5, ge=1, le=10_000)
    daily_loss_limit: Usd = Decimal("150.00")
    heat_limit_pct: Percent = Decimal("6.0")
    max_contracts: int | None = Field(default=None, ge=1, le=1000)
    max_premium: Usd | None = None
    max_spread_pct: Percent | None = None
    collar_pct: Percent | None = None
    max_quote_age_s: int | None = Field(default=None, ge=1, le=86_400)
    naked_policy: NakedPolicy = NakedPolicy.REPAIR
    signal_mode: Literal["auto", "review", "off"] = "review"
    expiry_flatten_min: int = Field(default=30, ge=0, le=390)
    no_entry_before_expiry_min: int = Field(default=60, ge=0, le=100_000)
    repair_delay_s: int = Field(default=60, ge=0, le=3600)
    partial_entry_grace_s: int = Field(default=5, ge=0, le=300)
    stop_limit_offset: Annotated[Decimal, Field(gt=0, le=100, decimal_places=2)] | None = None
    allow_am_settled: bool = False
    allow_non_standard: bool = False
    otoco: Literal["off", "limit_entries"] = "off"

    def policy(self) -> Policy:
        """Return the part that a running trade obeys."""
        return Policy(
            naked_policy=self.naked_policy,
            partial_entry_grace_s=Decimal(self.partial_entry_grace_s),
            repair_delay_s=Decimal(self.repair_delay_s),
            stop_limit_offset=self.stop_limit_offset,
            expiry_flatten_min=self.expiry_flatten_min,
        )


def changed(settings: TradingSettings, changes: dict[str, Any], *, confirm: str | None) -> TradingSettings:
    """Apply a subset of changes. Raises: InvalidInput naming the field and what is wrong with it.

    Another mode forgets the account unless one is named with it; to LIVE needs `confirm: "LIVE"` and sets review, and
    so does, in LIVE, letting signals trade by themselves.
    """
    values = settings.model_dump() | changes
    mode = changes.get("broker_mode", settings.broker_mode)
    is_confirmed = confirm == "LIVE"
    if mode != settings.broker_mode:
        values["account_id"] = changes.get("account_id")
        if mode == BrokerMode.TRADIER_LIVE:
            if not is_confirmed:
                raise InvalidInput('switching to TRADIER_LIVE needs confirm: "LIVE"')
            values["signal_mode"] = "review"
    elif (
        mode == BrokerMode.TRADIER_LIVE and values["signal_mode"] == "auto" != settings.signal_mode and not is_confirmed
    ):
        raise InvalidInput('signals that trade real money by themselves need confirm: "LIVE"')
    try:
        wanted = TradingSettings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "settings"
        raise InvalidInput(f"{where}: {first['msg'].lower()}") from None
    _refuse_contradictions(wanted, changes)
    return wanted


def _refuse_contradictions(settings: TradingSettings, changes: dict[str, Any]) -> None:
    """Refuse limits that no trade could pass, or that let through what others forbid. Raises: InvalidInput.

    Only those that a change touches: what was stored before such a rule existed goes on, and can be mended bit by bit.
    """
    balance, loss = settings.account_balance, settings.daily_loss_limit
    flatten_min, no_entry_min = settings.expiry_flatten_min, settings.no_entry_before_expiry_min
    rules: tuple[tuple[set[str], bool, str], ...] = (
        ({"account_balance"}, balance > 0, "account_balance must be above 0"),
        (
            {"heat_limit_pct"},
            settings.heat_limit_pct <= 100,
            f"heat_limit_pct must be at most 100, was {settings.heat_limit_pct}: no account can lose more than it has",
        ),
        (
            {"daily_loss_limit"},
            loss <= balance,
            f"daily_loss_limit must be at most account_balance {balance}, was {loss}",
        ),
        (
            {"max_premium"},
            settings.max_premium is None or settings.max_premium > 0,
            "max_premium must be above 0; null means no limit",
        ),
        (
            {"max_spread_pct"},
            settings.max_spread_pct is None or settings.max_spread_pct <= 200,
            f"max_spread_pct must be at most 200, was {settings.max_spread_pct}: no spread is wider than that",
        ),
        (
            {"expiry_flatten_min", "no_entry_before_expiry_min"},
            flatten_min <= no_entry_min,
            f"no_entry_before_expiry_min must be at least expiry_flatten_min {flatten_min}, was {no_entry_min}: "
            "what is bought later is sold again at once",
        ),
    )
    for fields, holds, words in rules:
        if fields & changes.keys() and not holds:
            raise InvalidInput(words)
