"""The one place that knows which host a mode means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.budget import UNLIMITED, Budget
from libs.broker.tradier import TradierBroker
from libs.broker.tradier_session import Deadlines, TradierSession
from libs.common.errors import InvalidInput
from libs.common.http import HttpClient


@dataclass(frozen=True, slots=True)
class BrokerFactory:
    """Makes brokers over one shared pool of connections. Cheap to call: a broker holds no connection of its own."""

    http: HttpClient
    base_urls: Mapping[BrokerMode, str]
    """With `/v1`. A mode without an address is not offered."""
    budget: Budget = UNLIMITED
    deadlines: Deadlines = field(default_factory=Deadlines)
    live_enabled: bool = False
    stream_urls: Mapping[BrokerMode, str] = field(default_factory=dict)
    """Of a mode whose account stream is elsewhere than the broker says."""

    def get_broker(self, mode: BrokerMode, account_id: str, token: str) -> BrokerProvider:
        """Return an account at a venue. Raises: InvalidInput when the mode has no address."""
        base_url = self.base_urls.get(mode)
        if not base_url:
            raise InvalidInput(f"{mode} is not available on this installation")
        session = TradierSession.open(
            self.http,
            base_url=with_version(base_url),
            token=token,
            budget=self.budget,
            deadlines=self.deadlines,
            stream_url=self.stream_urls.get(mode),
        )
        return TradierBroker(session, mode=mode, account_id=account_id, live_enabled=self.live_enabled)


def with_version(base_url: str) -> str:
    """Return an address that ends in `/v1`, as given or with it added."""
    trimmed = base_url.rstrip("/")
    return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"
