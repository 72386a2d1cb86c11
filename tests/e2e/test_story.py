"""What the page tells of a trade's life: its story, what waits for the open, a limit that waits for its price."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

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


async def test_a_waiting_limit_shows_its_price(portfolio: Portfolio) -> None:
    expiry = (await portfolio.api("GET", "/api/market/expirations/AMZN"))["expirations"][3]
    option = nearest(await portfolio.api("GET", f"/api/market/chain/AMZN?expiry={expiry}"))
    limit = (Decimal(option["bid"]) * Decimal("0.8")).quantize(Decimal("0.1"))
    body = {
        "ticker": "AMZN",
        "option_type": "CALL",
        "strike": option["strike"],
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "limit", "limit_price": str(limit)},
        "sl_price": str((limit * Decimal("0.6")).quantize(Decimal("0.1"))),
    }
    trade = await portfolio.api("POST", "/api/trades", body)
    await expect(portfolio.row(trade["id"]).get_by_text(f"limit {limit:.2f}")).to_be_visible(timeout=PATIENCE_MS)


@contextmanager
def closed_session(stack: Stack) -> Iterator[None]:
    """Close the exchange for a while."""
    stack.control("clock", session="closed")
    try:
        yield
    finally:
        stack.control("clock", session="open")
