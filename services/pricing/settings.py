"""What pricing is told by its environment."""

from __future__ import annotations

from pydantic import Field, SecretStr

from libs.broker.budget_settings import BudgetSettings


class Settings(BudgetSettings):
    """Cadences in real seconds; where quotes come from."""

    orats_url: str = Field(default="https://api.orats.io/datav2", description="ORATS, with /datav2")
    orats_token: SecretStr = Field(default=SecretStr(""), description="ORATS key; travels in the query, never in logs")
    orats_requests_per_min: int = Field(default=900, ge=1, description="most ORATS requests a minute (plan: 1,000)")
    orats_parallel: int = Field(default=16, ge=1, description="most ORATS requests at once")
    orats_deadline_s: float = Field(default=8.0, gt=0, description="how long one ORATS request may take")
    tradier_market_url: str = Field(
        default="https://api.tradier.com", description="Tradier's market data, used where there is no ORATS key"
    )
    tradier_market_token: SecretStr = Field(
        default=SecretStr(""), description="token for market data only; no user's token is used for it"
    )
    tradier_market_requests_per_min: int = Field(
        default=100, ge=1, description="most market data requests a minute (Tradier: 120)"
    )
    simulator_url: str | None = Field(
        default=None, description="the bundled market; when set, sessions follow its clock"
    )
    snapshot_s: float = Field(default=40.0, gt=0, description="how often contracts in use are quoted")
    chain_keep_s: float = Field(default=5.0, gt=0, description="how long a chain counts as fresh")
    expirations_keep_s: float = Field(default=3600.0, gt=0, description="how long a list of expiries counts as fresh")
    chain_deadline_s: float = Field(default=4.0, gt=0, description="how long a ticket waits for a fresh chain")
    force_market_open: bool = Field(default=False, description="poll outside the session too")
