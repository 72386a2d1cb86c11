"""What people ask over HTTP, kept with its key, so that the truth about each request can be asked for again."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from tests.journey.trader import Json, Trader

UNCLEAR = frozenset({500, 502, 503, 504})
"""Answers after which nobody knows; a 503 that names its trade is how that trade ended."""
PATIENCE_S = 40.0


@dataclass
class Asked:
    """One request with its key, and everything that was answered. `status` 0 is a lost answer."""

    trader: Trader
    path: str
    body: Json
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    statuses: list[int] = field(default_factory=list)
    last: Json = field(default_factory=dict)
    replayed: bool = False
    is_verified: bool = False

    def send(self) -> bool:
        """Send it, once; says whether the answer is clear."""
        try:
            answer = self.trader.call("POST", self.path, self.body, key=self.key)
        except httpx.TransportError as error:
            self.statuses.append(0)
            self.last = {"code": "lost", "detail": str(error)}
            return False
        self.statuses.append(answer.status_code)
        self.last = _document(answer)
        self.replayed = answer.headers.get("Idempotent-Replayed") == "true"
        return self.is_clear

    def insist(self, over: threading.Event, within_s: float = PATIENCE_S) -> bool:
        """Send it again and again with its key until the answer is clear; a campaign that is over ends it too."""
        ends = time.monotonic() + within_s
        while not self.send():
            if time.monotonic() > ends or over.wait(0.3):
                return False
        return True

    @property
    def is_clear(self) -> bool:
        """Say whether the last answer tells what became of it."""
        if not self.statuses or self.statuses[-1] == 0 or self.last.get("code") == "idempotency_in_progress":
            return False
        return "trade_id" in self.last or self.statuses[-1] not in UNCLEAR

    @property
    def is_done(self) -> bool:
        """Say whether it was answered as done or under way."""
        return bool(self.statuses) and 200 <= self.statuses[-1] < 300

    @property
    def trade_id(self) -> str | None:
        """Return the trade that the last answer names."""
        # A signal's own id is no trade's.
        own = self.last.get("id") if self.is_done and "signal_id" not in self.last else None
        found = self.last.get("trade_id") or own
        return None if found is None else str(found)


class Ledger:
    """Every request of a campaign, and what was answered how often. Safe for many hands.

    What is said goes into `story` at once, for who looks on.
    """

    def __init__(self, story: Path) -> None:
        self._lock = threading.Lock()
        self._story = story
        self.asked: list[Asked] = []
        self.said: list[str] = []
        self.answers: Counter[str] = Counter()

    def ask(self, trader: Trader, path: str, body: Json, over: threading.Event, *, insists: bool = True) -> Asked:
        """Send a request, until it is clear what became of it or, for who walks away, once."""
        asked = Asked(trader, path, body)
        with self._lock:
            self.asked.append(asked)
        if insists:
            asked.insist(over)
        else:
            asked.send()
        verb = path.rsplit("/", 1)[-1]
        with self._lock:
            self.answers[f"{verb} {asked.statuses[-1]} {asked.last.get('code', '')}".strip()] += 1
        end = asked.last.get("code") or asked.trade_id
        self.say(f"{trader.name} {verb} {_brief(body)}: {_briefly(asked.statuses)} {end}")
        return asked

    def say(self, words: str) -> None:
        """Note what was done."""
        line = f"{datetime.now(UTC):%H:%M:%S.%f} {words}"
        with self._lock, self._story.open("a") as story:
            self.said.append(line)
            story.write(f"{line}\n")

    def unclear(self) -> list[Asked]:
        """List what nobody knows the end of yet."""
        with self._lock:
            return [one for one in self.asked if not one.is_clear]


def _document(answer: httpx.Response) -> Json:
    try:
        found: Any = answer.json()
    except ValueError:
        return {"code": "unreadable", "detail": answer.text[:200]}
    return dict(found) if isinstance(found, dict) else {"code": "unreadable"}


def _briefly(statuses: list[int]) -> str:
    """Write answers in the order they came, repeats counted."""
    return " ".join(f"{status}×{len(list(run))}" for status, run in itertools.groupby(statuses))


def _brief(body: Json) -> str:
    words = (
        "ticker",
        "strike",
        "option_type",
        "qty",
        "entry",
        "sl_price",
        "tp_price",
        "version",
        "new_sl",
        "new_tp",
        "broker_order_id",
    )
    return " ".join(str(body[word]) for word in words if word in body)
