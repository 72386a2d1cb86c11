"""Real monitor processes on real servers; orders is played by the test over the real bus."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from deploy.local.child import Child
from deploy.local.nats import EmbeddedNats
from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.handlers import Context, answers
from libs.common.ids import new_id
from libs.common.messages.base import Envelope, Fact
from libs.common.messages.orders import GetBrokerAccess, ListTracked
from libs.common.streams import Streams
from libs.common.testing import TestDatabase, eventually
from libs.common.vault import Vault, new_key
from tests.integration.chassis.buses import PASSWORD, answering, bus_of
from tests.integration.monitor.house import a_fact
from tests.simulator.process import ROOT, Trader

KEY = new_key()
CALM = {"ORDER_SYNC_S": "60", "HOT_SYNC_S": "60", "PORTFOLIO_SYNC_S": "60"}
"""Nothing but the account stream makes monitor read."""

QUICK = {"ORDER_SYNC_S": "1", "HOT_SYNC_S": "0.3", "PORTFOLIO_SYNC_S": "60", "EVENT_STREAM": "false"}
"""Nothing but the cycles does."""

LIMIT = 4.00
SOLD = 3.90


@answers(GetBrokerAccess)
async def give_access(query: GetBrokerAccess, _: Context, house: Watching) -> dict[str, Any]:
    """Answer as orders does."""
    sealed = Vault(KEY).seal(house.trader.token, "row-1")
    return {"account_id": query.account_id, "broker_mode": "PAPER", "token_ciphertext": sealed, "row_id": "row-1"}


@answers(ListTracked)
async def list_none(_: ListTracked, __: Context, ___: Watching) -> dict[str, Any]:
    """Answer as orders does when nothing is open yet."""
    return {"trades": [], "next_cursor": None}


class Watching:
    """Monitor's processes, the servers they stand on, and one trader at the simulator."""

    def __init__(self, database: TestDatabase, nats: EmbeddedNats, trader: Trader, folder: Path) -> None:
        self.database, self.nats, self.trader, self._folder = database, nats, trader, folder
        self._streams: Streams | None = None

    @asynccontextmanager
    async def playing_orders(self) -> AsyncIterator[None]:
        """Answer and speak as orders until the block ends."""
        async with AsyncExitStack() as stack:
            bus: Bus = await stack.enter_async_context(bus_of(self.nats, "orders"))
            self._streams = Streams(bus, service="orders")
            await self._streams.ensure()
            await stack.enter_async_context(answering(bus, give_access, list_none, deps=self))
            yield

    @contextmanager
    def monitor(self, cadence: dict[str, str], name: str = "monitor") -> Iterator[Child]:
        """Run one process; it is killed when the block ends."""
        parts = urlsplit(self.database.url)
        environment = {
            "PATH": "/usr/bin:/bin",
            "PYTHONPATH": str(ROOT),
            "DATABASE_URL": f"postgresql://{parts.hostname}:{parts.port}{parts.path}",
            "MONITOR_DATABASE_PASSWORD": self.database.passwords["monitor"],
            "NATS_URL": self.nats.address,
            "MONITOR_NATS_PASSWORD": PASSWORD,
            "ENCRYPTION_KEY": KEY,
            "SIMULATOR_URL": str(self.trader.http.base_url).rstrip("/"),
            "STOP_GRACE_S": "1",
            **cadence,
        }
        command = [sys.executable, "-m", "services.monitor"]
        child = Child.spawn(name, command, log=self._folder / f"{name}.log", env=environment, cwd=ROOT)
        try:
            yield child
        finally:
            child.kill()

    async def say(self, fact: Fact) -> None:
        """Publish a fact as orders' relay would."""
        assert self._streams is not None
        envelope = Envelope(
            id=new_id(),
            user="ann",
            key=fact.key,
            key_version=getattr(fact, "key_version", 1),
            occurred_at=SystemClock().now(),
            correlation_id=new_id(),
        )
        await self._streams.publish(type(fact).subject("ann"), envelope.encode(fact), envelope.id)

    async def placed(self) -> str:
        """Place a limit entry at the broker and say so as orders would; returns the broker's order id."""
        occ_symbol = self.trader.contract()
        self.trader.control("price", symbol=occ_symbol, price=LIMIT + 1)
        form = {
            "class": "option",
            "symbol": "SPY",
            "option_symbol": occ_symbol,
            "side": "buy_to_open",
            "quantity": 2,
            "type": "limit",
            "price": LIMIT,
            "duration": "day",
            "tag": "bk-entry",
        }
        order_id = str(self.trader.place(form))
        order = {"role": "ENTRY", "status": "WORKING", "tag": "bk-entry", "broker_order_id": order_id, "qty": 2}
        await self.say(a_fact(account_id=self.trader.account, occ_symbol=occ_symbol, orders=[order]))
        self._occ_symbol = occ_symbol
        return order_id

    def fill(self) -> None:
        """Let the market come to the entry."""
        self.trader.control("price", symbol=self._occ_symbol, price=SOLD)

    async def told(self, order_id: str, status: str = "FILLED") -> list[Any]:
        """List the facts of one order that say a status."""
        async with self.database.admin() as admin:
            return list(
                await admin.fetch(
                    """
                    select key_version, published_at from monitor.outbox
                    where key = $1 and subject = 'evt.ann.monitor.order_changed' and data::jsonb @> $2::jsonb
                    """,
                    f"PAPER:{self.trader.account}:{order_id}",
                    f'{{"status": "{status}"}}',
                )
            )

    async def account(self) -> Any:
        """Read what monitor keeps of the account."""
        async with self.database.admin() as admin:
            return await admin.fetchrow("select * from monitor.accounts")

    async def has_read(self) -> bool:
        """Say whether monitor has read the account's orders."""
        found = await self.account()
        return found is not None and found["orders_synced_at"] is not None

    async def follows(self) -> bool:
        """Say whether the account stream is open and what came before it was read."""
        requests = self.requests("events/session")
        return bool(requests) and await self.has_read() and (await self.account())["hints"] >= 2

    def requests(self, path: str) -> list[Any]:
        """List the account's requests at the simulator whose path ends so."""
        found = self.trader.http.get("/_control/requests").json()
        return [
            one for one in found if one["path"].endswith(path) and one.get("account") in (None, self.trader.account)
        ]

    async def eventually_told(self, order_id: str, within_s: float) -> list[Any]:
        """Wait for the fact of the fill."""
        return list(await eventually(lambda: self.told(order_id), within_s))
