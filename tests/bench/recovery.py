"""500 closes over 100 accounts that a crash cut off after they were stored: how long until all are through.

Each account may be asked 60 times a minute of each kind; the simulator says whether anybody asked more.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections import Counter, defaultdict
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import asyncpg

from libs.common.ids import new_id
from libs.common.testing import eventually
from tests.bench.report import Line, Report
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader

ACCOUNTS, EACH = 100, 5
TRADES = ACCOUNTS * EACH
AT_ONCE = 8
ALLOWED = 60
CEILING = 50
WANTED_S, PATIENCE_S = 30.0, 120.0
QUICK = {"ARGON2_MEMORY_KIB": "64", "ARGON2_ROUNDS": "1", "EVENT_STREAM": "false"}
TRADING = frozenset({"POST", "DELETE"})

_CUT_OFF = """
insert into orders.actions (id, trade_id, username, kind, state, reason, created_at)
select $1 || t.id, t.id, t.username, 'CLOSE', 'REQUESTED', 'MANUAL_CLOSE', clock_timestamp()
from orders.trades t where t.status = 'FILLED' and t.protection = 'PROTECTED'
"""

_SOLD = "select count(*) from orders.broker_orders where role = 'CLOSE' and filled_qty > 0"


async def measure(_: Stack, report: Report) -> None:
    """Hold 500 trades, kill orders, leave a stored close behind for each, and start it again."""
    with tempfile.TemporaryDirectory(prefix="bookend-bench-") as folder:
        stack = Stack(Path(folder) / "data", environment=QUICK).up()
        try:
            await _measured(stack, report)
        finally:
            stack.down()


async def _measured(stack: Stack, report: Report) -> None:
    admin = await asyncpg.connect(stack.status()["database_url"])
    try:
        with ExitStack() as people, stack.simulator() as world:
            await _hold(stack, people)
            # The minutes of placing are over for the broker, too.
            world._post("/_control/toggles", rate_trading=ALLOWED, rate_standard=ALLOWED, rate_market=10_000)
            await _protected(admin)
            pid = int(stack.status()["services"]["orders"]["pid"])
            os.kill(pid, signal.SIGSTOP)
            await admin.execute(_CUT_OFF, new_id()[:8])
            os.kill(pid, signal.SIGKILL)
            began, began_at = time.perf_counter(), await admin.fetchval("select clock_timestamp()")
            await eventually(lambda: _is_through(admin), within_s=PATIENCE_S, every_s=0.1)
            took_s = time.perf_counter() - began
            report.add(Line(f"recovery: {TRADES} cut-off closes, {ACCOUNTS} accounts", took_s, "s",
                            target=f"<= {WANTED_S:.0f} s"))  # fmt: skip
            report.add(Line("recovery: most orders and cancels of an account a minute", _busiest(world, began_at), "",
                            CEILING, "our ceiling", f"<= {CEILING}", 1.0))  # fmt: skip
            sold = await admin.fetchval(
                "select count(*) from orders.broker_orders where role = 'CLOSE' and filled_qty > 0"
            )
            report.add(Line("recovery: sales", sold, "", TRADES, "trades", f"{TRADES}", 1.0))
    finally:
        await admin.close()


async def _hold(stack: Stack, people: ExitStack) -> None:
    """Let 100 people hold five contracts each."""
    gate = asyncio.Semaphore(AT_ONCE)
    first = people.enter_context(Trader(stack.gateway_url))
    bodies = [first.body(first.contract(nth=nth)) for nth in range(EACH)]

    def place(body_of: list[Json]) -> None:
        with Trader(stack.gateway_url) as trader:
            for body in body_of:
                trader.insist("POST", "/api/trades", body, key=new_id())

    async def one() -> None:
        async with gate:
            await asyncio.to_thread(place, bodies)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(ACCOUNTS):
            tasks.create_task(one())


async def _protected(admin: asyncpg.Connection[Any]) -> None:
    async def rest() -> bool:
        found = await admin.fetchval(
            "select count(*) from orders.trades where status = 'FILLED' and protection = 'PROTECTED'"
        )
        return bool(found >= TRADES)

    await eventually(rest, within_s=PATIENCE_S, every_s=0.5)
    # Their minute at the broker ends before the next thing is measured.
    await asyncio.sleep(61)


async def _is_through(admin: asyncpg.Connection[Any]) -> bool:
    return not await admin.fetchval("select count(*) from orders.trades where status <> 'CLOSED'")


def _busiest(world: Simulator, since: datetime) -> float:
    """Return the most orders and cancels that one account sent in any minute that began with one of them."""
    times: dict[str, list[float]] = defaultdict(list)
    for one in world.requests():
        at = datetime.fromisoformat(one["time"])
        if one["method"] in TRADING and "/orders" in one["path"] and at >= since:
            times[one["account"]].append(at.timestamp())
    most: Counter[str] = Counter()
    for account, sent in times.items():
        sent.sort()
        most[account] = max(sum(begin <= at < begin + 60 for at in sent) for begin in sent)
    return float(max(most.values(), default=0))
