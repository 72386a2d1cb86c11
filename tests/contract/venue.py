"""An account at the simulator: our client on one side, the controls on the other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.broker.base import (
    BrokerMode,
    BrokerProvider,
    Duration,
    OcoOrder,
    OptionOrder,
    OrderReport,
    OrderSide,
    OrderType,
)
from libs.broker.factory import BrokerFactory
from libs.broker.tradier_session import Deadlines
from libs.common.http import Call, HttpClient
from libs.common.testing import eventually
from libs.market.options import OccSymbol


class Venue:
    """One token, its account, and what a test does behind the broker's back."""

    def __init__(self, http: HttpClient, url: str, token: str) -> None:
        """Take the account whose number the token ends in."""
        self.http, self.url, self.token = http, url, token
        self.account_id = f"VA{int(token.rpartition('-')[2]):08d}"
        self.tags = 0

    def broker(
        self, *, token: str | None = None, account_id: str | None = None, write_s: float = 5.0
    ) -> BrokerProvider:
        """Return our client for the account."""
        factory = BrokerFactory(
            self.http, {BrokerMode.PAPER: self.url}, deadlines=Deadlines(read_s=10.0, write_s=write_s)
        )
        return factory.get_broker(BrokerMode.PAPER, account_id or self.account_id, token or self.token)

    async def control(self, name: str, body: dict[str, Any]) -> Any:
        """Use a control."""
        call = Call("POST", f"{self.url}/_control/{name}", name, json=body)

        def accepted(answer: Any) -> Any:
            assert answer.status == 200, answer.text
            return answer.quick_json()

        return await self.http.write(call, accepted, deadline_s=10.0)

    async def clear(self) -> None:
        """Take back every fault that is still waiting."""
        call = Call("DELETE", f"{self.url}/_control/faults", "faults")
        await self.http.write(call, lambda answer: answer.status, deadline_s=10.0)

    async def fault(self, kind: str, method: str, path: str = "/orders", times: int = 1, **more: Any) -> None:
        """Break the next requests of this account."""
        match = {"method": method, "path": path, "account": self.account_id}
        await self.control("faults", {"match": match, "kind": kind, "times": times, **more})

    async def contract(self, ticker: str = "AAPL") -> OccSymbol:
        """Name a listed call."""
        broker = self.broker()
        expiry = (await broker.expirations(ticker))[3]
        calls = [quote for quote in (await broker.chain(ticker, expiry)).options if quote.option_type == "CALL"]
        return OccSymbol.parse(calls[len(calls) // 2 + self.tags % 3].symbol)

    async def price(self, contract: OccSymbol, price: str) -> None:
        """Pin a contract's price."""
        await self.control("price", {"symbol": str(contract), "price": price})

    def tag(self) -> str:
        """Name an order."""
        self.tags += 1
        return f"bk-{self.account_id}-{self.tags}"

    def entry(self, contract: OccSymbol, qty: int = 2, limit: str | None = None) -> OptionOrder:
        """Describe an entry."""
        return OptionOrder(
            occ_symbol=str(contract),
            underlying=contract.root,
            side=OrderSide.BUY_TO_OPEN,
            qty=qty,
            type=OrderType.MARKET if limit is None else OrderType.LIMIT,
            duration=Duration.DAY,
            tag=self.tag(),
            price=None if limit is None else Decimal(limit),
        )

    def exits(self, contract: OccSymbol, qty: int = 2, target: str = "6.00", stop: str = "2.00") -> OcoOrder:
        """Describe the exits."""
        return OcoOrder(
            occ_symbol=str(contract),
            underlying=contract.root,
            qty=qty,
            target_price=Decimal(target),
            stop_price=Decimal(stop),
            tag=self.tag(),
        )

    async def filled(self, contract: OccSymbol, qty: int = 2, price: str = "4.00") -> OrderReport:
        """Buy at a pinned price and see it filled."""
        await self.price(contract, price)
        placed = await self.broker().place(self.entry(contract, qty))

        async def look() -> OrderReport | None:
            report = await self.broker().order(placed.id)
            return report if report.is_terminal and report.is_priced else None

        report = await eventually(look)
        assert report is not None
        return report
