"""What a service that asks brokers is told about the request budget."""

from __future__ import annotations

from pydantic import Field

from libs.broker.budget import RateClass
from libs.broker.budget_window import Limits
from libs.common.config import BaseServiceSettings


class BudgetSettings(BaseServiceSettings):
    """Allowances a minute until the broker has said its own. Of each, 5 of 6 are used."""

    budget_shared: bool = Field(
        default=True, description="count broker requests with all processes, over the bus; else each for itself"
    )
    budget_trading_per_min: int = Field(
        default=60, ge=1, description="orders and cancels a minute that a broker allows a token, until it says itself"
    )
    budget_standard_per_min: int = Field(default=60, ge=1, description="the same for reads of accounts and orders")
    budget_market_per_min: int = Field(default=60, ge=1, description="the same for market data")
    budget_reserve: int = Field(
        default=20, ge=0, description="requests a minute that entries and background reads leave to exits"
    )

    @property
    def limits(self) -> Limits:
        """Return how much of a window is whose."""
        assumed = {
            RateClass.TRADING: self.budget_trading_per_min,
            RateClass.STANDARD: self.budget_standard_per_min,
            RateClass.MARKET: self.budget_market_per_min,
        }
        return Limits(assumed, self.budget_reserve)
