"""The pictures of settings, accounts, LIVE, keys, signals and the kill switch, wide and on a phone.

The stack must have been started with `TRADIER_LIVE_URL` at a second simulator, which plays the account of real money.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page, expect

from tests.e2e.page import PATIENCE_MS, Portfolio, body_of, nearest

Shoot = Callable[[Page, str], Awaitable[None]]
LIVE_ACCOUNT = 41203311
CALM_MS = 180_000
"""How long the troubles of earlier pictures may take to end."""


async def shoot_settings(page: Page, shoot: Shoot, suffix: str = "") -> None:
    """Take the limits with a refused one among them, then discard what was typed."""
    await page.goto(f"{page.url.split('#')[0]}#settings/limits")
    await page.get_by_label("Daily loss").fill("200")
    await page.get_by_label("Open trades").fill("0")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Should be greater than or equal to 1.")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
    await shoot(page, f"12-settings{suffix}")
    await page.get_by_role("button", name="Discard").click()


async def shoot_accounts(page: Page, shoot: Shoot) -> None:
    """Connect an account of real money, and take the form on the way."""
    await page.goto(f"{page.url.split('#')[0]}#settings/accounts")
    card = page.get_by_role("region", name="LIVE accounts")
    await card.get_by_role("button", name="Connect an account").click()
    await card.get_by_label("Account number").fill(f"VA{LIVE_ACCOUNT}")
    await card.get_by_label("Name, as you call it").fill("Main")
    await card.get_by_label("Access token").fill("bad-token")
    await card.get_by_role("button", name="Test").click()
    await expect(card.get_by_role("status")).to_be_visible(timeout=PATIENCE_MS)
    await card.get_by_label("Type LIVE").fill("LIV")
    await shoot(page, "13-accounts")
    await card.get_by_label("Access token").fill(f"live-{LIVE_ACCOUNT}")
    await card.get_by_label("Type LIVE").fill("LIVE")
    await card.get_by_role("button", name="Store token").click()
    await expect(card.get_by_text("Main", exact=True)).to_be_visible(timeout=PATIENCE_MS)


async def shoot_live(portfolio: Portfolio, shoot: Shoot) -> None:
    """Switch to real money and review an order there, without placing it; then go back."""
    page = portfolio.page
    await page.get_by_role("tab", name="Open Positions").click()
    await page.get_by_role("button", name="Trading account").click()
    await page.get_by_role("group", name="Trading accounts").get_by_role("button", name="Main").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Type LIVE").fill("LIVE")
    await shoot(page, "14-live-switch")
    await dialog.get_by_role("button", name="Switch to LIVE").click()
    await expect(page).to_have_title("LIVE · Bookend", timeout=PATIENCE_MS)
    await portfolio.api("PUT", "/api/settings", {"max_contracts": 5, "daily_loss_limit": "1000"})
    await portfolio.fill_ticket("AAPL", qty=3)
    await portfolio.review()
    await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
    await shoot(page, "14-live")
    await page.get_by_role("button", name="Close the ticket").click()
    await page.get_by_role("button", name="Trading account").click()
    await page.get_by_role("group", name="Trading accounts").get_by_role("button", name="Paper").first.click()
    await expect(page).to_have_title("PAPER · Bookend", timeout=PATIENCE_MS)
    await portfolio.api("PUT", "/api/settings", {"max_contracts": None, "daily_loss_limit": "10000"})


async def shoot_keys(page: Page, shoot: Shoot) -> None:
    """Make two keys and take the secret of the second, which opens nothing: it is revoked at once."""
    await page.goto(f"{page.url.split('#')[0]}#settings/keys")
    for name, scope in (("spreadsheet", "read"), ("opening-range scanner", "signal")):
        await page.get_by_role("button", name="New key").click()
        dialog = page.get_by_role("dialog")
        await dialog.get_by_label("Name").fill(name)
        if scope == "read":
            await dialog.get_by_role("checkbox", name="signal").uncheck()
            await dialog.get_by_role("checkbox", name="read see everything").check()
        await dialog.get_by_role("button", name="Make key").click()
        await expect(page.locator("[data-secret]")).to_be_visible(timeout=PATIENCE_MS)
        if scope == "signal":
            await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
            await shoot(page, "15-keys")
        await page.get_by_role("button", name="I have stored it").click()
    row = page.get_by_role("row", name="opening-range scanner")
    await row.get_by_role("button", name="Revoke").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(row).to_have_count(0, timeout=PATIENCE_MS)


async def publish(portfolio: Portfolio, ticker: str, minutes: float, **fields: Any) -> dict[str, Any]:
    """Publish a signal of a bot for the call nearest the money."""
    expiry = (await portfolio.api("GET", f"/api/market/expirations/{ticker}"))["expirations"][3]
    option = nearest(await portfolio.api("GET", f"/api/market/chain/{ticker}?expiry={expiry}"))
    body = {
        **body_of(option, ticker, expiry),
        "signal_id": f"{ticker}-{os.urandom(4).hex()}",
        "v": 1,
        "expires_at": (datetime.now(UTC) + timedelta(minutes=minutes)).isoformat(),
        "ref_price": option["ask"],
        "max_slippage_pct": "5",
        **fields,
    }
    answer: dict[str, Any] = await portfolio.api("POST", "/api/signals?bot=scanner", body)
    return answer


async def shoot_signals(portfolio: Portfolio, phone: Page, shoot: Shoot) -> None:
    """Let a bot publish, decide one signal, and take those that wait at both sizes."""
    page = portfolio.page
    await page.get_by_role("tab", name="Signals").click()
    refused = await publish(portfolio, "AMD", 4, strategy="fade")
    await page.locator(f'article[data-signal="{refused["id"]}"]').get_by_role("button", name="Reject").click()
    await publish(portfolio, "META", 4, qty=2, strategy="opening-range")
    await publish(portfolio, "TSLA", 0.7, strategy="fade")
    await expect(page.locator("article [data-limit='heat_limit_pct']")).to_have_count(2, timeout=PATIENCE_MS)
    await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
    await shoot(page, "17-signals")
    await phone.goto(f"{phone.url.split('#')[0]}#signals")
    await expect(phone.locator("article [data-limit='heat_limit_pct']").first).to_be_visible(timeout=PATIENCE_MS)
    await expect(phone.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
    await shoot(phone, "17-signals-phone")


async def shoot_kill_switch(portfolio: Portfolio, phone: Page, shoot: Shoot) -> None:
    """Engage the kill switch under a slow broker, and release it when everything is over."""
    page, stack = portfolio.page, portfolio.stack
    await page.get_by_role("tab", name="Open Positions").click()
    await page.get_by_role("button", name="Kill switch", exact=True).click()
    dialog = page.get_by_role("dialog")
    await shoot(page, "16-kill-dialog")
    await dialog.get_by_label("Type KILL").fill("KILL")
    stack.control("toggles", latency_ms=1500)
    try:
        await dialog.get_by_role("button", name="Close everything").click()
        panel = page.get_by_role("region", name="Kill switch")
        await expect(panel.get_by_text("Closing", exact=True).first).to_be_visible(timeout=PATIENCE_MS)
        await expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
        await shoot(page, "16-kill-switch")
        await phone.goto(f"{phone.url.split('#')[0]}#open")
        await expect(phone.get_by_role("region", name="Kill switch")).to_be_visible(timeout=PATIENCE_MS)
        await shoot(phone, "16-kill-switch-phone")
    finally:
        stack.control("toggles", latency_ms=0)
    await expect(panel.get_by_text("Nothing of yours is left to close.")).to_be_visible(timeout=90_000)
    await page.get_by_role("button", name="Release…").click()
    await dialog.get_by_role("button", name="Release").click()
    await expect(panel).to_have_count(0, timeout=PATIENCE_MS)


async def shoot_all(portfolio: Portfolio, phone: Page, shoot: Shoot) -> None:
    """Take all of them; every position of the user is sold in the end."""
    page = portfolio.page
    await expect(page.locator(".banner")).to_have_count(0, timeout=CALM_MS)
    await shoot_settings(page, shoot)
    await shoot_settings(phone, shoot, "-phone")
    await shoot_accounts(page, shoot)
    await shoot_live(portfolio, shoot)
    await shoot_keys(page, shoot)
    await shoot_signals(portfolio, phone, shoot)
    await shoot_kill_switch(portfolio, phone, shoot)
    await page.goto(f"{page.url.split('#')[0]}#settings/audit")
    await expect(page.get_by_role("table", name="Audit trail")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
    await shoot(page, "18-audit")
