"""A simulator process of one's own, and a client that speaks to it as a trader does."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import httpx

ROOT = Path(__file__).parents[2]
START_S = 15.0
Json = Any
T = TypeVar("T")


def eventually(probe: Callable[[], T], *, within_s: float = 5.0) -> T:
    """Ask until the answer is true."""
    ends = time.monotonic() + within_s
    while True:
        found = probe()
        if found or time.monotonic() > ends:
            assert found, f"not true within {within_s} s"
            return found
        time.sleep(0.01)


class SimulatorProcess:
    """`python -m simulator` on a free port, with its data in a folder."""

    def __init__(self, data: Path, *arguments: str) -> None:
        self.data = data
        self.arguments = arguments
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""

    def start(self) -> SimulatorProcess:
        """Start and wait for the port."""
        port_file = self.data / "port"
        port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "simulator", "--data", str(self.data), "--port-file", str(port_file)]
        self.process = subprocess.Popen([*command, *self.arguments], cwd=ROOT, stdout=subprocess.DEVNULL)
        eventually(
            lambda: port_file.exists() or self.process is None or self.process.poll() is not None, within_s=START_S
        )
        assert self.process.poll() is None, "the simulator ended at once"
        self.url = f"http://127.0.0.1:{port_file.read_text().strip()}"
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End it politely; answer its exit code."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=10)


class Trader:
    """One token at the simulator."""

    def __init__(self, url: str, token: str) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        self.token = token
        self.http = httpx.Client(base_url=url, headers=headers, timeout=10, verify=False)
        self.account = f"VA{int(token.rpartition('-')[2]):08d}"

    def close(self) -> None:
        """Let the connections go."""
        self.http.close()

    def control(self, name: str, **body: object) -> Json:
        """Use a control."""
        answer = self.http.post(f"/_control/{name}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def truth(self, order_id: int | None = None) -> Json:
        """Tell the orders as they are, or one of them."""
        orders = self.http.get("/_control/orders", params={"account": self.account}).json()
        return orders if order_id is None else next(one for one in orders if one["id"] == order_id)

    def cash(self) -> Json:
        """Tell the account's money as it is."""
        return self.http.get("/_control/cash", params={"account": self.account}).json()[0]

    def get(self, path: str, **params: object) -> httpx.Response:
        """Read something of the account, or of the markets."""
        base = "/v1" if path.startswith(("/markets", "/user")) else f"/v1/accounts/{self.account}"
        return self.http.get(base + path, params={name: str(value) for name, value in params.items()})

    def post(self, form: dict[str, object]) -> httpx.Response:
        """Place."""
        return self.http.post(f"/v1/accounts/{self.account}/orders", data=form)

    def place(self, form: dict[str, object]) -> int:
        """Place and be accepted; answer the id."""
        answer = self.post(form)
        assert answer.status_code == 200, answer.text
        assert "order" in answer.json(), answer.text
        order_id: int = answer.json()["order"]["id"]
        return order_id

    def order(self, order_id: int, **params: object) -> Json:
        """Look one order up."""
        return self.get(f"/orders/{order_id}", **params).json()["order"]

    def contract(self, symbol: str = "SPY", expiry: int = 3, strike: int = 20, right: str = "C") -> str:
        """Name a listed option."""
        days = self.get("/markets/options/expirations", symbol=symbol).json()["expirations"]["date"]
        strikes = self.get("/markets/options/strikes", symbol=symbol, expiration=days[expiry]).json()["strikes"][
            "strike"
        ]
        return f"{symbol}{days[expiry][2:].replace('-', '')}{right}{round(strikes[strike] * 1000):08d}"

    def buy(self, option: str, quantity: int = 1, price: float = 5.0, **more: object) -> int:
        """Pin an option and buy it at the market."""
        self.control("price", symbol=option, price=price)
        return self.place(entry(option, quantity) | more)

    def protected(self, quantity: int = 1, target: float = 6.0, stop: float = 4.0) -> tuple[str, int]:
        """Hold an option at 5.00 with its two exits resting; answer option and group."""
        option = self.contract()
        self.buy(option, quantity)
        return option, self.place(bracket(option, quantity, target, stop))


def underlying_of(option: str) -> str:
    """Name an option's underlying."""
    return option[:-15]


def entry(option: str, quantity: int = 1, **more: object) -> dict[str, object]:
    """Write a market buy."""
    return {"class": "option", "symbol": underlying_of(option), "option_symbol": option, "side": "buy_to_open",
            "quantity": quantity, "type": "market", "duration": "day"} | more  # fmt: skip


def exit_order(option: str, quantity: int = 1, **more: object) -> dict[str, object]:
    """Write a market sell."""
    return entry(option, quantity, side="sell_to_close") | more


def bracket(option: str, quantity: int, target: float, stop: float, **more: object) -> dict[str, object]:
    """Write an OCO of a target and a stop."""
    form: dict[str, object] = {"class": "oco", "duration": "gtc"}
    terms = ({"type": "limit", "price": f"{target:.2f}"}, {"type": "stop", "stop": f"{stop:.2f}"})
    for n, term in enumerate(terms):
        leg = {"symbol": underlying_of(option), "option_symbol": option, "side": "sell_to_close", "quantity": quantity}
        form |= {f"{name}[{n}]": value for name, value in (leg | term).items()}
    return form | more


def three_legs(option: str, quantity: int, prices: tuple[float, float, float]) -> dict[str, object]:
    """Write an OTOCO: a limit entry for the day, then target and stop until cancelled."""
    form: dict[str, object] = {"class": "otoco"}
    terms: tuple[dict[str, object], ...] = (
        {"side": "buy_to_open", "type": "limit", "price": f"{prices[0]:.2f}", "duration": "day"},
        {"side": "sell_to_close", "type": "limit", "price": f"{prices[1]:.2f}", "duration": "gtc"},
        {"side": "sell_to_close", "type": "stop", "stop": f"{prices[2]:.2f}", "duration": "gtc"},
    )
    for n, term in enumerate(terms):
        leg = {"symbol": underlying_of(option), "option_symbol": option, "quantity": quantity} | term
        form |= {f"{name}[{n}]": value for name, value in leg.items()}
    return form
