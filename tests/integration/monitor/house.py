"""Monitor's dependencies with a broker played by the test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, cast

from libs.broker.base import BrokerMode, BrokerProvider
from libs.broker.orders import OrderReport
from libs.broker.reports import BalanceReport, ClockReport, PositionReport
from libs.broker.venue_clock import VenueClocks
from libs.common.bus import Bus
from libs.common.clock import SystemClock
from libs.common.config import load
from libs.common.db import Database
from libs.common.errors import AppError, NotFound
from libs.common.handlers import Context
from libs.common.ids import new_id
from libs.common.messages.orders import TradeFact, TradeFilled, TradePlaced
from libs.common.testing import FakeBus, TestDatabase
from libs.common.vault import new_key
from libs.market.session import MarketState
from services.monitor.access import Access
from services.monitor.deps import Deps
from services.monitor.settings import Settings

OCC = "SPY261218C00650000"
ENVIRONMENT = {
    "DATABASE_URL": "postgresql://nowhere/x",
    "MONITOR_DATABASE_PASSWORD": "x",
    "NATS_URL": "nats://nowhere",
    "MONITOR_NATS_PASSWORD": "x",
    "ENCRYPTION_KEY": new_key(),
}


@dataclass
class PlayedBroker:
    """A broker that answers what it was told, or raises it."""

    listed: tuple[OrderReport, ...] = ()
    by_id: dict[str, OrderReport] = field(default_factory=dict)
    refuses: AppError | None = None
    refuses_profile: AppError | None = None
    asked: list[str] = field(default_factory=list)
    mode: BrokerMode = BrokerMode.PAPER
    session: MarketState = MarketState.OPEN
    holds: dict[str, int] = field(default_factory=lambda: {OCC: 2})

    async def orders(self) -> tuple[OrderReport, ...]:
        self.asked.append("orders")
        if self.refuses is not None:
            raise self.refuses
        return self.listed

    async def order(self, order_id: str) -> OrderReport:
        self.asked.append(order_id)
        if order_id not in self.by_id:
            raise NotFound("no such order")
        return self.by_id[order_id]

    async def keeps_own_time(self) -> bool:
        return True

    async def clock(self) -> ClockReport:
        now = datetime.now(UTC)
        return ClockReport(market_date=now.date(), state=self.session, market_now=now, follows_calendar=False)

    async def positions(self) -> tuple[PositionReport, ...]:
        return tuple(
            PositionReport(symbol=symbol, qty=Decimal(qty), cost_basis_usd=Decimal(420 * qty))
            for symbol, qty in self.holds.items()
        )

    async def balances(self) -> BalanceReport:
        return BalanceReport(account_id="VA1", account_type="margin", total_equity_usd=Decimal(5000))

    async def profile(self) -> None:
        if self.refuses_profile is not None:
            raise self.refuses_profile


class PlayedAccess:
    """Hands out the played broker for every account."""

    def __init__(self, broker: PlayedBroker) -> None:
        self._broker = broker

    async def broker(self, _: Any) -> BrokerProvider:
        return cast("BrokerProvider", self._broker)

    def forget(self, account_key: str) -> None:
        """Keep nothing."""


@dataclass
class House:
    """Monitor's dependencies and what the test plays."""

    deps: Deps
    db: Database
    broker: PlayedBroker
    bus: FakeBus
    database: TestDatabase

    async def said(self, subject: str = "%") -> list[Any]:
        """List what stands in the outbox under a subject, oldest first."""
        async with self.database.admin() as admin:
            return list(await admin.fetch("select * from monitor.outbox where subject like $1 order by id", subject))

    async def jobs(self) -> dict[str, datetime]:
        """Tell when each kind of job is due."""
        async with self.database.admin() as admin:
            return {row["kind"]: row["due_at"] for row in await admin.fetch("select kind, due_at from monitor.jobs")}


@asynccontextmanager
async def a_house(database: TestDatabase) -> AsyncIterator[House]:
    """Open monitor's doors and stand a played broker behind them."""
    async with database.opened("monitor") as db:
        broker, bus = PlayedBroker(), FakeBus()
        deps = Deps(
            db=db,
            bus=cast("Bus", bus),
            clock=SystemClock(),
            settings=load(Settings, ENVIRONMENT),
            access=cast("Access", PlayedAccess(broker)),
            venues=VenueClocks(SystemClock()),
        )
        yield House(deps, db, broker, bus, database)


def a_fact(
    kind: type[TradeFact] = TradePlaced, *, key_version: int = 1, user: str = "ann", **changes: Any
) -> TradeFact:
    """Write a fact of one trade with a working entry."""
    entry = {
        "role": "ENTRY",
        "status": "WORKING",
        "tag": "bk-entry",
        "broker_order_id": "10",
        "qty": 2,
        "filled_qty": 0,
    }
    values = {
        "trade_id": f"{user}-1",
        "id": f"{user}-1",
        "username": user,
        "account_id": f"VA-{user}",
        "account_name": "Paper",
        "broker_mode": "PAPER",
        "ticker": "SPY",
        "occ_symbol": OCC,
        "option_type": "CALL",
        "strike": "650",
        "expiry": date(2026, 12, 18),
        "multiplier": 100,
        "qty": 2,
        "filled_qty": 0,
        "sl_price": "3.00",
        "tp_price": "6.00",
        "status": "OPEN",
        "protection": "PENDING",
        "version": 1,
        "key_version": key_version,
        "orders": [entry],
    }
    return kind.model_validate(values | changes)


def filled_fact(key_version: int = 2, user: str = "ann") -> TradeFact:
    """Write the fact that the entry is filled and nothing else is known."""
    order = {"role": "ENTRY", "status": "FILLED", "tag": "bk-entry", "broker_order_id": "10", "qty": 2, "filled_qty": 2}
    return a_fact(TradeFilled, key_version=key_version, user=user, status="FILLED", filled_qty=2, orders=[order])


def around(fact: Any, *, key_version: int | None = None, user: str = "ann") -> Context:
    """Write the context in which a fact arrives."""
    version = getattr(fact, "key_version", None) if key_version is None else key_version
    return Context(
        id=new_id(),
        user=user,
        correlation_id="c",
        occurred_at=datetime.now(UTC),
        key=fact.key,
        key_version=version,
        consumer="monitor-orders",
    )


def ids(reports: Sequence[OrderReport]) -> list[str]:
    """Name the orders of reports."""
    return [report.id for report in reports]
