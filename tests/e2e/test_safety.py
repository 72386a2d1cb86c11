"""What stands between an idea and money, as somebody at the page meets it: modes, keys, limits, the kill switch."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page import PATIENCE_MS, Portfolio
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


async def test_the_kill_switch_needs_its_word_ends_a_trade_and_revives_nothing(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("AAPL")
    await page.get_by_role("button", name="Kill switch", exact=True).click()
    dialog = page.get_by_role("dialog")
    engage = dialog.get_by_role("button", name="Close everything")
    await expect(dialog).to_contain_text("1 trade: 1 PAPER")
    await expect(engage).to_be_disabled()
    await dialog.get_by_label("Type KILL").fill("kill")
    await expect(engage).to_be_disabled()
    await dialog.get_by_label("Type KILL").fill("KILL")
    await engage.click()

    panel = page.get_by_role("region", name="Kill switch")
    await expect(panel.get_by_text("Kill switch is on")).to_be_visible(timeout=PATIENCE_MS)
    await expect(portfolio.row(trade.id)).to_have_count(0, timeout=PATIENCE_MS)
    await expect(panel.get_by_text("Nothing of yours is left to close.")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page).to_have_title(re.compile("^KILL SWITCH ON"))
    assert (await portfolio.trade(trade.id))["close_reason"] == "KILL_SWITCH"

    await page.get_by_role("button", name="Kill switch is ON").click()
    await expect(dialog).to_contain_text("Nothing is revived")
    await dialog.get_by_role("button", name="Release").click()
    await expect(panel).to_have_count(0, timeout=PATIENCE_MS)
    assert (await portfolio.api("GET", "/api/trades?status=OPEN"))["trades"] == []


async def test_a_key_is_shown_once_and_revoked_after_a_question(portfolio: Portfolio) -> None:
    page = portfolio.page
    await open_settings(page, "API keys and bots")
    await page.get_by_role("button", name="New key").click()
    await page.get_by_label("Name").fill("<b>scanner</b>")
    await page.get_by_role("button", name="Make key").click()
    secret = page.locator("[data-secret]")
    await expect(secret).to_have_text(re.compile(r"^bk_\S{20,}$"), timeout=PATIENCE_MS)
    words = await secret.inner_text()
    await page.get_by_role("button", name="I have stored it").click()
    await page.reload()
    row = page.get_by_role("row", name="<b>scanner</b>")
    await expect(row).to_be_visible(timeout=PATIENCE_MS)
    assert words not in await page.content()
    await row.get_by_role("button", name="Revoke").click()
    await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    await expect(row).to_have_count(0, timeout=PATIENCE_MS)
    assert (await portfolio.api("GET", "/api/keys"))["keys"] == []


async def test_a_refused_limit_stands_beside_its_field_and_nothing_typed_is_lost(portfolio: Portfolio) -> None:
    page = portfolio.page
    await open_settings(page, "Limits and policies")
    await page.get_by_label("Open trades").fill("0")
    await page.get_by_label("Heat").fill("7.5")
    await page.get_by_role("button", name="Save").click()
    field = page.locator('[data-setting="max_positions"]')
    await expect(field.get_by_text("Should be greater than or equal to 1.")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_label("Open trades")).to_be_focused()
    await expect(page.get_by_label("Heat")).to_have_value("7.5")
    assert (await portfolio.api("GET", "/api/settings"))["heat_limit_pct"] != "7.5"
    await page.get_by_role("tab", name="Trade History").click()
    await open_settings(page, "Limits and policies")
    await page.get_by_label("Open trades").fill("12")
    await page.get_by_role("button", name="Save").click()
    await expect(portfolio.toast("Settings saved")).to_be_visible(timeout=PATIENCE_MS)
    saved = await portfolio.api("GET", "/api/settings")
    assert (saved["max_positions"], saved["heat_limit_pct"]) == (12, "7.5")
    await page.get_by_role("link", name="Audit trail").click()
    await expect(page.get_by_role("table", name="Audit trail").get_by_text("12").first).to_be_visible()


async def test_the_review_shows_what_a_trade_takes_and_a_limit_it_would_pass(portfolio: Portfolio) -> None:
    page = portfolio.page
    await portfolio.api("PUT", "/api/settings", {"max_contracts": 1})
    await portfolio.fill_ticket("MSFT", qty=2)
    await page.get_by_role("button", name="Review order").click()
    ticket = page.get_by_role("complementary", name="Order ticket")
    contracts = ticket.locator('[data-limit="max_contracts"]')
    await expect(contracts).to_have_text(re.compile(r"Contracts per trade\s*2 of 1"), timeout=PATIENCE_MS)
    await expect(ticket.get_by_role("alert")).to_contain_text("Contracts per trade is 1; this would be 2 contracts")
    await expect(ticket.get_by_role("button", name="Place order")).to_be_disabled()
    await portfolio.api("PUT", "/api/settings", {"max_contracts": 5})
    await ticket.get_by_role("button", name="Check again").click()
    await expect(ticket.get_by_role("button", name="Place order")).to_be_enabled(timeout=PATIENCE_MS)


async def test_live_needs_its_word_twice_is_then_on_every_screen_and_places_with_real_money(
    portfolio: Portfolio, live_simulator: str
) -> None:
    page = portfolio.page
    band = page.get_by_role("region", name="Trading mode")
    account = await store_live_token(portfolio)
    await expect(band.locator(".word", has_text="PAPER")).to_be_visible()
    await band.get_by_role("button", name="Trading account").click()
    await band.get_by_role("button", name="Main").click()
    dialog = page.get_by_role("dialog")
    switch = dialog.get_by_role("button", name="Switch to LIVE")
    await expect(switch).to_be_disabled()
    await dialog.get_by_label("Type LIVE").fill("LIVE")
    await switch.click()
    await expect(band.locator(".word", has_text="LIVE")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page).to_have_title("LIVE · Bookend")
    for tab in ("Open Positions", "Trade History"):
        await page.get_by_role("tab", name=tab).click()
        await expect(band.locator(".word", has_text="LIVE")).to_be_in_viewport()
    settings = await portfolio.api("GET", "/api/settings")
    assert (settings["broker_mode"], settings["signal_mode"]) == ("TRADIER_LIVE", "review")
    await trades_with_real_money(portfolio, replace(portfolio.stack, simulator_url=live_simulator), account)


async def store_live_token(portfolio: Portfolio) -> str:
    """Connect an account of real money, and return it."""
    page = portfolio.page
    number = 10_000_000 + int(portfolio.username[-6:], 16)
    await open_settings(page, "Accounts")
    card = page.get_by_role("region", name="LIVE accounts")
    await card.get_by_role("button", name="Connect an account").click()
    await card.get_by_label("Account number").fill(f"VA{number}")
    await card.get_by_label("Name, as you call it").fill("Main")
    await card.get_by_label("Access token").fill(f"live-{number}")
    store = card.get_by_role("button", name="Store token")
    await expect(store).to_be_disabled()
    await card.get_by_label("Type LIVE").fill("LIVE")
    await store.click()
    await expect(card.get_by_text("Main", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return f"VA{number}"


async def trades_with_real_money(portfolio: Portfolio, real: Stack, account: str) -> None:
    """Place on the page, see it protected at the real broker and nowhere else, and close it."""
    page = portfolio.page
    paper = (await portfolio.api("GET", "/api/accounts"))["accounts"]
    await page.get_by_role("tab", name="Open Positions").click()
    await portfolio.fill_ticket("AAPL")
    await portfolio.review()
    ticket = page.get_by_role("complementary", name="Order ticket")
    await expect(ticket.get_by_text("LIVE Real money, account Main")).to_be_visible()
    await expect(ticket.get_by_role("button", name="Place order")).to_have_count(0)
    await ticket.get_by_role("button", name="Place with real money").click()
    await expect(ticket.get_by_text("Filled and protected")).to_be_visible(timeout=PATIENCE_MS)
    await ticket.get_by_role("button", name="Done").click()
    row = page.locator("tr.row")
    await expect(row.get_by_text("Stop and target resting")).to_be_visible(timeout=PATIENCE_MS)
    trade = await portfolio.trade(await row.get_attribute("data-trade") or "")
    assert (trade["broker_mode"], trade["account_id"]) == ("TRADIER_LIVE", account)
    assert {order["class"] for order in real.orders(account)} == {"option", "oco"}
    assert [order for one in paper for order in portfolio.stack.orders(one["account_id"])] == []
    await row.get_by_role("button", name="Close AAPL").click()
    await page.get_by_role("dialog").get_by_role("button", name="Close at market").click()
    await expect(row).to_have_count(0, timeout=PATIENCE_MS)
    assert (await portfolio.trade(trade["id"]))["close_reason"] == "MANUAL_CLOSE"


async def open_settings(page: Page, part: str) -> None:
    """Go to one part of the settings."""
    await page.get_by_role("link", name="Settings").click()
    await page.get_by_role("link", name=part).click()
