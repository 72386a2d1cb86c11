"""What a service that reaches users' accounts is told: where each mode is, and the keys to the stored tokens."""

from __future__ import annotations

from pydantic import Field, SecretStr, field_validator

from libs.common.config import BaseServiceSettings
from libs.common.messages.vocabulary import BrokerMode
from libs.common.vault import Vault

OFF = "off"


class VenueSettings(BaseServiceSettings):
    """Addresses without `/v1`. A mode without one is not offered."""

    encryption_key: SecretStr = Field(description="Fernet keys, comma-separated; the first encrypts")
    simulator_url: str | None = Field(default=None, description="the bundled broker for PAPER; unset: no PAPER mode")
    tradier_sandbox_url: str = Field(
        default="https://sandbox.tradier.com", description="Tradier's paper environment, without /v1; off: not offered"
    )
    tradier_live_url: str = Field(
        default="https://api.tradier.com", description="Tradier, without /v1; off: no real money on this installation"
    )

    @field_validator("encryption_key")
    @classmethod
    def is_made_of_keys(cls, value: SecretStr) -> SecretStr:
        """Refuse what no vault could be opened with, without repeating it."""
        try:
            Vault(value.get_secret_value())
        except ValueError:
            message = "not Fernet keys: each is 32 random bytes in URL-safe base64, 44 characters"
            raise ValueError(message) from None
        return value

    @property
    def base_urls(self) -> dict[BrokerMode, str]:
        """Return the broker's address of each mode that is offered."""
        urls = {
            BrokerMode.PAPER: self.simulator_url,
            BrokerMode.TRADIER_SANDBOX: self.tradier_sandbox_url,
            BrokerMode.TRADIER_LIVE: self.tradier_live_url,
        }
        return {mode: url for mode, url in urls.items() if url and url.lower() != OFF}
