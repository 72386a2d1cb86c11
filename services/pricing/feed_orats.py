"""ORATS' door: one request per ticker, read into quotes. Source: ORATS Data API, live endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Any

from libs.common.errors import UpstreamAuth, UpstreamUnavailable
from libs.common.http import Answer, Call, HttpClient, Unreadable
from services.pricing.cycle import Wish
from services.pricing.feed import Feed
from services.pricing.orats import Rows, read_expirations, read_rows
from services.pricing.settings import Settings


class OratsFeed(Feed):
    """Live strikes and expirations."""

    source = "orats"

    def __init__(self, http: HttpClient, settings: Settings) -> None:
        self._http, self._settings = http, settings
        self.parallel = settings.orats_parallel
        self.requests_per_min = settings.orats_requests_per_min
        self._places = asyncio.Semaphore(self.parallel)

    async def quotes(self, wish: Wish) -> Rows:
        """Quote the wished contracts of one ticker. Raises: UpstreamError."""
        expiries = ",".join(expiry.isoformat() for expiry in wish.expiries)
        rows = await self._rows("live/strikes/monthly", {"ticker": wish.ticker, "expiry": expiries})
        return read_rows(wish.ticker, rows, wish.contracts)

    async def chain(self, ticker: str, expiry: date) -> Rows:
        """Quote every strike of one expiry. Raises: UpstreamError."""
        rows = await self._rows("live/strikes/monthly", {"ticker": ticker, "expiry": expiry.isoformat()})
        return read_rows(ticker, rows)

    async def expirations(self, ticker: str) -> tuple[date, ...]:
        """List the expiries of a ticker, soonest first; none for one that the vendor does not know."""
        return read_expirations(await self._rows("live/expirations", {"ticker": ticker}))

    async def _rows(self, path: str, query: Mapping[str, str]) -> list[Any]:
        call = Call(
            method="GET",
            url=f"{self._settings.orats_url.rstrip('/')}/{path}",
            what=f"ORATS {path}",
            query={**query, "token": self._settings.orats_token.get_secret_value()},
        )
        async with self._places:
            return await self._http.read(call, _data, deadline_s=self._settings.orats_deadline_s)


def _data(answer: Answer) -> list[Any]:
    """Read the rows. No row is an answer; no `data` is not. Raises: UpstreamAuth, UpstreamUnavailable, Unreadable."""
    if answer.status in (401, 403):
        raise UpstreamAuth("ORATS refused the token")
    if answer.status == 404:
        return []
    if not answer.is_ok:
        raise Unreadable(f"status {answer.status}")
    body = answer.quick_json()
    if not isinstance(body, dict) or not isinstance(body.get("data"), list):
        raise UpstreamUnavailable("ORATS answered without data")
    rows: list[Any] = body["data"]
    return rows
