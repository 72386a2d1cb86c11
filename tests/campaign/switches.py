"""Kill switches turned in the middle of trading: what must hold while one is engaged, and when it is released."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import httpx

from tests.campaign.asking import Ledger
from tests.campaign.picture import Picture, Row
from tests.journey.stack import Simulator
from tests.journey.trader import Json, Trader, eventually

PATH = "/api/kill-switch"
LISTS = ("closing", "queued_for_open", "unknown", "failed", "settling")
TERMINAL = frozenset({"FILLED", "CANCELLED", "REJECTED", "EXPIRED"})
QUIET_S = 2.0
"""For so long after a release nothing may reach the broker."""


def still_at_work(picture: Picture, username: str, state: Json) -> Iterator[str]:
    """Find what an engaged switch has neither ended nor listed."""
    if not state["engaged"]:
        yield f"{username} engaged the kill switch, and it is not"
    listed = {row["trade_id"]: row for name in LISTS for row in state[name]}
    for trade in picture.trades.values():
        if trade["username"] != username:
            continue
        entries = [row for row in picture.of_trade(trade["id"]) if row["role"] == "ENTRY"]
        if any(row["status"] not in TERMINAL for row in entries) and trade["id"] not in listed:
            yield f"an entry works under an engaged kill switch: {_brief(trade)}"
        elif trade["status"] != "CLOSED" and trade["id"] not in listed:
            yield f"open under an engaged kill switch, and not listed: {_brief(trade)}"
        elif trade["status"] != "CLOSED" and not listed[trade["id"]]["reason"]:
            yield f"listed without a reason: {_brief(trade)}"


def beyond_limits(picture: Picture, username: str, settings: Json) -> Iterator[str]:
    """Find more of a person's trades, or larger ones, than the settings allow; what surfaced late counts for nobody."""
    mine = [one for one in picture.trades.values() if one["username"] == username and not one["recovered_from"]]
    is_open = [trade for trade in mine if trade["status"] != "CLOSED"]
    if len(is_open) > settings["max_positions"]:
        yield f"{username} has {len(is_open)} positions, {settings['max_positions']} are allowed"
    most = settings.get("max_contracts")
    for trade in mine:
        if most is not None and trade["qty"] > most and trade["filled_qty"]:
            yield f"{trade['qty']} contracts in one trade, {most} are allowed: {_brief(trade)}"


def _brief(trade: Row) -> str:
    return " ".join(f"{name}={trade[name]}" for name in ("id", "occ_symbol", "status", "protection"))


@dataclass
class Switches:
    """Everybody's kill switch. `staying` are engaged until the chapter is checked."""

    ledger: Ledger
    people: list[Trader] = field(default_factory=list)
    staying: set[str] = field(default_factory=set)
    _until: dict[str, float] = field(default_factory=dict)

    def engage(self, number: int, seconds: float | None) -> None:
        """Engage a person's switch: for a while, or until the chapter's end."""
        person = self.people[number % len(self.people)]
        if self._turned(person, "engage"):
            if seconds is None:
                self.staying.add(person.name)
            elif person.name not in self.staying:
                self._until[person.name] = time.monotonic() + seconds

    def release_due(self, now: float) -> None:
        """Release what was engaged for a while."""
        for person in self.people:
            if self._until.get(person.name, float("inf")) <= now and person.name not in self.staying:
                del self._until[person.name]
                if not self._turned(person, "release"):
                    self._until[person.name] = now + 1.0

    def wrong(self, picture: Picture) -> list[str]:
        """List what is wrong with every switch that is engaged."""
        found: list[str] = []
        for person in self.people:
            state = person.ok("GET", PATH)
            if state["engaged"] or person.name in self.staying:
                found += still_at_work(picture, person.name, state)
        return found

    def release_all(self, world: Simulator) -> list[str]:
        """Release every switch; lists what reached the broker by it."""
        engaged = [person for person in self.people if person.ok("GET", PATH)["engaged"]]
        if not engaged:
            return []
        before = _placed(world)
        for person in engaged:
            person.insist("POST", PATH, {"action": "release"})
            self.ledger.say(f"{person.name} releases the kill switch")
        self.staying.clear()
        self._until.clear()
        fired: set[str] = set()

        def has_fired() -> bool:
            fired.update(_placed(world) - before)
            return bool(fired)

        eventually(has_fired, QUIET_S)
        return [f"sent as a kill switch was released: {tag}" for tag in sorted(fired)]

    def _turned(self, person: Trader, action: str) -> bool:
        try:
            answer = person.call("POST", PATH, {"action": action})
        except httpx.TransportError as error:
            self.ledger.say(f"{person.name} kill switch {action}: lost, {error!r}")
            # It may have been engaged: then it stays so, and is checked.
            return False
        self.ledger.say(f"{person.name} kill switch {action}: {answer.status_code}")
        return answer.is_success


def _placed(world: Simulator) -> set[str]:
    """Name every entry that came in: exits of what is held may follow a release."""
    return {one["tag"] for one in world.requests(method="POST") if one["tag"] and one["side"] == "buy_to_open"}
