"""What orders' handlers, flows and jobs stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from libs.broker.base import BrokerProvider, Priority
from libs.broker.factory import BrokerFactory
from libs.common import log
from libs.common.beats import Beats
from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import AppError, InvariantBroken, UpstreamAuth
from libs.common.knocks import Knocks
from libs.common.messages.vocabulary import BrokerMode
from libs.common.vault import Vault
from services.orders import store, store_contract, store_evidence
from services.orders.contract import Beside
from services.orders.evidence import Known
from services.orders.news import News
from services.orders.settings import Settings
from services.orders.steps import Moment
from services.orders.store import Loaded
from services.orders.trade import View
from services.orders.watching import Watches

_log = log.get(__name__)


def account_key(mode: BrokerMode, account_id: str) -> str:
    """Name an account of a venue; also the row its token is sealed for."""
    return f"{mode}:{account_id}"


@dataclass(frozen=True)
class Deps:
    """One process's connections and settings. `tasks` outlives any request, and ends before the process does."""

    db: Database
    bus: Bus
    clock: Clock
    beats: Beats
    settings: Settings
    factory: BrokerFactory
    vault: Vault
    news: News
    tasks: asyncio.TaskGroup
    watches: Watches = field(default_factory=Watches)
    answering: set[tuple[str, str]] = field(default_factory=set)
    """Users and keys of the stored requests that this process is answering now."""
    arrivals: Knocks = field(default_factory=lambda: Knocks(window_s=60.0))
    """How often each bot, and each user's bots, came to this process."""
    letters: Knocks = field(default_factory=lambda: Knocks(window_s=60.0))
    """How many unreadable signals of each user this process put aside."""

    def broker(
        self, mode: BrokerMode, account_id: str, ciphertext: str, priority: Priority = Priority.ENTRY
    ) -> BrokerProvider:
        """Return an account at its venue; its token is opened in memory for this use only. Raises: UpstreamAuth."""
        token = self.opened(ciphertext, account_key(mode, account_id))
        return self.factory.get_broker(mode, account_id, token).with_priority(priority)

    def opened(self, ciphertext: str, key: str) -> str:
        """Return an account's token. Raises: UpstreamAuth when it was sealed with a key that we were not given."""
        try:
            return self.vault.open(ciphertext, key)
        except InvariantBroken as error:
            _log.error("token_unreadable", account=key, detail=error.detail)
            words = f"the stored token of {key} cannot be opened with this installation's keys; enter it again"
            raise UpstreamAuth(words) from None

    def broker_of(self, loaded: Loaded, priority: Priority) -> BrokerProvider:
        """Return the account a trade is pinned to. Raises: UpstreamAuth when its credentials are gone."""
        trade = loaded.view.trade
        if loaded.token_ciphertext is None:
            raise UpstreamAuth(f"there are no credentials for account {trade.account_id}")
        return self.broker(trade.broker_mode, trade.account_id, loaded.token_ciphertext, priority)

    async def known(self, view: View, since: datetime) -> Known:
        """Read what we know of a trade's account. Time: `since` is the venue's."""
        async with self.db.for_user(view.trade.username) as unit:
            return await store_evidence.known(unit, view, since)

    def moment(self, loaded: Loaded) -> Moment:
        """Return now, by the database, with our waits."""
        return Moment(loaded.now, self.settings.order_waits, news_away=self.news.is_away)

    async def look(self, view: View) -> View:
        """Read a trade as it is now."""
        async with self.db.for_user(view.trade.username) as unit:
            return (await store.read_view(unit, view.trade.id)).view

    async def beside(self, view: View) -> Beside:
        """Read what the account has in the trade's contract besides it."""
        async with self.db.for_user(view.trade.username) as unit:
            return await store_contract.beside(unit, view.trade)

    def spawn(self, work: Coroutine[Any, Any, Any], view: View) -> asyncio.Task[Any]:
        """Carry on beyond the request; what fails is stored state, so recovery goes on from there."""
        task = self.tasks.create_task(_logged(work, view.trade.id))
        # One that is cancelled before it began would leave its work never awaited.
        task.add_done_callback(lambda _: work.close())
        return task


async def _logged(work: Coroutine[Any, Any, Any], trade_id: str) -> Any:
    try:
        return await work
    except AppError as error:
        _log.warning("flow_interrupted", trade_id=trade_id, code=error.code, detail=error.detail)
    except Exception:  # noqa: BLE001 - the edge of flows: recovery continues from what is stored
        _log.exception("flow_failed", trade_id=trade_id)
