"""Our own time in a placement, a close and an adjust, beside the same broker requests sent bare; alone and in company.

The broker answers after 20 ms and confirms a cancel at once, so that each request of ours counts once. In company, two
processes of orders and two of monitor count the same token's requests, and monitor polls it all the time.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import orjson

from tests.bench.client import Client
from tests.bench.report import Line, Report, percentile
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader

LATENCY_MS, ROUNDS = 20, 16
WANTED_MS = 25
BOUND = 4.0
"""Ours ÷ bare: past this something is wrong, however busy the machine."""
POLLING = {"ORDER_SYNC_S": "0.5", "HOT_SYNC_S": "0.3", "PORTFOLIO_SYNC_S": "0.5"}
COMPANY = ("--replicas", "orders=2,monitor=2")
FORM = "application/x-www-form-urlencoded"


async def measure(stack: Stack, report: Report) -> None:
    """Measure alone, then in company on a stack of its own."""
    await _measured(stack, report, "alone")
    with tempfile.TemporaryDirectory(prefix="bookend-bench-") as folder:
        company = Stack(Path(folder) / "data", COMPANY, POLLING).up()
        try:
            await _measured(company, report, "four processes")
        finally:
            company.down()


@dataclass
class Taken:
    """What each kind of action took, ours and bare. Units: milliseconds."""

    ours: dict[str, list[float]] = field(default_factory=lambda: {"place": [], "adjust": [], "close": []})
    bare: dict[str, list[float]] = field(default_factory=lambda: {"place": [], "adjust": [], "close": []})

    async def note(self, what: str, ours: Awaitable[Any], bare: Awaitable[Any]) -> tuple[Any, Any]:
        """Do ours, then the bare requests, and note both times."""
        results = []
        for kept, work in ((self.ours, ours), (self.bare, bare)):
            began = time.perf_counter()
            results.append(await work)
            kept[what].append(1000 * (time.perf_counter() - began))
        return results[0], results[1]


async def _measured(stack: Stack, report: Report, company: str) -> None:
    taken = Taken()
    with Trader(stack.gateway_url) as trader, stack.simulator() as world, slow(world):
        contracts = [trader.contract(nth=nth) for nth in range(ROUNDS)]
        async with _clients(stack, trader, world) as (client, bare):
            for contract in contracts:
                await _round(taken, Ours(client, trader), bare, contract)
    for what, ours in taken.ours.items():
        reference, figure = percentile(taken.bare[what], 0.5), percentile(ours, 0.5)
        name = f"{what}, {company}"
        report.add(Line(f"{name}: p50", figure, "ms", reference, "the same broker requests, sent bare", bound=BOUND))
        report.add(Line(f"{name}: our time on top", figure - reference, "ms", target=f"<= {WANTED_MS} ms"))


async def _round(taken: Taken, ours: Ours, bare: Bare, contract: Json) -> None:
    """Place, move the target and sell, each beside its bare twin."""
    trade, entry = await taken.note("place", ours.place(contract), bare.place(contract["occ_symbol"]))
    trade = await asyncio.to_thread(ours.trader.protected, trade["id"])
    await asyncio.sleep(2.0)
    exits = await bare.oco(entry)
    trade, exits = await taken.note("adjust", ours.adjust(trade), bare.adjust(entry, exits))
    await asyncio.sleep(2.0)
    await taken.note("close", ours.close(trade), bare.close(entry, exits))


@dataclass
class Ours:
    """What a person asks of the gateway."""

    client: Client
    trader: Trader

    async def place(self, contract: Json) -> Json:
        """Place a market order with both exits; answered once the entry is confirmed."""
        return await self._post("/api/trades", self.trader.body(contract))

    async def adjust(self, trade: Json) -> Json:
        """Move the stop and wait until the new exits rest."""
        wanted = str(round(float(trade["sl_price"]) - 0.5, 1))
        body = {"version": trade["version"], "new_sl": wanted}
        return await self._ended(
            await self._post(f"/api/trades/{trade['id']}/adjust", body),
            lambda now: now["protection"] == "PROTECTED" and float(now["sl_price"]) == float(wanted),
        )

    async def close(self, trade: Json) -> Json:
        """Close and wait until it is sold."""
        answer = await self._post(f"/api/trades/{trade['id']}/close", {"version": trade["version"]})
        return await self._ended(answer, lambda now: bool(now["status"] == "CLOSED"))

    async def _ended(self, trade: Json, is_over: Callable[[Json], bool]) -> Json:
        while not is_over(trade):
            trade = orjson.loads(await self.client.get(f"/api/trades/{trade['id']}"))
        return trade

    async def _post(self, path: str, body: Json) -> Json:
        headers = {"Idempotency-Key": uuid.uuid4().hex}
        return dict(orjson.loads(await self.client.send(request(self.client, "POST", path, orjson.dumps(body),
                                                                 "application/json", headers))))  # fmt: skip


@dataclass
class Bare:
    """The same requests at the broker, on an account of their own, one after the other unless we send them at once."""

    client: Client
    beside: tuple[Client, Client, Client]
    account: str

    async def place(self, occ: str) -> str:
        """Send quotes, clock and positions at once, the order, a look at it; return the contract."""
        await self._market(occ)
        await self._look(await self._order(occ, "buy_to_open", {"type": "market", "duration": "day"}))
        return occ

    async def oco(self, occ: str) -> int:
        """Let exits rest."""
        leg = {"option_symbol": occ, "side": "sell_to_close", "quantity": "1", "duration": "gtc"}
        legs = [{**leg, "type": "limit", "price": "90.00"}, {**leg, "type": "stop", "stop": "0.10"}]
        form = {f"{name}[{nth}]": value for nth, one in enumerate(legs) for name, value in one.items()}
        body = urlencode({"class": "oco", "tag": f"bench-{uuid.uuid4().hex}", **form}).encode()
        return await self._sent(body)

    async def adjust(self, occ: str, exits: int) -> int:
        """Look at the market, cancel, look at order and market at once, send the new exits, look."""
        await self._market(occ, positions=False)
        await self._cancel(occ, exits)
        made = await self.oco(occ)
        await self._look(made)
        return made

    async def close(self, occ: str, exits: int) -> None:
        """Look at the market, cancel, look at order and market at once, sell, look."""
        await self._market(occ, positions=False)
        await self._cancel(occ, exits)
        await self._look(await self._order(occ, "sell_to_close", {"type": "market", "duration": "day"}))

    async def _market(self, occ: str, *, positions: bool = True) -> None:
        first, second, _ = self.beside
        reads = [
            self.client.get(f"/v1/markets/quotes?symbols=SPY,{occ}&greeks=true"),
            first.get("/v1/markets/clock"),
            second.get(f"/v1/accounts/{self.account}/positions"),
        ]
        if not positions:
            reads.pop().close()
        await asyncio.gather(*reads)

    async def _cancel(self, occ: str, order_id: int) -> None:
        await self.client.send(request(self.client, "DELETE", f"/v1/accounts/{self.account}/orders/{order_id}"))
        await asyncio.gather(self._look(order_id, self.beside[2]), self._market(occ))

    async def _order(self, occ: str, side: str, more: dict[str, str]) -> int:
        order = {"class": "option", "symbol": "SPY", "option_symbol": occ, "side": side, "quantity": "1", **more}
        return await self._sent(urlencode(order | {"tag": f"bench-{uuid.uuid4().hex}"}).encode())

    async def _sent(self, body: bytes) -> int:
        sent = request(self.client, "POST", f"/v1/accounts/{self.account}/orders", body, FORM)
        return int(orjson.loads(await self.client.send(sent))["order"]["id"])

    async def _look(self, order_id: int, client: Client | None = None) -> None:
        await (client or self.client).get(f"/v1/accounts/{self.account}/orders/{order_id}?includeTags=true")


@asynccontextmanager
async def _clients(stack: Stack, trader: Trader, world: Simulator) -> AsyncIterator[tuple[Client, Bare]]:
    number = f"{uuid.uuid4().int % 10**8:08d}"
    token = {"Authorization": f"Bearer bench-{number}", "Accept": "application/json"}
    session = {"Cookie": f"bookend_session={trader.http.cookies['bookend_session']}", "X-Bookend": "1"}
    broker = str(world._http.base_url)
    async with (
        Client(stack.gateway_url, session) as client,
        Client(broker, token) as first,
        Client(broker, token) as second,
        Client(broker, token) as third,
        Client(broker, token) as fourth,
    ):
        yield client, Bare(first, (second, third, fourth), f"VA{number}")


@contextmanager
def slow(world: Simulator) -> Iterator[None]:
    """Let the broker take its time for each answer, and none for a cancel; what may be asked a minute is no matter."""
    usual = world._get("/_control/toggles")
    changed = {"latency_ms": LATENCY_MS, "cancel_delay_ms": 0, "rate_standard": 6000, "rate_market": 6000,
               "rate_trading": 6000}  # fmt: skip
    world._post("/_control/toggles", **changed)
    try:
        yield
    finally:
        world._post("/_control/toggles", **{name: usual[name] for name in changed})


def request(
    client: Client, method: str, path: str, body: bytes = b"", kind: str = "", headers: dict[str, str] | None = None
) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    content = f"Content-Type: {kind}\r\n" if kind else ""
    head = f"{method} {path} HTTP/1.1\r\n{client.lines}{lines}{content}Content-Length: {len(body)}\r\n\r\n"
    return head.encode() + body
