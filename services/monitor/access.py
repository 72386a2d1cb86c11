"""Brokers by account: tokens asked of orders as ciphertext, opened in memory, kept for a moment."""

from __future__ import annotations

from dataclasses import dataclass

from libs.broker.base import BrokerProvider, Priority
from libs.broker.factory import BrokerFactory
from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.errors import UpstreamUnavailable
from libs.common.messages.orders import GetBrokerAccess
from libs.common.vault import Vault
from services.monitor.store_accounts import Account

KEEP_S = 60.0
"""How long a token is kept: a renewed one is noticed after this at the latest, by any replica."""

ASK_AGAIN_S = 10.0
"""How long a kept token goes on while orders does not answer, before it is asked again."""


@dataclass(frozen=True)
class _Kept:
    broker: BrokerProvider
    until: float


class Access:
    """Hands out a broker per account. While the bus is away the kept one goes on, so that watching does."""

    def __init__(self, bus: Bus, factory: BrokerFactory, vault: Vault, clock: Clock) -> None:
        self._bus, self._factory, self._vault, self._clock = bus, factory, vault, clock
        self._kept: dict[str, _Kept] = {}

    async def broker(self, account: Account) -> BrokerProvider:
        """Return the account's broker, speaking with the priority of background reads.

        Raises: NotFound without credentials, InvariantBroken when our key does not open them, UpstreamUnavailable when
        orders cannot be asked and nothing is kept.
        """
        kept = self._kept.get(account.account_key)
        if kept is not None and (kept.until > self._clock.monotonic() or not self._bus.connected):
            return kept.broker
        question = GetBrokerAccess(broker_mode=account.broker_mode, account_id=account.account_id)
        try:
            answer = (await self._bus.ask(question, user=account.username)).json()
        except UpstreamUnavailable:
            if kept is None:
                raise
            # orders is away, not the broker: watching goes on with the token it had.
            self._kept[account.account_key] = _Kept(kept.broker, self._clock.monotonic() + ASK_AGAIN_S)
            return kept.broker
        token = self._vault.open(answer["token_ciphertext"], answer["row_id"])
        broker = self._factory.get_broker(account.broker_mode, account.account_id, token).with_priority(Priority.POLL)
        self._kept[account.account_key] = _Kept(broker, self._clock.monotonic() + KEEP_S)
        return broker

    def forget(self, account_key: str) -> None:
        """Drop what is kept of an account."""
        self._kept.pop(account_key, None)
