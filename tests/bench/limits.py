"""What the limits add to a placement: what is asked at the broker beside the quote, and what is read under the lock.

Each is measured side by side with the same placement without it, turn by turn, in one process beside a stack that runs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import partial
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlencode

from libs.broker.base import BrokerProvider
from libs.broker.factory import BrokerFactory
from libs.common.clock import SystemClock
from libs.common.config import load
from libs.common.db import Database, login_url
from libs.common.http import HttpClient
from libs.common.ids import new_id
from libs.common.messages.orders import PlaceTrade
from libs.common.vault import Vault
from libs.market import calendar
from libs.market.options import OccSymbol
from services.orders import checks, limits, sights, store_accounts, store_requests, talk
from services.orders.checks import Terms
from services.orders.deps import Deps
from services.orders.preferences import TradingSettings
from services.orders.settings import Settings
from services.orders.store_requests import Account
from tests.bench.actions import FORM, LATENCY_MS, request, slow
from tests.bench.client import Client
from tests.bench.report import Line, Report, percentile
from tests.bench.secrets_of import environment_of
from tests.journey.stack import Stack
from tests.journey.trader import Json, Trader

BOOK, ROUNDS, BROKER_ROUNDS = 20, 300, 60
WANTED_MS = 3.0
LOCK = "select account_key from orders.credentials where account_key = $1 for update"


async def measure(stack: Stack, report: Report) -> None:
    """Hold a book of twenty, then take both parts by turns."""
    with Trader(stack.gateway_url) as trader, stack.simulator() as world, slow(world):
        for number in range(BOOK):
            trader.protected(trader.place(trader.body(trader.contract(nth=number)))["id"], 30)
        async with _standing(stack, trader) as stands:
            under_lock = await _under_lock(stands)
            at_broker = await _at_broker(stands, trader.body(trader.contract(nth=BOOK)))
            its_own = await _bare(stands, trader.contract(nth=BOOK)["occ_symbol"], str(world._http.base_url))
    total = 0.0
    for name, (ours, bare), reference_is in (
        (f"limits: read under the lock, {BOOK} trades open", under_lock, "the account's lock alone"),
        (f"limits: asked at a broker of {LATENCY_MS} ms", at_broker, "quote, clock and positions alone"),
    ):
        total += ours - bare
        report.add(Line(f"{name}: p50", ours, "ms", bare, reference_is))
    report.add(Line("limits: added to a placement, the broker's part too", total, "ms"))
    name = "limits: the broker's part, by the same six requests bare"
    report.add(Line(name, its_own[0], "ms", its_own[1], "three of them, bare"))
    added = total - (its_own[0] - its_own[1])
    report.add(Line("limits: added to a placement", added, "ms", target=f"<= {WANTED_MS:g} ms"))


@dataclass
class _Stands:
    """Where a placement stands in orders."""

    db: Database
    deps: Deps
    account: Account
    token: str
    broker: BrokerProvider
    settings: TradingSettings


@asynccontextmanager
async def _standing(stack: Stack, trader: Trader) -> AsyncIterator[_Stands]:
    environment = environment_of(stack, "orders")
    settings = load(Settings, environment)
    password = settings.database_password.get_secret_value()
    db = Database(login_url(settings.database_url, "orders_service", password), service="orders")
    async with HttpClient() as http, AsyncExitStack() as ending:
        await db.open()
        ending.push_async_callback(db.close)
        async with db.for_user(trader.name) as unit:
            [account] = await store_accounts.accounts_of(unit, trader.name)
            stored = await store_accounts.settings_of(unit, trader.name)
        assert stored is not None
        token = Vault(settings.encryption_key.get_secret_value()).open(account.token_ciphertext, account.account_key)
        factory = BrokerFactory(http, settings.base_urls, deadlines=settings.deadlines)
        broker = factory.get_broker(account.broker_mode, account.account_id, token)
        deps = cast("Deps", SimpleNamespace(clock=SystemClock(), settings=settings))
        yield _Stands(db, deps, account, token, broker, stored.trading())


async def _under_lock(stands: _Stands) -> tuple[float, float]:
    day = calendar.new_york_date(stands.deps.clock.now()).isoformat()
    fresh = limits.Freshness(stands.deps.clock.now(), timedelta(seconds=120))
    wanted = limits.Wanted(
        qty=1, multiplier=100, entry_price=Decimal("4.20"), stop=Decimal(3), bid=Decimal(4),
        ask=Decimal("4.20"),
        is_limit=False, quote_age_s=1.0, minutes_to_last_trade=1e5,
    )  # fmt: skip

    async def with_limits() -> None:
        async with stands.db.for_user(stands.account.username) as unit:
            assert not (await store_requests.admit(unit, stands.account)).is_killed
            found = await store_requests.standing(unit, stands.account, "none", day=day, fresh=fresh)
            assert len(found.exposure.open) == BOOK
            limits.check(TradingSettings.model_validate(found.settings), found.exposure, wanted)

    async def without() -> None:
        async with stands.db.for_user(stands.account.username) as unit:
            assert await unit.json(LOCK, stands.account.account_key) is not None

    return await _by_turns(with_limits, without, ROUNDS)


async def _at_broker(stands: _Stands, body: Json) -> tuple[float, float]:
    wish = PlaceTrade.model_validate(body | {"idempotency_key": new_id()})
    symbols = (wish.ticker, str(OccSymbol(wish.ticker, wish.expiry, wish.option_type, wish.strike)))

    async def with_limits() -> None:
        terms: Terms = await checks.terms_of(wish, stands.settings, stands.broker, stands.deps, previews=True)
        assert terms.objection is None, terms.objection

    async def without() -> None:
        now, within_s = stands.deps.clock.now(), stands.deps.settings.order_waits.base_s
        await asyncio.gather(
            talk.market_of(stands.broker, symbols, now, greeks=True),
            sights.positions_in_time(stands.broker, within_s),
        )

    return await _by_turns(with_limits, without, BROKER_ROUNDS)


async def _bare(stands: _Stands, occ: str, broker: str) -> tuple[float, float]:
    """Take what the broker needs for the limits' requests beside the others, sent bare: all at once, or three."""
    path = f"/v1/accounts/{stands.account.account_id}"
    token = {"Authorization": f"Bearer {stands.token}", "Accept": "application/json"}
    order = {"class": "option", "symbol": "SPY", "option_symbol": occ, "side": "buy_to_open", "quantity": "1"}
    form = urlencode(order | {"type": "market", "duration": "day", "preview": "true"}).encode()
    reads = [f"/v1/markets/quotes?symbols=SPY,{occ}&greeks=true", "/v1/markets/clock", f"{path}/positions",
             f"{path}/balances", f"{path}/orders?includeTags=true&page=1&limit=1000"]  # fmt: skip
    async with AsyncExitStack() as ending:
        clients = [await ending.enter_async_context(Client(broker, token)) for _ in range(6)]

        async def several(count: int) -> None:
            asked = [one.get(read) for one, read in zip(clients, reads[:count], strict=False)]
            if count > len(reads):
                asked.append(clients[-1].send(request(clients[-1], "POST", f"{path}/orders", form, FORM)))
            await asyncio.gather(*asked)

        return await _by_turns(partial(several, 6), partial(several, 3), BROKER_ROUNDS)


async def _by_turns(
    ours: Callable[[], Awaitable[None]], bare: Callable[[], Awaitable[None]], rounds: int
) -> tuple[float, float]:
    """Return the medians of both, taken one after the other each time. Units: milliseconds."""
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for kept, work in zip(taken, (ours, bare), strict=True):
            began = time.perf_counter()
            await work()
            kept.append(1000 * (time.perf_counter() - began))
    return percentile(taken[0], 0.5), percentile(taken[1], 0.5)
