"""What the page tells of a trade's life: its story, what waits for the open, a limit that waits for its price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import expect

from tests.e2e.page import PATIENCE_MS, Portfolio, nearest
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


async def test_the_story_says_who_asked_what_was_paid_and_when_the_exits_rested(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("GOOGL", qty=2)
    await portfolio.row(trade.id).get_by_role("button", name="GOOGL").first.click()
    story = page.get_by_role("list", name="Timeline")
    lines = story.get_by_role("listitem")
    asked = lines.filter(has_text=re.compile(r"You asked for 2 GOOGL \d+ \w{3} \d\d [\d.]+ C, market entry"))
    await expect(asked).to_be_visible(timeout=PATIENCE_MS)
    await expect(asked).to_contain_text(re.compile(r"from the page \(.+ on Linux\), 127\.0\.0\.1"))
    bought = lines.filter(has_text=re.compile(r"Bought 2 at \d+\.\d\d"))
    await expect(bought).to_contain_text(re.compile(r"\d\d:\d\d:\d\d\+\d+\.\d+ s"))
    await bought.get_by_text("What was recorded").click()
    bought_id = (await portfolio.trade(trade.id))["tradier_order_id"]
    await expect(bought.get_by_text(bought_id, exact=True)).to_be_visible()
    await expect(story.get_by_text(re.compile(r"rest at the broker for all 2; [\d.]+ s without them"))).to_be_visible()

    few = await lines.count()
    await page.get_by_role("button", name=re.compile("Show every step")).click()
    await expect(story.get_by_text("The entry order is sent", exact=True)).to_be_visible()
    assert await lines.count() > few
    assert trade.occ_symbol not in await page.locator("body").inner_text()


async def test_a_close_in_a_closed_session_waits_for_the_open_and_can_be_withdrawn(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("META")
    row = portfolio.row(trade.id)
    with closed_session(portfolio.stack):
        banner = page.locator('[data-code="market_closed"]')
        await expect(banner).to_be_visible(timeout=60_000)
        await expect(banner).to_contain_text(re.compile(r"since \d\d:\d\d:\d\d ET"))
        await row.get_by_role("button", name="Close META").click()
        await page.get_by_role("dialog").get_by_role("button", name="Close at market").click()
        await expect(row.get_by_text("your change runs at the open")).to_be_visible(timeout=PATIENCE_MS)
        await expect(row.get_by_text("Stop and target resting")).to_be_visible()
        await row.get_by_role("button", name="Withdraw META").click()
        await expect(row.get_by_role("button", name="Close META")).to_be_visible(timeout=PATIENCE_MS)
        await expect(row.get_by_text("your change runs at the open")).to_have_count(0)
    await expect(banner).to_have_count(0, timeout=60_000)
    assert (await portfolio.trade(trade.id))["status"] == "FILLED"


async def test_a_close_that_nobody_bids_for_is_explained_until_it_sells(portfolio: Portfolio) -> None:
    page, stack = portfolio.page, portfolio.stack
    option, expiry = await at_the_money(portfolio, "NFLX")
    trade = await portfolio.api("POST", "/api/trades", body_of(option, "NFLX", expiry, entry={"type": "market"}))
    row = portfolio.row(trade["id"])
    await expect(row.get_by_text("No stop, no target")).to_be_visible(timeout=PATIENCE_MS)
    stack.control("quote", symbol=option["occ_symbol"], bid="0", ask="0.05")
    await row.get_by_role("button", name="Close NFLX").click()
    await page.get_by_role("dialog").get_by_role("button", name="Close at market").click()
    alarm = page.locator('[data-incident="no_bid"]')
    await expect(alarm).to_be_visible(timeout=PATIENCE_MS)
    await row.get_by_role("button", name="NFLX").first.click()
    details = page.get_by_role("region", name="Details of NFLX")
    await expect(details.get_by_text("Nobody bids for this contract")).to_be_visible(timeout=PATIENCE_MS)
    stack.control("price", symbol=option["occ_symbol"], price="1.00")
    await expect(row).to_have_count(0, timeout=60_000)
    await expect(alarm).to_have_count(0, timeout=PATIENCE_MS)
    assert (await portfolio.trade(trade["id"]))["close_reason"] == "MANUAL_CLOSE"


async def test_a_waiting_limit_shows_its_price(portfolio: Portfolio) -> None:
    option, expiry = await at_the_money(portfolio, "AMZN")
    limit = (Decimal(option["bid"]) * Decimal("0.8")).quantize(Decimal("0.1"))
    entry = {"type": "limit", "limit_price": str(limit)}
    trade = await portfolio.api("POST", "/api/trades", body_of(option, "AMZN", expiry, entry=entry))
    await expect(portfolio.row(trade["id"]).get_by_text(f"limit {limit:.2f}")).to_be_visible(timeout=PATIENCE_MS)


async def at_the_money(portfolio: Portfolio, ticker: str) -> tuple[Any, str]:
    """Return the call nearest the money, and its expiry."""
    expiry = (await portfolio.api("GET", f"/api/market/expirations/{ticker}"))["expirations"][3]
    return nearest(await portfolio.api("GET", f"/api/market/chain/{ticker}?expiry={expiry}")), expiry


def body_of(option: Any, ticker: str, expiry: str, *, entry: dict[str, str]) -> dict[str, Any]:
    """Write an order for one contract without exits."""
    return {
        "ticker": ticker,
        "option_type": option["option_type"],
        "strike": option["strike"],
        "expiry": expiry,
        "qty": 1,
        "entry": entry,
    }


@contextmanager
def closed_session(stack: Stack) -> Iterator[None]:
    """Close the exchange for a while."""
    stack.control("clock", session="closed")
    try:
        yield
    finally:
        stack.control("clock", session="open")
