"""Everything the simulator is made of, and the one place where it is stored, published and moved on."""

import asyncio
import contextlib
import math
import time
from collections import deque
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import orjson

from simulator import settlement
from simulator.calendar import eastern, is_late_hour
from simulator.clock import MarketClock
from simulator.exchange import Due, Exchange
from simulator.faults import Faults
from simulator.feed import Feed, Pin
from simulator.journal import Journal, decode_account, decode_order
from simulator.replay import Replay
from simulator.rounds import Rounds
from simulator.settings import Settings
from simulator.stream import Hub
from simulator.toggles import Toggles
from simulator.universe import parse_occ
from simulator.windows import Windows

REQUESTS_KEPT = 20_000
SETTLE_EVERY_S = 15
BUSY_BEAT_S = 0.25
IDLE_BEAT_S = 1.0
BETWEEN_CHUNKS_S = 0.005


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came in."""

    at: datetime
    method: str
    path: str
    token_hash: str
    account: str
    tag: str | None = None
    """With which tag an order was placed; a preview has none."""
    side: str | None = None
    """The order's, or that of its first leg."""


class World:
    """Market, broker and everything about them that outlives a request."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.journal = Journal(settings.data / "simulator.db")
        self.requests: deque[Seen] = deque(maxlen=REQUESTS_KEPT)
        self.faults = Faults()
        self.hub = Hub(self.faults, time.time)
        self.windows = Windows()
        self.served_lists: dict[str, bytes] = {}
        self.woken = asyncio.Event()
        self._begin()
        self._load()

    def _begin(self) -> None:
        settings, real_s = self.settings, time.time()
        clock = MarketClock(real_s, real_s, settings.speed, settings.session)
        self.toggles = Toggles(rate_limit=settings.rate_limit)
        self.feed = Feed(settings.seed, clock, time.time)
        self.exchange = Exchange(self.feed, self.toggles, settings.cash)
        self._settled_s = 0
        self._rounds = Rounds()
        self._last_session: tuple[str, date, date] | None = None

    def reset(self) -> None:
        """Start over: no accounts, orders, pins, faults; the clock as configured."""
        self.journal.clear()
        self.requests.clear()
        self.faults.waiting.clear()
        self.windows.clear()
        self.served_lists.clear()
        self._begin()
        self.store_clock()
        self.sync()

    # What is kept -----------------------------------------------------------------------------------------------

    def _load(self) -> None:
        for name, body in self.journal.read("meta"):
            self._load_meta(name, orjson.loads(body))
        for symbol, body in self.journal.read("pin"):
            self.feed.pin(symbol, Pin(*map(Decimal, orjson.loads(body))))
        for symbol, body in self.journal.read("centre"):
            self.feed.centres[symbol] = orjson.loads(body)
        cursors = {symbol: orjson.loads(body) for symbol, body in self.journal.read("cursor")}
        for symbol, body in self.journal.read("replay"):
            prices, started_s, speed = orjson.loads(body)
            replay = Replay(tuple(map(Decimal, prices)), started_s, speed, cursors.get(symbol, 0))
            self.feed.replays[symbol] = replay
        for account_id, body in self.journal.read("account"):
            self.exchange.accounts[account_id] = decode_account(body)
        orders = sorted((decode_order(body) for _, body in self.journal.read("order")), key=lambda order: order.id)
        for order in orders:
            self.exchange.adopt(order)
        self.store_clock()

    def _load_meta(self, name: str, body: Any) -> None:
        if name == "clock":
            if body["configured"] == [self.settings.speed, self.settings.session]:
                self.feed.clock = MarketClock(*body["clock"])
            else:
                self.feed.clock = MarketClock(*body["clock"]).changed(
                    time.time(), speed=self.settings.speed, session=self.settings.session
                )
        elif name == "toggles":
            self.set_toggles(body)
        elif name == "counters":
            self.exchange.next_id = body["next_id"]
            self.exchange.due = [Due(*item) for item in body["due"]]

    def set_clock(self, clock: MarketClock) -> None:
        """Move market time; whatever it brings happens now."""
        self.feed.clock = clock
        self.feed.forget_computed()
        self._settled_s = 0
        self._rounds.start_over()
        self.store_clock()
        self.sync()

    def store_clock(self) -> None:
        """Keep the clock's mapping, so that market time goes on across a restart."""
        clock = self.feed.clock
        kept = [clock.real_anchor_s, clock.market_anchor_s, clock.speed, clock.session]
        configured = [self.settings.speed, self.settings.session]
        self.journal.write([("meta", "clock", {"clock": kept, "configured": configured})])

    def set_toggles(self, changes: dict[str, Any]) -> None:
        """Change switches; the others stay."""
        self.toggles = Toggles.model_validate(self.toggles.model_dump() | changes)
        self.exchange.toggles = self.toggles

    def store_toggles(self) -> None:
        """Keep the switches."""
        self.journal.write([("meta", "toggles", self.toggles.model_dump())])

    def store_price(self, symbol: str) -> None:
        """Keep what is pinned or replayed of a symbol."""
        pin, replay = self.feed.pins.get(symbol), self.feed.replays.get(symbol)
        centres = self.feed.centres.get(symbol)
        if pin is None:
            self.journal.remove("pin", [symbol])
        rows: list[tuple[str, str, object]] = []
        if pin is not None:
            rows.append(("pin", symbol, [pin.bid, pin.ask, pin.price]))
        if centres is not None:
            rows.append(("centre", symbol, centres))
        if replay is None:
            self.journal.remove("replay", [symbol])
            self.journal.remove("cursor", [symbol])
        else:
            rows.append(("cursor", symbol, replay.cursor))
        self.journal.write(rows)

    def store_replay(self, symbol: str, replay: Replay) -> None:
        """Keep a recording that is being played."""
        self.journal.write([("replay", symbol, [replay.prices, replay.started_s, replay.speed])])

    # How it moves on ---------------------------------------------------------------------------------------------

    def tell_time(self) -> None:
        """Give the exchange the time; cheap, needed before anything is asked of it."""
        real_s = time.time()
        state, _, _ = self.feed.clock.state(real_s)
        now = self.feed.clock.now(real_s)
        session_date = self.feed.clock.session_date(real_s)
        is_late = self.feed.clock.session == "calendar" and is_late_hour(now)
        self.exchange.at(now, real_s, session_date, is_open=state == "open", is_late=is_late)
        session = (f"{state}{' late' if is_late else ''}", session_date, eastern(now).date())
        if session != self._last_session:
            self._last_session = session
            settlement.expire_day_orders(self.exchange)
            if state == "open":
                self.exchange.open_session()
            self._settled_s = 0
            self._rounds.start_over()

    def sync(self, budget_s: float = math.inf) -> None:
        """Bring everything up to this moment and store it; working orders as far as the budget goes."""
        self.tell_time()
        second = self.feed.second()
        if second >= self._settled_s + SETTLE_EVERY_S or second < self._settled_s:
            self._settled_s = second
            settlement.settle_expired(self.exchange)
        self.exchange.run_due()
        self._play()
        self._rounds.go(self.exchange, second, time.time(), budget_s)
        self.commit()

    def _play(self) -> None:
        for symbol, replay in list(self.feed.replays.items()):
            shown = replay.due(self.feed.clock.second(time.time()))
            for price in shown:
                self.feed.pin(symbol, Pin(price, price, price))
                self.evaluate(symbol)
            if shown:
                self.store_price(symbol)

    def evaluate(self, underlying: str) -> None:
        """Let the working orders of an underlying and its options meet the market."""
        securities = []
        for security in self.exchange.working:
            contract = parse_occ(security)
            if underlying == (contract.underlying if contract else security):
                securities.append(security)
        self.exchange.evaluate(securities)

    def commit(self) -> None:
        """Store what changed, then tell the listeners."""
        exchange = self.exchange
        if not (exchange.changed_orders or exchange.changed_accounts or exchange.entries or exchange.events):
            return
        rows: list[tuple[str, str, object]] = [("order", str(key), one) for key, one in exchange.changed_orders.items()]
        rows += [("account", name, exchange.accounts[name]) for name in exchange.changed_accounts]
        due = [[item.at_s, item.verb, item.order_id, item.reason] for item in exchange.due]
        rows.append(("meta", "counters", {"next_id": exchange.next_id, "due": due}))
        self.journal.write(rows, [(str(entry["account"]), entry) for entry in exchange.entries])
        events, exchange.events = exchange.events, []
        exchange.changed_orders.clear()
        exchange.changed_accounts.clear()
        exchange.entries.clear()
        for order in events:
            self.hub.publish(order, order.tag)
        self.woken.set()

    def next_beat_s(self) -> float:
        """Tell how long nothing can happen by itself. Units: seconds."""
        exchange = self.exchange
        busy = bool(exchange.working or self.feed.replays)
        wait = BUSY_BEAT_S if busy else IDLE_BEAT_S
        if self._rounds.is_running:
            wait = BETWEEN_CHUNKS_S
        if exchange.due:
            wait = min(wait, exchange.due[0].at_s - time.time())
        return max(wait, 0.001)

    async def rest(self) -> None:
        """Wait until something may have to happen."""
        self.woken.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.woken.wait(), self.next_beat_s())

    def note(self, method: str, path: str, token_hash: str, account: str, **order: str | None) -> None:
        """Remember a request, and of an order its tag and side."""
        self.requests.append(Seen(datetime.now(UTC), method, path, token_hash, account, **order))
