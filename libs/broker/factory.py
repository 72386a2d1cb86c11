"""The one place that knows which host a mode means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.breaker import Breakers
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
    """Whether orders with real money may be sent; only orders may, whatever somebody else tries."""
    stream_urls: Mapping[BrokerMode, str] = field(default_factory=dict)
    """Of a mode whose account stream is elsewhere than the broker says."""
    breakers: Breakers | None = None
    own_time: dict[BrokerMode, bool] = field(default_factory=lambda: {BrokerMode.PAPER: True})
    """Which modes' venues keep a time of their own, as far as they were asked."""

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
            # Who only asks whose token this is names no account yet, and must not be stopped for another's trouble.
            breaker=self.breakers.breaker(base_url, account_id) if self.breakers and account_id else None,
        )
        return TradierBroker(
            session, mode=mode, account_id=account_id, live_enabled=self.live_enabled, own_time=self.own_time
        )

    def paused_until(self, mode: BrokerMode, account_id: str) -> datetime | None:
        """Tell until when an account's entries are refused because its broker does not answer; None: they are not."""
        base_url = self.base_urls.get(mode)
        return self.breakers.paused_until(base_url, account_id) if self.breakers and base_url else None


def with_version(base_url: str) -> str:
    """Return an address that ends in `/v1`, as given or with it added."""
    trimmed = base_url.rstrip("/")
    return trimmed if trimmed.endswith("/v1") else f"{trimmed}/v1"
