"""One part away for a while: said and refused at once, over by itself, and the books add up afterwards."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from tests.faults.books import Books, balanced_books
from tests.faults.outage import AT_ONCE_S, away, refused_at_once, turns, unreachable, works
from tests.journey.stack import Simulator, Stack
from tests.journey.trader import Json, Trader, eventually

pytestmark = pytest.mark.faults

OUTAGE_S = 6.0
LONG_OUTAGE_S = 30.0
"""The real length, for the part whose clients have the most to lose by it."""

BACK_S = 60.0


class Scene:
    """A trader with a protected trade, and a second one to place while something is away."""

    def __init__(self, trader: Trader, simulator: Simulator, held: Json, wanted: Json) -> None:
        self.trader = trader
        self.simulator = simulator
        self.held = held
        self.wanted = wanted
        self.key = uuid.uuid4().hex

    def place(self) -> None:
        """Hold that placing is refused at once."""
        refused_at_once(self.trader, "POST", "/api/trades", self.wanted, key=self.key)

    def close(self) -> None:
        """Hold that closing is refused at once."""
        body = {"version": self.held["version"]}
        refused_at_once(self.trader, "POST", f"/api/trades/{self.held['id']}/close", body, key=f"{self.key}-close")

    def reads_fail(self, *paths: str) -> None:
        """Hold that reads are refused at once."""
        for path in paths:
            refused_at_once(self.trader, "GET", path)

    def hit_target(self) -> None:
        """Let the market reach the target."""
        self.simulator.price(self.held["occ_symbol"], self.held["tp_price"])


@pytest.fixture
def scene(stack: Stack, simulator: Simulator) -> Iterator[Scene]:
    assert eventually(stack.is_ready, BACK_S)
    with Trader(stack.gateway_url) as trader:
        wanted = trader.body(trader.contract("IWM", 1))
        held = trader.protected(trader.place(trader.body(trader.contract("SPY", 0)))["id"], 30)
        yield Scene(trader, simulator, held, wanted)


@contextmanager
def books_add_up(stack: Stack) -> Iterator[None]:
    """Hold that what was told before is told afterwards, and everything else just as completely."""
    before = balanced_books(stack)
    yield
    assert eventually(stack.is_ready, BACK_S), stack.status()
    missing(before, balanced_books(stack))


def missing(before: Books, after: Books) -> None:
    """Hold that nothing of `before` is gone or another in `after`."""
    assert not before.told.keys() - after.told.keys()
    for kind, known in before.kept().items():
        assert {place: after.kept()[kind].get(place) for place in known} == known


def status_without(scene: Scene, service: str, banner: str) -> None:
    """Hold that the page can say who is away."""
    began = time.monotonic()
    told = scene.trader.ok("GET", "/api/system/status")
    assert time.monotonic() - began < AT_ONCE_S
    assert not next(line for line in told["services"] if line["name"] == service)["ok"]
    found = next((line for line in told["banners"] if line["code"] == banner), None)
    assert found, told["banners"]
    assert found["text"]
    assert found["since"]


def ends_well(scene: Scene) -> None:
    """Hold that the held trade closed at its target and the refused one can be placed with its old key, once."""
    trader, simulator = scene.trader, scene.simulator
    closed = trader.closed(scene.held["id"], BACK_S)
    assert closed["close_reason"] == "TP_HIT"
    account = closed["account_id"]
    placed = trader.insist("POST", "/api/trades", scene.wanted, key=scene.key)
    assert trader.protected(placed["id"], BACK_S)["occ_symbol"] == placed["occ_symbol"]
    tags = [order["tag"] for order in simulator.orders(account) if order["tag"]]
    assert len(tags) == len(set(tags))
    bought = [leg for leg in simulator.legs(account) if leg["side"] == "buy_to_open"]
    assert [Decimal(str(leg["exec_quantity"])) for leg in bought] == [1, 1]


def without_postgres(scene: Scene) -> None:
    """Without its database the gateway cannot know who asks; it says that, and still serves the page."""
    scene.reads_fail("/api/system/status", "/api/trades", "/api/settings", "/api/auth/me")
    login = {"username": scene.trader.name, "password": scene.trader.password}
    refused_at_once(scene.trader, "POST", "/api/auth/login", login)
    scene.place()
    scene.close()
    assert scene.trader.call("GET", "/livez").status_code == 200
    assert eventually(lambda: scene.trader.call("GET", "/readyz").status_code == 503, 10)
    assert scene.trader.call("GET", "/").status_code == 200


def without_nats(scene: Scene) -> None:
    told = works(scene.trader, "/api/system/status")
    assert told["banners"][0]["code"] == "bus_unavailable"
    assert {line["name"] for line in told["services"] if line["ok"]} == {"gateway"}
    scene.reads_fail("/api/trades", f"/api/trades/{scene.held['id']}", "/api/settings", "/api/account")
    works(scene.trader, "/api/notifications/trades")
    works(scene.trader, "/api/auth/me")
    scene.place()
    scene.close()


def without_orders(scene: Scene) -> None:
    status_without(scene, "orders", "orders_unavailable")
    scene.reads_fail("/api/trades", f"/api/trades/{scene.held['id']}", "/api/settings")
    works(scene.trader, "/api/account")
    scene.place()
    scene.close()


def without_pricing(scene: Scene) -> None:
    status_without(scene, "pricing", "pricing_unavailable")
    scene.reads_fail("/api/market/expirations/SPY", f"/api/trades/{scene.held['id']}/snapshots", "/api/market/status")
    works(scene.trader, "/api/trades")


def without_monitor(scene: Scene) -> None:
    status_without(scene, "monitor", "monitor_unavailable")
    scene.reads_fail("/api/account", "/api/accounts", "/api/executions", "/api/incidents")
    refused_at_once(scene.trader, "POST", "/api/sync")
    works(scene.trader, "/api/trades")


def without_forensics(scene: Scene) -> None:
    status_without(scene, "forensics", "forensics_unavailable")
    works(scene.trader, "/api/trades")


def without_gateway(scene: Scene) -> None:
    unreachable(scene.trader)


PARTS: dict[str, tuple[Callable[[Scene], None], float]] = {
    "postgres": (without_postgres, OUTAGE_S),
    "nats": (without_nats, LONG_OUTAGE_S),
    "orders": (without_orders, OUTAGE_S),
    "pricing": (without_pricing, OUTAGE_S),
    "monitor": (without_monitor, OUTAGE_S),
    "forensics": (without_forensics, OUTAGE_S),
    "gateway": (without_gateway, OUTAGE_S),
}


@pytest.mark.parametrize("part", PARTS)
def test_a_part_away_is_said_and_refused_at_once_and_is_over_by_itself(part: str, stack: Stack, scene: Scene) -> None:
    holds, seconds = PARTS[part]
    with books_add_up(stack):
        with away(stack, part):
            scene.hit_target()
            for _ in turns(seconds):
                holds(scene)
        ends_well(scene)


def test_a_broker_that_is_away_is_said_and_exits_go_on_when_it_is_back(stack: Stack, scene: Scene) -> None:
    trader = scene.trader

    def is_said() -> bool:
        told = works(trader, "/api/system/status")
        return any(banner["code"] == "broker_unavailable" for banner in told["banners"])

    with books_add_up(stack):
        with away(stack, "simulator"):
            for _ in turns(OUTAGE_S):
                scene.place()
                assert works(trader, f"/api/trades/{scene.held['id']}")["protection"] == "PROTECTED"
            assert eventually(is_said, 20)
        assert eventually(stack.is_ready, BACK_S)
        assert eventually(lambda: not is_said(), BACK_S)
        scene.hit_target()
        ends_well(scene)


def test_an_entry_that_fills_while_monitor_is_away_gets_its_exits_nevertheless(
    stack: Stack, simulator: Simulator
) -> None:
    with Trader(stack.gateway_url) as trader, books_add_up(stack):
        contract = trader.contract("QQQ", 2)
        low = str(round(Decimal(contract["bid"]) * Decimal("0.8"), 1))
        body = trader.body(contract, entry={"type": "limit", "limit_price": low})
        placed = trader.place({**body, "sl_price": str(round(Decimal(low) / 2, 1))})
        with away(stack, "monitor"):
            simulator.price(placed["occ_symbol"], low)
            assert trader.protected(placed["id"], BACK_S)["filled_qty"] == 1
            assert [leg["side"] for leg in simulator.working(placed["account_id"])] == ["sell_to_close"] * 2
        assert eventually(stack.is_ready, BACK_S)
        simulator.price(placed["occ_symbol"], placed["tp_price"])
        assert trader.closed(placed["id"], BACK_S)["close_reason"] == "TP_HIT"
