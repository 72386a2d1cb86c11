"""A whole stack on a throw-away data directory, started and stopped as a user would: `./bookend up`, `down`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).resolve().parents[2]
UP_TIMEOUT_S = 180
DOWN_TIMEOUT_S = 60


@dataclass
class Stack:
    """One stack. `options` are further options of `up`; `environment` is added to the process's."""

    data: Path
    options: tuple[str, ...] = ()
    environment: dict[str, str] | None = None
    port: int = 0

    def up(self) -> Stack:
        """Start it, or start it again on the same data."""
        self.port = self.port or _free_port()
        self._run("up", "--port", str(self.port), "--detach", *self.options, timeout_s=UP_TIMEOUT_S)
        return self

    def down(self) -> None:
        """Stop it."""
        self._run("down", timeout_s=DOWN_TIMEOUT_S)

    def status(self) -> dict[str, Any]:
        """Read what `status --json` says."""
        said: dict[str, Any] = json.loads(self._run("status", "--json", timeout_s=30))
        return said

    def is_ready(self) -> bool:
        """Say whether every part runs and is ready."""
        return all(part["ready"] for part in self.status()["services"].values())

    @property
    def gateway_url(self) -> str:
        """Say where the page and the API are."""
        return f"http://127.0.0.1:{self.port}"

    def simulator(self, status: dict[str, Any] | None = None) -> Simulator:
        """Return the outside world's controls."""
        return Simulator((status or self.status())["simulator_url"])

    def kill(self, service: str) -> int:
        """Kill a service without warning, as soon as it lives, and return the pid it had."""
        ends = time.monotonic() + 60
        while (found := self.status()["services"][service]["pid"]) is None and time.monotonic() < ends:
            time.sleep(0.2)
        pid = int(found)
        os.kill(pid, signal.SIGKILL)
        return pid

    def pids(self) -> list[psutil.Process]:
        """List the processes whose command line names the data directory or whose parent does."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            if str(self.data) in " ".join(process.info["cmdline"] or []):
                found += [process, *process.children(recursive=True)]
        return list({process.pid: process for process in found}.values())

    def _run(self, *words: str, timeout_s: float) -> str:
        done = subprocess.run(
            [ROOT / "bookend", *words, "--data", str(self.data)],
            cwd=ROOT,
            env=os.environ | (self.environment or {}),
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, f"bookend {words[0]} failed:\n{done.stdout}\n{done.stderr}"
        return done.stdout


class Simulator:
    """The outside world: what is true at the broker, and buttons to press."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=10, verify=False)

    def __enter__(self) -> Simulator:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self._http.close()

    def orders(self, account: str) -> list[dict[str, Any]]:
        """List every order of an account, legs included."""
        return list(self._get("/_control/orders", account=account))

    def orders_of_all(self) -> list[dict[str, Any]]:
        """List every order of every account."""
        return list(self._get("/_control/orders"))

    def legs(self, account: str) -> list[dict[str, Any]]:
        """List everything of an account that can execute: legs, and orders without legs."""
        return [leg for order in self.orders(account) for leg in (order.get("leg") or [order])]

    def working(self, account: str) -> list[dict[str, Any]]:
        """List what rests."""
        return [leg for leg in self.legs(account) if leg["status"] in ("open", "pending", "partially_filled", "held")]

    def price(self, symbol: str, price: str) -> None:
        """Pin a price."""
        self._post("/_control/price", symbol=symbol, price=price)

    def quote(self, symbol: str, bid: str, ask: str) -> None:
        """Pin both sides."""
        self._post("/_control/quote", symbol=symbol, bid=bid, ask=ask)

    def fault(
        self,
        kind: str,
        *,
        method: str | None = "POST",
        path: str = "/orders$",
        account: str | None = None,
        times: int = 1,
        **more: Any,
    ) -> None:
        """Let the next matching requests go wrong."""
        match = {"method": method, "path": path, "account": account}
        self._post("/_control/faults", match=match, kind=kind, times=times, **more)

    def clear_faults(self) -> None:
        """Take back every fault that is still to come."""
        self._http.delete("/_control/faults").raise_for_status()

    def event(self, **event: Any) -> Any:
        """Let something happen at the broker without us."""
        return self._post("/_control/events", **event)

    def toggle(self, **changes: Any) -> None:
        """Choose how the broker behaves where no document settles it."""
        self._post("/_control/toggles", **changes)

    def toggles(self) -> dict[str, Any]:
        """Read how it behaves."""
        return dict(self._get("/_control/toggles"))

    def release(self, symbol: str) -> None:
        """Let a price follow its path again."""
        self._post("/_control/release", symbol=symbol)

    def forget_faults(self) -> None:
        """Withdraw the faults that wait."""
        self._http.delete("/_control/faults").raise_for_status()

    def requests(self, **wanted: str) -> list[dict[str, Any]]:
        """List every request that came in, of an `account` or `method`."""
        return list(self._get("/_control/requests", **wanted))

    def cash(self) -> Any:
        """Read the truth about money."""
        return self._get("/_control/cash")

    def pay(self, account: str, amount: str) -> None:
        """Pay money in."""
        self._post("/_control/cash", account=account, amount=amount)

    def clock(self) -> dict[str, Any]:
        """Read market time."""
        return dict(self._get("/_control/clock"))

    def set_clock(self, **changes: Any) -> None:
        """Set market time, its speed or the session."""
        self._post("/_control/clock", **changes)

    def session(self, state: str) -> None:
        """Open or close the market."""
        self._post("/_control/clock", session=state)

    def _get(self, path: str, **query: str) -> Any:
        answer = self._http.get(path, params=query)
        answer.raise_for_status()
        found = answer.json()
        return next(iter(found.values())) if isinstance(found, dict) and len(found) == 1 else found

    def _post(self, path: str, **body: Any) -> Any:
        answer = self._http.post(path, json=body)
        answer.raise_for_status()
        return answer.json()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
