"""What monitor is told by its environment."""

from __future__ import annotations

from pydantic import Field

from libs.broker.breaker import BreakerSettings
from libs.broker.budget_settings import BudgetSettings
from libs.broker.venue_settings import VenueSettings


class Settings(BudgetSettings, BreakerSettings, VenueSettings):
    """Cadences in real seconds; addresses of the brokers by mode."""

    tradier_stream_url: str | None = Field(
        default=None,
        description="instead of the address that Tradier names for its account stream (the simulator names its own)",
    )
    order_sync_s: float = Field(default=60.0, gt=0, description="how often an account's orders are read")
    hot_sync_s: float = Field(default=5.0, gt=0, description="the same while something is about to happen")
    idle_sync_s: float = Field(default=600.0, gt=0, description="the same where nothing of ours lives any more")
    portfolio_sync_s: float = Field(default=30.0, gt=0, description="how often balances and positions are read")
    look_s: float = Field(default=60.0, gt=0, description="how often an account is compared in full with our trades")
    position_lag_s: float = Field(
        default=10.0, ge=0, description="how long a trade's row must rest before positions are held against it"
    )
    repair_ask_s: float = Field(default=60.0, gt=0, description="how often a repair is asked for while it is needed")
    hint_delay_s: float = Field(default=0.02, ge=0, description="how long hints of one burst are gathered")
    calm_hint_delay_s: float = Field(
        default=0.25, ge=0, description="how long a hint of an order that only rests or was cancelled waits for more"
    )
    asks_per_cycle: int = Field(default=10, ge=1, description="most orders asked by id in one cycle")
    event_stream: bool = Field(default=True, description="follow the broker's account stream where there is one")
    force_market_open: bool = Field(default=False, description="poll outside the session too")
