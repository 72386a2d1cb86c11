"""What a campaign does, decided by one number: who trades what, and what goes wrong when. Pure.

1. The same seed and minutes make the same script, to the last parameter; only the timing of a run may differ.
2. A chapter has its own trades and its own troubles; between chapters everything that goes wrong is withdrawn.
3. Nothing here knows how to do it: `hands` trade, `troubles` make trouble.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

CHAPTER_S = 40.0
"""How long trades are begun and things go wrong before the system is left in peace and checked."""
SETTLE_S = 20.0
"""What leaving it in peace and checking it takes, about: only to fit chapters into minutes."""
HANDS = 6
"""How many trades are under way at the same time."""
PEOPLE = 3
LIVES_PER_HAND = 60
"""More than a chapter can hold: a hand stops when the chapter is over."""
CONTRACTS = 24

WRITES = {
    "place": ("POST", "/orders$"),
    "cancel": ("DELETE", r"/orders/\d+$"),
}
READS = {
    "orders": ("GET", "/orders$"),
    "order": ("GET", r"/orders/\d+$"),
    "positions": ("GET", "/positions$"),
    "balances": ("GET", "/balances$"),
    "quotes": ("GET", "/markets/quotes$"),
    "clock": ("GET", "/markets/clock$"),
    "events": ("POST", "/accounts/events/session$"),
}
WRITE_FAULTS = (
    "drop_before", "drop_after", "hang", "slow", "status_500", "status_500_after", "status_502_html", "status_503",
    "status_429", "datastore_500", "html_200",
)  # fmt: skip
PLACE_FAULTS = ("reject_later", "partial_fill", "no_fill")
LIST_FAULTS = ("empty_list", "stale_list", "half_page")
STREAM_FAULTS = ("duplicate_event", "lost_event", "reordered_event", "drop_stream")
TOGGLES: dict[str, tuple[Any, ...]] = {
    "otoco_release": ("first_fill", "full_fill"),
    "oco_partial": ("reduce", "leave", "cancel_sibling"),
    "null_tag": (True, False),
    "stop_trigger": ("last", "bid"),
    "latency_ms": (30, 150, 0),
    "cancel_delay_ms": (400, 1500, 50),
    "fill_delay_ms": (200, 900, 0),
    "sibling_cancel_ms": (600, 140),
    "parent_fill_ms": (800, 150),
    "late_price_ms": (300, 0),
    "refusal_form": ("list", "string"),
    "tick_refusal": ("now", "late"),
    "opposite_side": ("refuse", "allow", "market_only"),
    "gtc_listed": (True, False),
    "pending_buys": (True, False),
    "history": ("never", "nightly"),
}
SERVICES = ("orders", "orders-2", "monitor", "monitor-2", "gateway", "pricing", "forensics")
SERVERS = ("nats", "postgres", "simulator")


@dataclass(frozen=True, slots=True)
class Move:
    """Something that happens to a trade: by its owner, the market or the broker's desk. `size` is 0 to 1."""

    kind: str
    after_s: float
    size: float


@dataclass(frozen=True, slots=True)
class Life:
    """One trade as its owner means it. `contract` is an index into the campaign's contracts."""

    contract: int
    qty: int
    entry: str
    exits: str
    moves: tuple[Move, ...]
    walks_away: bool
    """Does not ask again when the answer is lost; the checker does, later."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong, `at_s` seconds into a chapter."""

    at_s: float
    kind: str
    what: str
    terms: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Chapter:
    """What happens between two checks. `hands[n]` are the lives of hand n, one after the other."""

    number: int
    hands: tuple[tuple[Life, ...], ...]
    troubles: tuple[Trouble, ...]
    clock: tuple[tuple[float, str], ...]
    """Steps of market time, each with its second; see `hours.STEPS`."""

    def all_troubles(self) -> tuple[Trouble, ...]:
        """Return the troubles with the later steps of market time among them, in the order of their seconds."""
        steps = [Trouble(at_s, "clock", step, {}) for at_s, step in self.clock[1:]]
        return tuple(sorted([*self.troubles, *steps], key=lambda one: one.at_s))

    @property
    def nth_expiry(self) -> int:
        """Say which expiry is traded: the next one where it is to be lived through."""
        return 0 if any("expiry" in step for _, step in self.clock) else 3


ENTRIES = {"market": 5, "limit_at": 3, "limit_below": 2, "signal": 2, "bot": 2}
"""`signal` is published over HTTP, `bot` over NATS."""
EXITS = {"both": 6, "stop": 1, "target": 1, "none": 1}
MOVES = {
    "close": 5,
    "close_twice": 1,
    "adjust": 3,
    "adjust_twice": 1,
    "hit_stop": 3,
    "hit_target": 3,
    "gap": 1,
    "meet_entry": 2,
    "cancel_exits": 1,
    "buy_foreign": 1,
    "sell_foreign": 1,
    "sell_ours": 1,
    "double_fill": 1,
    "liquidate": 1,
    "rest_foreign": 1,
    "exercise": 1,
    "corporate_action": 1,
}
RARE = frozenset({"exercise", "corporate_action"})
"""What happens once in a while: a fifth as often as the others of the least weight."""
TROUBLES = {"write_fault": 10, "place_fault": 3, "read_fault": 5, "list_fault": 3, "stream_fault": 4, "toggle": 5,
            "kill": 2, "freeze": 2, "server": 1, "told_again": 1, "forgotten": 1, "kill_switch": 1}  # fmt: skip


HOURS: tuple[tuple[tuple[float, str], ...], ...] = (
    ((0.0, "open"),),
    ((0.0, "before_close"), (30.0, "before_open")),
    ((0.0, "open"),),
    ((0.0, "before_midnight"),),
    ((0.0, "open"), (15.0, "before_half_day_close")),
    ((0.0, "before_open"), (20.0, "open")),
    ((0.0, "before_expiry"), (14.0, "near_expiry"), (26.0, "at_expiry"), (36.0, "after_expiry")),
    ((0.0, "before_open"), (15.0, "open")),
)
"""Market time of the chapters, over and over; it only goes forward."""


def _one_of(dice: random.Random, weights: dict[str, int]) -> str:
    return dice.choices(tuple(weights), tuple(weights.values()))[0]


def write_script(seed: int, minutes: float) -> tuple[Chapter, ...]:
    """Write a campaign's chapters. Units: minutes of real time, about."""
    count = max(1, round(minutes * 60 / (CHAPTER_S + SETTLE_S)))
    return tuple(_chapter(random.Random(f"{seed}/{number}"), number) for number in range(count))


def _chapter(dice: random.Random, number: int) -> Chapter:
    hours = HOURS[number % len(HOURS)]
    rare = RARE if any("expiry" in step for _, step in hours) else frozenset[str]()
    hands = tuple(tuple(_life(dice, rare) for _ in range(LIVES_PER_HAND)) for _ in range(HANDS))
    return Chapter(number, hands, _troubles(dice), hours)


def _move(dice: random.Random, never: frozenset[str]) -> str:
    kind = _one_of(dice, MOVES)
    return kind if kind not in RARE or (kind not in never and dice.random() < 0.2) else "close"


def _life(dice: random.Random, never: frozenset[str]) -> Life:
    moves = tuple(
        Move(_move(dice, never), round(dice.choice((0.0, 0.05, 0.3, 1.0)) * (0.5 + dice.random()), 3), dice.random())
        for _ in range(dice.choices((0, 1, 2, 3), (1, 5, 4, 2))[0])
    )
    return Life(
        contract=dice.randrange(CONTRACTS),
        qty=dice.choices((1, 2, 3, 5), (5, 2, 2, 1))[0],
        entry=_one_of(dice, ENTRIES),
        exits=_one_of(dice, EXITS),
        moves=moves,
        walks_away=dice.random() < 0.15,
    )


def _troubles(dice: random.Random) -> tuple[Trouble, ...]:
    found: list[Trouble] = []
    at_s = 1.0
    while (at_s := at_s + dice.expovariate(0.8)) < CHAPTER_S:
        found.append(_trouble(dice, round(at_s, 2)))
    return tuple(found)


def _trouble(dice: random.Random, at_s: float) -> Trouble:
    kind = _one_of(dice, TROUBLES)
    what, terms = TERMS[kind](dice)
    return Trouble(at_s, kind, what, terms)


Terms = tuple[str, dict[str, Any]]


def _write_fault(dice: random.Random) -> Terms:
    what = dice.choice(WRITE_FAULTS)
    return what, _fault(dice, what, WRITES, dice.choice((1, 1, 1, 2, 3)))


def _place_fault(dice: random.Random) -> Terms:
    what = dice.choice(PLACE_FAULTS)
    return what, _fault(dice, what, {"place": WRITES["place"]}, 1)


def _read_fault(dice: random.Random) -> Terms:
    what = dice.choice(WRITE_FAULTS)
    return what, _fault(dice, what, READS, dice.choice((1, 1, 2, 3)))


def _list_fault(dice: random.Random) -> Terms:
    what = dice.choice(LIST_FAULTS)
    return what, _fault(dice, what, {name: READS[name] for name in ("orders", "positions")}, dice.choice((1, 2, 4)))


def _toggle(dice: random.Random) -> Terms:
    what = dice.choice(tuple(TOGGLES))
    return what, {"value": dice.choice(TOGGLES[what])}


TERMS: dict[str, Callable[[random.Random], Terms]] = {
    "write_fault": _write_fault,
    "place_fault": _place_fault,
    "read_fault": _read_fault,
    "list_fault": _list_fault,
    "stream_fault": lambda dice: (dice.choice(STREAM_FAULTS), {"times": dice.choice((1, 2, 3))}),
    "toggle": _toggle,
    "kill": lambda dice: (dice.choice(SERVICES), {}),
    "freeze": lambda dice: (dice.choice(SERVICES[:5]), {"seconds": round(dice.uniform(0.5, 9.0), 2)}),
    "server": lambda dice: (dice.choices(SERVERS, (3, 3, 1))[0], {}),
    "told_again": lambda dice: ("facts", {}),
    "forgotten": lambda dice: ("facts", {}),
    "kill_switch": lambda dice: (str(dice.randrange(PEOPLE)), {"seconds": dice.choice((None, 0.1, 2.0, 6.0))}),
}
DELAYS_MS = {
    "hang": (2500, 6000),
    "slow": (300, 1200, 4000),
    "reject_later": (100, 700),
    "partial_fill": (400, 2000, 8000),
    "no_fill": (400, 2000, 8000),
}


def _fault(dice: random.Random, kind: str, where: dict[str, tuple[str, str]], times: int) -> dict[str, Any]:
    method, path = where[dice.choice(tuple(where))]
    terms: dict[str, Any] = {"method": method, "path": path, "times": times}
    return terms | ({"delay_ms": dice.choice(DELAYS_MS[kind])} if kind in DELAYS_MS else {})
