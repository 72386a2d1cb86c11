"""The simulator's control side as tests use it: what happens at the broker, and the truth there."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import httpx
import orjson

from libs.common.messages.vocabulary import OptionType
from libs.market.options import OccSymbol

TICKER = "SPY"


class Sim:
    """The simulator's control side, and a look at the broker's truth."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._http = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False, verify=False)

    async def control(self, path: str, **body: Any) -> Any:
        """Do something to the outside world."""
        answer = await self._http.post(f"/_control/{path}", content=orjson.dumps(body, default=str))
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None

    async def orders(self, account: str) -> list[dict[str, Any]]:
        """List the broker's orders of an account."""
        found: list[dict[str, Any]] = (await self._http.get("/_control/orders", params={"account": account})).json()
        return found

    async def clear_faults(self, account: str | None = None) -> None:
        """Let the broker behave again, towards one account or towards all."""
        query = {} if account is None else {"account": account}
        assert (await self._http.delete("/_control/faults", params=query)).status_code < 300

    async def requests(self) -> Any:
        """List every request the broker received."""
        return (await self._http.get("/_control/requests")).json()

    async def quote(self, symbol: str) -> dict[str, Any]:
        """Read a quote as any client would."""
        answer = await self._http.get(
            "/v1/markets/quotes",
            params={"symbols": symbol},
            headers={"Authorization": "Bearer reader-1", "Accept": "application/json"},
        )
        found: dict[str, Any] = answer.json()["quotes"]["quote"]
        return found

    async def cash(self, account: str) -> dict[str, Any]:
        """Read the broker's truth about an account's money and holdings."""
        found: list[dict[str, Any]] = (await self._http.get("/_control/cash", params={"account": account})).json()
        return found[0]

    async def writes(self, account: str) -> list[tuple[str, str]]:
        """List what an account was asked to change, oldest first; a preview changes nothing, and has no tag."""
        seen = (await self._http.get("/_control/requests", params={"account": account})).json()
        changing = [one for one in seen if one["method"] == "DELETE" or one["tag"] is not None]
        return [(one["method"], one["path"]) for one in changing]

    async def contract(self, ticker: str = TICKER, right: OptionType = OptionType.CALL, *, nth: int = 0) -> OccSymbol:
        """Choose a listed contract near the money, a few weeks out; `nth` strikes above it."""
        headers = {"Authorization": "Bearer reader-1", "Accept": "application/json"}
        dates = (
            await self._http.get("/v1/markets/options/expirations", params={"symbol": ticker}, headers=headers)
        ).json()["expirations"]["date"]
        expiry = date.fromisoformat(dates[4])
        strikes = (
            await self._http.get(
                "/v1/markets/options/strikes",
                params={"symbol": ticker, "expiration": dates[4]},
                headers=headers,
            )
        ).json()["strikes"]["strike"]
        strike = Decimal(str(strikes[len(strikes) // 2 + nth]))
        return OccSymbol(ticker, expiry, right, strike)

    async def aclose(self) -> None:
        """Let go of the connection."""
        await self._http.aclose()
