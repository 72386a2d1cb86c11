"""The approval queue: a bot's signal waits on the page, moves by facts, and becomes a protected trade with one tap."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

from tests.e2e.page import PATIENCE_MS, Portfolio, body_of, nearest

pytestmark = pytest.mark.e2e


async def test_an_approved_signal_becomes_a_protected_trade_however_often_it_is_tapped(portfolio: Portfolio) -> None:
    page = portfolio.page
    signal = await publish(portfolio, "AAPL", strategy="<img src=x onerror=alert(1)>")
    await expect(portfolio.toast("waits for your approval")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page).to_have_title("PAPER · (1) · Bookend")
    await page.get_by_role("tab", name="Signals 1 waiting").click()
    card = card_of(portfolio, signal)
    await expect(card.get_by_text(re.compile(r"\d+ s old"))).to_be_visible(timeout=PATIENCE_MS)
    await expect(card.get_by_text(re.compile(r"% since, at most 20 %"))).to_be_visible()
    await expect(card.get_by_text(re.compile(r"expires in \d+ min"))).to_be_visible()
    await expect(card.locator('[data-limit="max_positions"]')).to_contain_text("0 → 1", timeout=PATIENCE_MS)
    await expect(card.get_by_text("<img src=x onerror=alert(1)>")).to_be_visible()
    await card.get_by_role("button", name="Approve").dblclick()

    await expect(card).to_have_count(0, timeout=PATIENCE_MS)
    await expect(page.get_by_role("table", name="Decided lately").get_by_text("Became a trade")).to_be_visible(
        timeout=PATIENCE_MS
    )
    (trade,) = (await portfolio.api("GET", "/api/trades?status=OPEN"))["trades"]
    await page.get_by_role("button", name="Show trade").click()
    await expect(portfolio.row(trade["id"]).get_by_text("Stop and target resting")).to_be_visible(timeout=PATIENCE_MS)
    bought = [o for o in portfolio.stack.orders(trade["account_id"]) if o["side"] == "buy_to_open"]
    assert len(bought) == 1


async def test_a_rejected_signal_and_one_that_went_too_far_buy_nothing(portfolio: Portfolio) -> None:
    page = portfolio.page
    await page.get_by_role("tab", name="Signals").click()
    await expect(page.get_by_text("No signal waits")).to_be_visible()
    refused, dear = await publish(portfolio, "MSFT"), await publish(portfolio, "NVDA", max_slippage_pct="1")
    pin_above(portfolio, dear)
    past = page.get_by_role("table", name="Decided lately")
    try:
        await card_of(portfolio, refused).get_by_role("button", name="Reject").click()
        await expect(past.get_by_text("Rejected").first).to_be_visible(timeout=PATIENCE_MS)
        await card_of(portfolio, dear).get_by_role("button", name="Approve").click()
        await expect(past.get_by_text("the entry would cost")).to_be_visible(timeout=PATIENCE_MS)
    finally:
        portfolio.stack.control("release", symbol=dear["occ_symbol"])
    await expect(page.get_by_text("No signal waits")).to_be_visible(timeout=PATIENCE_MS)
    assert (await portfolio.api("GET", "/api/trades?status=OPEN"))["trades"] == []


async def test_on_a_phone_a_signal_is_approved_every_setting_is_there_and_everything_is_stopped(
    portfolio: Portfolio,
) -> None:
    page = portfolio.page
    await page.set_viewport_size({"width": 390, "height": 844})
    signal = await publish(portfolio, "GOOGL")
    await page.get_by_role("tab", name="Signals 1 waiting").click()
    await expect(card_of(portfolio, signal).locator("[data-limit]").first).to_be_visible(timeout=PATIENCE_MS)
    await nothing_is_wider(page)
    await card_of(portfolio, signal).get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("button", name="Show trade")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_role("link", name="Settings").click()
    for part in ("Limits and policies", "Accounts", "API keys and bots", "This page", "Audit trail"):
        await page.get_by_role("link", name=part).click()
        await expect(page.get_by_role("link", name=part)).to_have_attribute("aria-current", "page")
        await nothing_is_wider(page)
    await page.get_by_role("button", name="Kill switch", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Type KILL").fill("KILL")
    await nothing_is_wider(page)
    await dialog.get_by_role("button", name="Close everything").click()
    panel = page.get_by_role("region", name="Kill switch")
    await expect(panel.get_by_text("Nothing of yours is left to close.")).to_be_visible(timeout=PATIENCE_MS)
    await nothing_is_wider(page)
    (trade,) = (await portfolio.api("GET", "/api/trades/history"))["trades"]
    assert trade["close_reason"] == "KILL_SWITCH"


async def nothing_is_wider(page: Page) -> None:
    """Hold that nothing scrolls sideways, and that the mode is in sight."""
    await expect(page.get_by_role("region", name="Trading mode").locator(".word")).to_be_in_viewport()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


def pin_above(portfolio: Portfolio, signal: dict[str, Any]) -> None:
    """Put a contract's price a tenth above what the bot saw, still below the target."""
    price = (Decimal(signal["ref_price"]) * Decimal("1.1")).quantize(Decimal("0.1"))
    portfolio.stack.control("price", symbol=signal["occ_symbol"], price=str(price))


def card_of(portfolio: Portfolio, signal: dict[str, Any]) -> Locator:
    """Return a signal's card."""
    return portfolio.page.locator(f'article[data-signal="{signal["id"]}"]')


async def publish(portfolio: Portfolio, ticker: str, **fields: Any) -> dict[str, Any]:
    """Publish a signal of a bot for the call nearest the money; returns it with its contract."""
    expiry = (await portfolio.api("GET", f"/api/market/expirations/{ticker}"))["expirations"][3]
    option = nearest(await portfolio.api("GET", f"/api/market/chain/{ticker}?expiry={expiry}"))
    body = {
        **body_of(option, ticker, expiry),
        "signal_id": uuid.uuid4().hex,
        "v": 1,
        "expires_at": (datetime.now(UTC) + timedelta(minutes=4)).isoformat(),
        "ref_price": option["ask"],
        "max_slippage_pct": "20",
        **fields,
    }
    queued = await portfolio.api("POST", "/api/signals?bot=scanner", body)
    return {**queued, "occ_symbol": option["occ_symbol"]}
