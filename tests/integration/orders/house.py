"""Orders' dependencies on a real database and the real simulator; the bus is the test's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, cast

import asyncpg
import orjson
import pytest

from libs.broker.base import BrokerMode as Venue
from libs.broker.breaker import Breakers
from libs.broker.budget import UNLIMITED, Budget
from libs.broker.factory import BrokerFactory
from libs.common.beats import Beats, NoBeats
from libs.common.bus import Bus
from libs.common.clock import Clock, SystemClock
from libs.common.config import load
from libs.common.db import Database
from libs.common.handlers import Context, Reply
from libs.common.http import HttpClient
from libs.common.ids import new_id
from libs.common.jobs import JobRunner
from libs.common.messages.base import Command
from libs.common.messages.orders import (
    AdjustTrade,
    CloseTrade,
    Entry,
    PlaceTrade,
    RepairTrade,
    ResolveTrade,
    WithdrawTrade,
)
from libs.common.messages.vocabulary import TERMINAL_ORDERS, BrokerMode, EntryType, Finding, OptionType
from libs.common.testing import FakeBus, TestDatabase, eventually
from libs.common.vault import Vault, new_key
from libs.market.options import OccSymbol
from services.orders import (
    expiry,
    fees,
    handlers_actions,
    handlers_place,
    handlers_repairs,
    handlers_resolve,
    handlers_signals,
    kills,
    recovery,
    stops,
    store_accounts,
)
from services.orders.accounts import settled_in
from services.orders.deps import Deps
from services.orders.news import News
from services.orders.settings import Settings
from services.orders.steps import Waits
from tests.integration.orders import keeping
from tests.integration.orders.outside import Sim

QUICK = Waits(
    settle_s=0.1,
    look_every_s=0.1,
    look_gap_entry_s=0.4,
    look_gap_exit_s=0.2,
    recancel_s=1.0,
    cancel_alarm_s=1.0,
    naked_alarm_s=1.0,
    partial_exit_grace_s=0.3,
    orphan_grace_s=0.5,
    away_read_s=0.2,
    stop_limit_grace_s=0.6,
    stop_look_s=0.2,
    retry_first_s=0.05,
    retry_last_s=0.5,
    close_retry_s=1.0,
    inventory_look_s=0.5,
    queue_settle_s=0.2,
    queue_poll_s=0.1,
    expiry_look_s=0.2,
    fees_look_s=0.2,
    settling_read_s=0.2,
    settling_last_s=0.4,
    kill_look_s=0.2,
    kill_soon_s=0.1,
    kill_idle_s=0.2,
    kill_list_s=0.5,
)
EITHER_WAY = pytest.mark.parametrize("otoco", ["off", "limit_entries"], indirect=True)
"""Runs a test with limit entries sent alone, and with their exits as one group."""
WIDE = {
    "account_balance": Decimal(1_000_000),
    "max_positions": 1000,
    "daily_loss_limit": Decimal(1_000_000),
    "heat_limit_pct": Decimal(100),
}


ANY_CONTRACT = OccSymbol("SPY", date(2026, 12, 18), OptionType.CALL, Decimal(1))


@dataclass
class House:
    """Orders with one user, their PAPER account, and the simulator."""

    deps: Deps
    db: Database
    database: TestDatabase
    sim: Sim
    bus: FakeBus
    user: str
    account_id: str = ""
    contract: OccSymbol = ANY_CONTRACT
    theirs: set[int] = field(default_factory=set)
    """Broker orders that somebody placed by hand."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: this process takes no more jobs."""
    _looking: asyncio.Lock = field(default_factory=asyncio.Lock)
    _admin: asyncpg.Connection | None = None

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[asyncpg.Connection]:
        """Look at every row, through one connection: a new one costs as much as many looks."""
        async with self._looking:
            if self._admin is None or self._admin.is_closed():
                self._admin = await asyncpg.connect(self.database.url)
            yield self._admin

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._admin is not None:
            await self._admin.close()

    @property
    def occ(self) -> str:
        """Name the contract."""
        return str(self.contract)

    async def pin(self, bid: str, ask: str) -> None:
        """Pin the contract's quote."""
        await self.sim.control("quote", symbol=self.occ, bid=bid, ask=ask)

    async def price(self, price: str) -> None:
        """Pin the contract's price, fills and triggers included."""
        await self.sim.control("price", symbol=self.occ, price=price)

    async def fault(
        self, kind: str, *, method: str = "POST", path: str = "orders", times: int = 1, **more: Any
    ) -> None:
        """Let the broker misbehave."""
        match = {"method": method, "path": path, "account": self.account_id}
        await self.sim.control("faults", match=match, kind=kind, times=times, **more)

    async def by_hand(self, **order: Any) -> int:
        """Place an order at the broker as its owner might, past the program."""
        body = {"kind": "manual_order", "account": self.account_id, "option_symbol": self.occ} | order
        order_id = int((await self.sim.control("events", **body))["order_id"])
        self.theirs.add(order_id)
        return order_id

    async def happens(self, kind: str, **more: Any) -> Any:
        """Let something happen at the broker without the program."""
        return await self.sim.control("events", kind=kind, account=self.account_id, **more)

    async def repair(self, trade_id: str, finding: Finding, **more: Any) -> str:
        """Ask as monitor does of what it sees now; returns the answer."""
        seen = more.pop("seen_key_version", None) or (await self.trade(trade_id))["key_version"]
        command = RepairTrade(trade_id=trade_id, finding=finding, seen_key_version=seen, **more)
        reply = await handlers_repairs.repair_trade(command, self.context(), self.deps)
        return cast("str", reply.json()["state"])

    async def recovered(self, trade_id: str) -> dict[str, Any]:
        """Wait for the trade that holds what surfaced of another."""

        async def there() -> str | None:
            async with self.database.admin() as admin:
                found = await admin.fetch("select id from orders.trades where recovered_from = $1", trade_id)
            assert len(found) <= 1
            return found[0]["id"] if found else None

        return await self.trade(cast("str", await eventually(there)))

    async def corrected(self, trade_id: str) -> list[dict[str, Any]]:
        """Read what was learned of a trade's money after its close."""
        async with self.database.admin() as admin:
            sql = "select * from orders.corrections where trade_id = $1 order by created_at"
            return [dict(row) for row in await admin.fetch(sql, trade_id)]

    async def wrong(self, trade_id: str) -> set[str]:
        """Read which concerns of a trade are open."""
        async with self.database.admin() as admin:
            sql = "select kind from orders.concerns where trade_id = $1 and ended_at is null"
            return {row["kind"] for row in await admin.fetch(sql, trade_id)}

    def placing(self, **changes: Any) -> PlaceTrade:
        """Write a market order with both exits around a pinned 4.00 × 4.20."""
        values: dict[str, Any] = {
            "idempotency_key": new_id(),
            "ticker": self.contract.root,
            "option_type": self.contract.option_type,
            "strike": self.contract.strike,
            "expiry": self.contract.expiry,
            "qty": 2,
            "entry": Entry(type=EntryType.MARKET),
            "sl_price": Decimal("3.00"),
            "tp_price": Decimal("6.00"),
        }
        return PlaceTrade(**values | changes)

    async def ask(self, command: Command, **context: Any) -> Reply:
        """Give a command to its handler, as the bus would."""
        ctx = self.context(**context)
        match command:
            case PlaceTrade():
                return await handlers_place.place_trade(command, ctx, self.deps)
            case CloseTrade():
                return await handlers_actions.close_trade(command, ctx, self.deps)
            case AdjustTrade():
                return await handlers_actions.adjust_trade(command, ctx, self.deps)
            case WithdrawTrade():
                return await handlers_actions.withdraw_trade(command, ctx, self.deps)
            case ResolveTrade():
                return await handlers_resolve.resolve_trade(command, ctx, self.deps)
            case _:
                raise AssertionError(command)

    def context(self, **changes: Any) -> Context:
        """Write the context of a message of the user."""
        values: dict[str, Any] = {
            "id": new_id(),
            "user": self.user,
            "correlation_id": "c",
            "occurred_at": datetime.now(UTC),
            "deadline_at": datetime.now(UTC) + timedelta(seconds=10),
        }
        return Context(**values | changes)

    async def place(self, **changes: Any) -> dict[str, Any]:
        """Place and return the answered trade."""
        return cast("dict[str, Any]", (await self.ask(self.placing(**changes))).json())

    async def trade(self, trade_id: str) -> dict[str, Any]:
        """Read the trade's own row as it is now, with its orders."""
        async with self.admin() as admin:
            row = await admin.fetchrow(
                "select t.*, v.orders, v.key_version, v.queued_for_open from orders.trades t "
                "join orders.trade_views v on v.trade_id = t.id where t.id = $1",
                trade_id,
            )
        assert row is not None
        return dict(row) | {"orders": orjson.loads(row["orders"])}

    async def until(
        self, trade_id: str, *, within_s: float = 8.0, telling: bool = False, **wanted: Any
    ) -> dict[str, Any]:
        """Wait until the trade's row shows the values; `telling`: while monitor tells what the broker shows."""

        async def shows() -> dict[str, Any] | None:
            if telling:
                await self.sync()
            row = await self.trade(trade_id)
            return row if all(row[name] == value for name, value in wanted.items()) else None

        try:
            return cast("dict[str, Any]", await eventually(shows, within_s=within_s, every_s=0.1 if telling else 0.01))
        except AssertionError:
            row = await self.trade(trade_id)
            raise AssertionError({name: row[name] for name in wanted} | {"story": await self.story(trade_id)}) from None

    async def protected(self, **changes: Any) -> dict[str, Any]:
        """Place, wait until the exits rest and were looked at twice, and return the row."""
        trade = await self.place(**changes)
        await self.until(trade["id"], within_s=20, protection="PROTECTED")

        async def looked_twice() -> bool:
            # One that was never placed, because a claim was over too soon, is not looked at.
            sql = "select min(reads) from orders.broker_orders where trade_id = $1 and role <> $2 and status = $3"
            async with self.admin() as admin:
                least = await admin.fetchval(sql, trade["id"], "ENTRY", "WORKING")
            return least is None or bool(least >= 2)

        await eventually(looked_twice, within_s=20)
        return await self.trade(trade["id"])

    async def until_resting(self, trade_id: str) -> dict[str, Any]:
        """Wait until nothing runs: the trade is over, or holds with every exit resting."""

        async def rests() -> bool:
            row = await self.trade(trade_id)
            held = row["status"] == "FILLED" and row["protection"] in ("PROTECTED", "NONE")
            async with self.admin() as admin:
                sql = "select count(*) from orders.actions where trade_id = $1 and state in ('REQUESTED', 'RUNNING')"
                running = await admin.fetchval(sql, trade_id)
            return not running and (held or row["status"] == "CLOSED")

        await eventually(rests, within_s=8)
        return await self.trade(trade_id)

    async def prefer(self, **settings: Any) -> None:
        """Change the user's settings behind their back."""
        async with self.admin() as admin:
            sql = "update orders.trading_settings set settings = settings || $2::text::jsonb where username = $1"
            await admin.execute(sql, self.user, orjson.dumps(settings).decode())

    async def only_trade(self) -> str | None:
        """Return the user's only trade, if it was stored."""
        async with self.admin() as admin:
            found: str | None = await admin.fetchval("select id from orders.trades where username = $1", self.user)
        return found

    async def is_at_rest(self, trade_id: str) -> bool:
        """Say whether no action runs, no write is unanswered, no order that should be over lives, nobody drives it."""
        sql = """
            select t.status = 'CLOSED' as is_over,
                exists (select from orders.actions a
                        where a.trade_id = t.id and a.state in ('REQUESTED', 'RUNNING')) as acts,
                exists (select from orders.broker_orders o
                        where o.trade_id = t.id and o.status in ('INTENT', 'SENT', 'UNKNOWN')) as waits,
                exists (select from orders.broker_orders o
                        where o.trade_id = t.id and o.status in ('WORKING', 'PARTIAL')) as works,
                coalesce(f.claimed_until > clock_timestamp(), false) as driven
            from orders.trades t join orders.flows f on f.trade_id = t.id where t.id = $1
        """
        async with self.admin() as admin:
            row = await admin.fetchrow(sql, trade_id)
        assert row is not None
        return not (row["acts"] or row["waits"] or row["driven"] or (row["is_over"] and row["works"]))

    async def let_claims_end(self) -> None:
        """Let it be as if every lease had passed, without waiting for it: whoever held a claim has lost it."""
        async with self.admin() as admin:
            await admin.execute("update orders.flows set claimed_until = clock_timestamp() where claimed_until > now()")
            await admin.execute("update orders.jobs set claimed_until = clock_timestamp() where claimed_until > now()")
            sql = "update orders.jobs set due_at = now() where kind = 'advance' and due_at between now() and 'tomorrow'"
            await admin.execute(sql)

    async def until_quiet(self, trade_id: str, within_s: float = 8.0) -> list[dict[str, Any]]:
        """Wait until no order of the trade can execute any more, and return its orders."""

        async def quiet() -> list[dict[str, Any]] | None:
            orders: list[dict[str, Any]] = (await self.trade(trade_id))["orders"]
            return orders if all(order["status"] in TERMINAL_ORDERS for order in orders) else None

        return cast("list[dict[str, Any]]", await eventually(quiet, within_s=within_s))

    async def story(self, trade_id: str) -> list[str]:
        """Read the trade's timeline."""
        async with self.admin() as admin:
            found = await admin.fetch("select text from orders.timeline where trade_id = $1 order by id", trade_id)
        return [row["text"] for row in found]

    async def facts(self) -> list[tuple[str, dict[str, Any]]]:
        """List what was said: the topic and the data, oldest first."""
        async with self.admin() as admin:
            rows = await admin.fetch("select subject, data from orders.outbox order by id")
        return [(row["subject"].rsplit(".", 1)[-1], orjson.loads(row["data"])) for row in rows]

    async def sync(self) -> None:
        """Play monitor: tell everything the broker shows of this account's orders."""
        from tests.integration.orders.monitor import tell_all

        await tell_all(self)


@asynccontextmanager
async def a_house(
    database: TestDatabase,
    simulator: str,
    *,
    beats: Beats | None = None,
    waits: Waits = QUICK,
    user: str = "",
    lease_s: float = 3.0,
    breakers: Breakers | None = None,
    otoco: str | None = None,
    nth_contract: int = 0,
    quote: tuple[str, str] | None = ("4.00", "4.20"),
    clock: Clock | None = None,
    wire: Wire | None = None,
    through: Callable[[Database], Database] = lambda db: db,
    venues: Mapping[Venue, str] | None = None,
    budget: Budget = UNLIMITED,
) -> AsyncIterator[House]:
    """Open orders' doors for one user with a PAPER account and wide limits; jobs run until the block ends.

    `quote` is pinned at the beginning. `wire` is shared with other houses, to save time. `through` may put something
    between the flows and the database.
    """
    async with contextlib.AsyncExitStack() as stack:
        db = await stack.enter_async_context(keeping.opened(database, "orders"))
        if wire is None:
            wire = await stack.enter_async_context(wired(simulator))
        http, sim = wire
        settings = load(Settings, environment(simulator)).model_copy(
            update={"order_waits": waits, "lease_s": lease_s, "recovery_s": 0.3, "broker_write_s": 1.0}
        )
        bus = FakeBus()
        async with asyncio.TaskGroup() as tasks:
            deps = Deps(
                db=through(db),
                bus=cast("Bus", bus),
                clock=clock or SystemClock(),
                beats=beats or NoBeats(),
                settings=settings,
                factory=_factory(http, settings, breakers, venues, budget),
                vault=Vault(settings.encryption_key.get_secret_value()),
                news=News(cast("Bus", bus), every_s=waits.away_read_s),
                tasks=tasks,
            )
            house = House(deps, db, database, sim, bus, user or f"u{new_id()[-12:]}")
            stack.push_async_callback(house.aclose)
            await _settle_in(house, otoco, nth_contract, quote)
            flows = (recovery.advance, recovery.recover, recovery.watch)
            kinds = [*flows, expiry.find, expiry.settle, stops.find, stops.look, fees.find, fees.read, kills.kill]
            kinds.append(handlers_signals.see_to)
            runner = JobRunner(db, [replace(job, lease_s=lease_s) for job in kinds], deps, poll_s=0.1)
            await recovery.plan_jobs(deps)
            await expiry.plan_jobs(deps)
            await stops.plan_jobs(deps)
            running = tasks.create_task(runner.run(house.stopping))
            try:
                yield house
            finally:
                house.stopping.set()
                await running


def _factory(
    http: HttpClient,
    settings: Settings,
    breakers: Breakers | None,
    venues: Mapping[Venue, str] | None,
    budget: Budget = UNLIMITED,
) -> BrokerFactory:
    urls = settings.base_urls | dict(venues or {})
    return BrokerFactory(http, urls, budget=budget, deadlines=settings.deadlines, breakers=breakers, live_enabled=True)


Wire = tuple[HttpClient, Sim]


@asynccontextmanager
async def wired(simulator: str) -> AsyncIterator[Wire]:
    """Open what houses may share: the pool of connections to the broker, and the control side."""
    async with HttpClient() as http, contextlib.aclosing(Sim(simulator)) as sim:
        yield http, sim


async def _settle_in(house: House, otoco: str | None, nth_contract: int, quote: tuple[str, str] | None) -> None:
    settings = await settled_in(house.deps, house.user)
    assert settings.broker_mode is BrokerMode.PAPER
    assert settings.account_id, "the simulator gave no account"
    house.account_id = settings.account_id
    async with house.db.for_user(house.user) as unit:
        await store_accounts.lock_settings(unit, house.user)
        changes = WIDE if otoco is None else WIDE | {"otoco": otoco}
        await store_accounts.save_settings(unit, house.user, settings.trading().model_copy(update=changes))
    house.contract = await house.sim.contract(nth=nth_contract)
    if quote is not None:
        await house.pin(*quote)


KEY = new_key()


def environment(simulator: str) -> dict[str, str]:
    """Write what orders is told; no vendor can be reached by mistake."""
    return {
        "DATABASE_URL": "postgresql://nowhere/x",
        "ORDERS_DATABASE_PASSWORD": "x",
        "NATS_URL": "nats://nowhere",
        "ORDERS_NATS_PASSWORD": "x",
        "ENCRYPTION_KEY": KEY,
        "SIMULATOR_URL": simulator,
        "TRADIER_SANDBOX_URL": "off",
        "TRADIER_LIVE_URL": "off",
    }
