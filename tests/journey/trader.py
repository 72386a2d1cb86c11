"""Somebody who trades over HTTP and nothing else."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import httpx
import orjson

Json = dict[str, Any]
WIDE = {
    "account_balance": "100000",
    "max_positions": 50,
    "daily_loss_limit": "50000",
    "heat_limit_pct": "100",
}


class Trader:
    """One person with a session. Places one contract at a time unless told otherwise."""

    def __init__(self, url: str, name: str | None = None) -> None:
        self.name = name or f"t{uuid.uuid4().hex[:10]}"
        self.password = "correct horse battery staple"
        self.http = httpx.Client(base_url=url, timeout=15, headers={"X-Bookend": "1"}, verify=False)

    def join(self) -> Trader:
        """Register, sign in and widen the limits."""
        self.ok("POST", "/api/auth/register", {"username": self.name, "password": self.password})
        self.login()
        self.eventually(lambda: self.http.put("/api/settings", json=WIDE).status_code == 200, 15)
        return self

    def __enter__(self) -> Trader:
        """Join."""
        return self.join()

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.http.close()

    @contextmanager
    def back(self) -> Iterator[Trader]:
        """Sign in again."""
        with self.http:
            self.login()
            yield self

    def login(self) -> None:
        """Sign in."""
        self.ok("POST", "/api/auth/login", {"username": self.name, "password": self.password})

    def call(self, method: str, path: str, body: Json | None = None, *, key: str | None = None) -> httpx.Response:
        """Send one request."""
        headers = {"Idempotency-Key": key} if key else {}
        return self.http.request(method, path, json=body, headers=headers)

    def insist(
        self, method: str, path: str, body: Json | None = None, *, key: str | None = None, within_s: float = 40
    ) -> Json:
        """Send one request again and again, with the same key, until there is a clear answer that it was done."""
        last: list[httpx.Response] = []

        def done() -> bool:
            last[:] = [self.call(method, path, body, key=key)]
            return last[0].is_success

        assert eventually(done, within_s), last[0].text if last else "nobody answered"
        return dict(last[0].json()) if last[0].content else {}

    def ok(self, method: str, path: str, body: Json | None = None, *, key: str | None = None) -> Json:
        """Send one request that must succeed."""
        answer = self.call(method, path, body, key=key)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return dict(answer.json()) if answer.content else {}

    # ── the market ───────────────────────────────────────────────────────────────────────────────────────────────────

    def contract(self, ticker: str = "SPY", nth: int = 0, option_type: str = "CALL", expiry_nth: int = 3) -> Json:
        """Choose the nth contract beside the money of an expiry, with its quote."""
        # A 503 of the market says "try again", as it does to the page: what the test is about comes after.
        expiry = self.insist("GET", f"/api/market/expirations/{ticker}")["expirations"][expiry_nth]
        chain = self.insist("GET", f"/api/market/chain/{ticker}?expiry={expiry}")
        spot = Decimal(chain["underlying_price"])
        options = [o for o in chain["options"] if o["option_type"] == option_type and Decimal(o["bid"]) > 1]
        options.sort(key=lambda option: abs(Decimal(option["strike"]) - spot))
        return {"ticker": ticker, "expiry": expiry, **options[nth]}

    def body(self, contract: Json, **changes: Any) -> Json:
        """Write a market order with a stop at two thirds and a target at four thirds of the ask."""
        ask = Decimal(contract["ask"])
        return {
            "ticker": contract["ticker"],
            "option_type": contract["option_type"],
            "strike": contract["strike"],
            "expiry": contract["expiry"],
            "qty": 1,
            "entry": {"type": "market"},
            "sl_price": str(round(ask * 2 / 3, 1)),
            "tp_price": str(round(ask * 4 / 3, 1)),
            **changes,
        }

    # ── trades ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def place(self, body: Json, key: str | None = None) -> Json:
        """Place a trade."""
        return self.ok("POST", "/api/trades", body, key=key or uuid.uuid4().hex)

    def trade(self, trade_id: str) -> Json:
        """Read one trade."""
        return self.ok("GET", f"/api/trades/{trade_id}")

    def protected(self, trade_id: str, within_s: float = 15) -> Json:
        """Wait until a trade is filled and protected."""
        return self.until(trade_id, lambda t: (t["status"], t["protection"]) == ("FILLED", "PROTECTED"), within_s)

    def closed(self, trade_id: str, within_s: float = 20) -> Json:
        """Wait until a trade is over."""
        return self.until(trade_id, lambda t: t["status"] == "CLOSED", within_s)

    def until(self, trade_id: str, holds: Callable[[Json], bool], within_s: float) -> Json:
        """Wait until a trade is as described; a service that is down for a moment is asked again."""
        last: Json = {}

        def reached() -> bool:
            nonlocal last
            answer = self.call("GET", f"/api/trades/{trade_id}")
            last = dict(answer.json()) if answer.is_success else last
            return bool(last) and holds(last)

        assert self.eventually(reached, within_s), f"still {last}"
        return last

    def eventually(self, holds: Callable[[], bool], within_s: float) -> bool:
        """Try again until it holds or the time is up; an unreachable gateway does not hold."""
        return eventually(holds, within_s)

    # ── the live feed ────────────────────────────────────────────────────────────────────────────────────────────────

    @contextmanager
    def listening(self, last_event_id: str | None = None) -> Iterator[list[Json]]:
        """Collect what the live feed says: {event, id, data}."""
        heard: list[Json] = []
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        client = httpx.Client(base_url=self.http.base_url, cookies=dict(self.http.cookies), timeout=40, verify=False)
        with client, client.stream("GET", "/api/stream", headers=headers) as answer:
            answer.raise_for_status()
            listener = threading.Thread(target=_collect, args=(answer, heard))
            listener.start()
            try:
                yield heard
            finally:
                # A thread that waits for the next line wakes only when the connection ends.
                answer.extensions["network_stream"].get_extra_info("socket").shutdown(socket.SHUT_RDWR)
                listener.join()


def _collect(answer: httpx.Response, heard: list[Json]) -> None:
    frame: Json = {}
    try:
        for line in answer.iter_lines():
            if line == "":
                if "event" in frame:
                    heard.append(frame)
                frame = {}
            elif not line.startswith(":"):
                name, _, value = line.partition(": ")
                frame[name] = orjson.loads(value) if name == "data" else value
    except httpx.TransportError:
        return


def eventually(holds: Callable[[], bool], within_s: float) -> bool:
    """Try again until it holds or the time is up; a server that cannot be reached does not hold."""
    ends = time.monotonic() + within_s
    while True:
        try:
            if holds():
                return True
        except httpx.TransportError:
            pass
        if time.monotonic() > ends:
            return False
        time.sleep(0.05)
