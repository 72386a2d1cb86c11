"""Settings and credentials over HTTP. The trading part is orders' own, the display part the gateway's."""

from __future__ import annotations

from datetime import datetime, time
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from libs.common.messages.vocabulary import BrokerMode
from services.gateway.models_base import AccountId, AmountIn, Answer, Body, PriceIn, Text


class NakedPolicy(StrEnum):
    """What happens to a position without its exits."""

    REPAIR = "repair"
    FLATTEN = "flatten"
    ALERT = "alert"


class SignalMode(StrEnum):
    """What happens to a signal."""

    AUTO = "auto"
    REVIEW = "review"
    OFF = "off"


class Otoco(StrEnum):
    """When the entry and its exits go as one order."""

    OFF = "off"
    LIMIT_ENTRIES = "limit_entries"


class Channel(StrEnum):
    """Where notifications go beside the inbox."""

    PAGE = "page"
    DESKTOP = "desktop"


class QuietHours(Body):
    """When sounds and channels are silent, in a time zone of the user's."""

    start: time
    end: time
    zone: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_+/-]{0,63}$")] = "America/New_York"


Percent = Annotated[Decimal, Field(ge=0, le=1000, max_digits=10, decimal_places=4)]
Count = Annotated[int, Field(ge=0, le=100_000)]
Seconds = Annotated[int, Field(ge=0, le=86_400)]
Minutes = Annotated[int, Field(ge=0, le=1440)]

DISPLAY_FIELDS = frozenset({"auto_refresh", "sounds", "channels", "quiet_hours"})
"""What the gateway keeps; everything else is orders'."""
NULLABLE = frozenset(
    {
        "account_id", "max_contracts", "max_premium", "max_spread_pct", "collar_pct", "max_quote_age_s",
        "stop_limit_offset", "quiet_hours", "confirm",
    }
)  # fmt: skip
"""The settings for which null is a value (no limit, none); for the others it is refused."""


class SettingsBody(Body):
    """Any subset of the settings. `confirm` is "LIVE" when `broker_mode` becomes TRADIER_LIVE."""

    broker_mode: BrokerMode | None = None
    account_id: AccountId | None = None
    account_balance: AmountIn | None = None
    max_positions: Count | None = None
    daily_loss_limit: AmountIn | None = None
    heat_limit_pct: Percent | None = None
    max_contracts: Count | None = None
    max_premium: AmountIn | None = None
    max_spread_pct: Percent | None = None
    collar_pct: Percent | None = None
    max_quote_age_s: Seconds | None = None
    naked_policy: NakedPolicy | None = None
    signal_mode: SignalMode | None = None
    expiry_flatten_min: Minutes | None = None
    no_entry_before_expiry_min: Minutes | None = None
    repair_delay_s: Seconds | None = None
    partial_entry_grace_s: Seconds | None = None
    stop_limit_offset: PriceIn | None = None
    allow_am_settled: bool | None = None
    allow_non_standard: bool | None = None
    otoco: Otoco | None = None
    auto_refresh: bool | None = None
    sounds: bool | None = None
    channels: Annotated[list[Channel], Field(max_length=8)] | None = None
    quiet_hours: QuietHours | None = None
    confirm: Annotated[str, StringConstraints(max_length=16)] | None = None

    @model_validator(mode="after")
    def nulls_are_values(self) -> Self:
        """Refuse null where it means nothing, instead of taking it for "left out"."""
        for name in sorted(self.model_fields_set - NULLABLE):
            if getattr(self, name) is None:
                message = f"{name} cannot be null"
                raise ValueError(message)
        return self


class Settings(Answer):
    """The whole document."""

    broker_mode: BrokerMode
    account_id: str | None
    account_balance: Decimal
    max_positions: int
    daily_loss_limit: Decimal
    heat_limit_pct: Decimal
    max_contracts: int | None
    max_premium: Decimal | None
    max_spread_pct: Decimal | None
    collar_pct: Decimal | None
    max_quote_age_s: Decimal | int | None
    naked_policy: NakedPolicy
    signal_mode: SignalMode
    expiry_flatten_min: int
    no_entry_before_expiry_min: int
    repair_delay_s: Decimal | int
    partial_entry_grace_s: Decimal | int
    stop_limit_offset: Decimal | None
    allow_am_settled: bool
    allow_non_standard: bool
    otoco: Otoco
    auto_refresh: bool
    sounds: bool
    channels: list[Channel]
    quiet_hours: QuietHours | None
    created_at: datetime
    updated_at: datetime


class CredentialsBody(Body):
    """A broker token to keep. It is never shown again; LIVE needs `confirm`."""

    broker_mode: BrokerMode
    account_id: AccountId
    account_name: Text | None = None
    token: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,500}$")] = Field(repr=False)
    confirm: Literal["LIVE"] | None = None


class TestBody(Body):
    """A token to try, or the stored one when left out. The body that would store it is taken as it is."""

    __test__ = False

    broker_mode: BrokerMode
    account_id: AccountId
    account_name: Text | None = None
    token: Annotated[str, StringConstraints(pattern=r"^[!-~]{1,500}$")] | None = Field(default=None, repr=False)
    confirm: Literal["LIVE"] | None = None


class Credentials(Answer):
    """An account whose token is kept."""

    broker_mode: BrokerMode
    account_id: str
    account_name: str | None = None


class CredentialsTest(Answer):
    """What the broker said to the token."""

    ok: bool
    broker_mode: BrokerMode
    account_id: str
    detail: str | None = None
