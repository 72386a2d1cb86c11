"""The page in the words of somebody using it; every locator is what a person or a screen reader finds."""

from __future__ import annotations

import re
import shutil
import uuid
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_UP, Decimal
from typing import Any

from playwright.async_api import Locator, Page, expect

from tests.e2e.stack import Stack

PASSWORD = "correct horse battery"
TICK = Decimal("0.05")
WIDE_LIMITS = {
    "account_balance": "100000",
    "max_positions": 50,
    "daily_loss_limit": "10000",
    "heat_limit_pct": "50",
}
PATIENCE_MS = 20_000


@dataclass(frozen=True)
class Placed:
    """A trade as the API tells it right after placing."""

    id: str
    ticker: str
    occ_symbol: str
    account_id: str
    stop: Decimal
    target: Decimal
    version: int


@dataclass(frozen=True)
class Portfolio:
    """The signed-in page of one user."""

    page: Page
    stack: Stack
    username: str = ""

    async def api(self, method: str, path: str, body: Any = None, key: str | None = None) -> Any:
        """Do the same over HTTP with the page's own session; returns the answer's JSON."""
        headers = {"X-Bookend": "1", **({"Idempotency-Key": key or uuid.uuid4().hex} if method == "POST" else {})}
        url = f"{self.stack.gateway_url}{path}"
        answer = await self.page.context.request.fetch(url, method=method, headers=headers, data=body)
        assert answer.ok, f"{method} {path}: {answer.status} {await answer.text()}"
        return await answer.json()

    async def trade(self, trade_id: str) -> Any:
        """Return a trade as the API tells it now."""
        return await self.api("GET", f"/api/trades/{trade_id}")

    def row(self, trade_id: str) -> Locator:
        """Return a trade's row."""
        return self.page.locator(f'tr[data-trade="{trade_id}"]')

    def toast(self, words: str | re.Pattern[str]) -> Locator:
        """Return a message over the page."""
        return self.page.locator(".toast", has_text=words)

    async def fill_ticket(self, ticker: str, qty: int = 1) -> tuple[Decimal, Decimal]:
        """Fill in an order at the money with a stop and a target around the quote; returns the two."""
        page = self.page
        await page.get_by_role("button", name="New trade").first.click()
        ticket = page.get_by_role("complementary", name="Order ticket")
        await ticket.get_by_label("Ticker").fill(ticker)
        quote = ticket.locator("dl.quote dd")
        await expect(quote.first).to_be_visible(timeout=PATIENCE_MS)
        bid, ask = Decimal(await quote.nth(0).inner_text()), Decimal(await quote.nth(1).inner_text())
        stop, target = exits_around(bid, ask)
        await ticket.get_by_label("Contracts").fill(str(qty))
        await ticket.get_by_label("Stop", exact=True).fill(str(stop))
        await ticket.get_by_label("Target", exact=True).fill(str(target))
        return stop, target

    async def review(self) -> None:
        """Go on to the review and wait for what it says of the limits."""
        await self.page.get_by_role("button", name="Review order").click()
        await expect(self.page.get_by_role("list", name="Limits")).to_be_visible(timeout=PATIENCE_MS)

    async def review_and_place(self) -> None:
        """Go on to the review and place the order."""
        await self.review()
        await self.page.get_by_role("button", name="Place order").click()

    async def place_through_api(self, ticker: str, **fields: Any) -> Placed:
        """Place a protected trade without the page and wait until its row says so."""
        expiry = (await self.api("GET", f"/api/market/expirations/{ticker}"))["expirations"][2]
        chain = await self.api("GET", f"/api/market/chain/{ticker}?expiry={expiry}")
        body = {**body_of(nearest(chain), ticker, expiry), **fields}
        trade = await self.api("POST", "/api/trades", body)
        await expect(self.row(trade["id"]).get_by_text("Stop and target resting")).to_be_visible(timeout=PATIENCE_MS)
        return await self.placed(trade["id"])

    def lose_the_answer(self, account: str, *, delay_ms: int = 3000, times: int = 3) -> None:
        """Let the broker accept the next order without saying so, and be slow to tell when asked."""
        sent = {"method": "POST", "path": "/orders$", "account": account}
        self.stack.control("faults", match=sent, kind="drop_after", times=1)
        asked = {"method": "GET", "path": "/orders$", "account": account}
        self.stack.control("faults", match=asked, kind="slow", times=times, delay_ms=delay_ms)

    async def placed(self, trade_id: str) -> Placed:
        """Return what a test needs to know of a trade."""
        trade = await self.trade(trade_id)
        return Placed(
            id=trade["id"],
            ticker=trade["ticker"],
            occ_symbol=trade["occ_symbol"],
            account_id=trade["account_id"],
            stop=Decimal(trade["sl_price"]),
            target=Decimal(trade["tp_price"]),
            version=trade["version"],
        )


def cancel_bracket(portfolio: Portfolio, trade: Placed) -> None:
    """Let somebody take the exits down at the broker, behind our back."""
    resting = [
        order
        for order in portfolio.stack.orders(trade.account_id)
        if any(leg.get("option_symbol") == trade.occ_symbol for leg in order.get("leg") or [])
        and order["status"] == "open"
    ]
    for order in resting:
        portfolio.stack.control("events", kind="manual_cancel", account=trade.account_id, order_id=order["id"])


def chromium_path() -> str | None:
    """Return the system's Chromium; None lets Playwright use its own."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def exits_around(bid: Decimal, ask: Decimal) -> tuple[Decimal, Decimal]:
    """Return a stop a third below the bid and a target a third above the ask, on the tick."""
    stop = (bid * 2 / 3 / TICK).to_integral_value(ROUND_DOWN) * TICK
    target = (ask * 4 / 3 / TICK).to_integral_value(ROUND_UP) * TICK
    return stop, target


def nearest(chain: Any) -> Any:
    """Return the call nearest the money."""
    at = Decimal(chain["underlying_price"])
    calls = [option for option in chain["options"] if option["option_type"] == "CALL"]
    return min(calls, key=lambda option: abs(Decimal(option["strike"]) - at))


def body_of(option: Any, ticker: str, expiry: str) -> dict[str, Any]:
    """Write a protected order at market for one contract of an option."""
    stop, target = exits_around(Decimal(option["bid"]), Decimal(option["ask"]))
    return {
        "ticker": ticker,
        "option_type": option["option_type"],
        "strike": option["strike"],
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "market"},
        "sl_price": str(stop),
        "tp_price": str(target),
    }


async def open_portfolio(page: Page, stack: Stack, username: str) -> Portfolio:
    """Register on the page, widen the user's limits, and wait for the live feed."""
    await page.goto(stack.gateway_url)
    await page.get_by_role("button", name="Create an account").click()
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Create account").click()
    await expect(page.get_by_role("tab", name="Open Positions")).to_be_visible(timeout=PATIENCE_MS)
    portfolio = Portfolio(page, stack, username)
    await portfolio.api("PUT", "/api/settings", WIDE_LIMITS)
    await expect(page.get_by_text("Streaming", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return portfolio
