"""What the page says when things are not smooth: another device, no answer, a refusal, hostile text, a small screen."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.async_api import Page, expect

from tests.e2e.page import PATIENCE_MS, Portfolio

pytestmark = pytest.mark.e2e

SYNC_ALERT = "Sync alert: this trade was updated on another device"


async def test_a_stale_version_is_an_amber_toast_and_a_refreshed_list(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("GOOGL")
    await cut_off_the_stream(page)
    await page.reload()
    await expect(portfolio.row(trade.id)).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_role("switch", name="Auto-refresh").click()
    raised = trade.target + Decimal("0.50")
    change = {"version": (await portfolio.trade(trade.id))["version"], "new_tp": str(raised)}
    await portfolio.api("POST", f"/api/trades/{trade.id}/adjust", change)

    await portfolio.row(trade.id).get_by_role("button", name="Close GOOGL").click()
    await page.get_by_role("dialog").get_by_role("button", name="Close at market").click()

    toast = portfolio.toast(SYNC_ALERT)
    await expect(toast).to_be_visible(timeout=PATIENCE_MS)
    await expect(toast).to_have_attribute("data-tone", "amber")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(portfolio.row(trade.id).get_by_text(f"{raised:.2f}", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    assert (await portfolio.trade(trade.id))["status"] == "FILLED"


async def test_a_broker_that_does_not_answer_is_said_to_be_unknown_and_never_asked_twice(portfolio: Portfolio) -> None:
    page = portfolio.page
    account = (await portfolio.place_through_api("JPM")).account_id
    await portfolio.fill_ticket("NFLX")
    await portfolio.review()
    portfolio.lose_the_answer(account)
    await page.get_by_role("button", name="Place order").click()
    ticket = page.get_by_role("complementary", name="Order ticket")
    await expect(ticket.get_by_text("We are asking; nothing will be sent twice.")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator(".banner[data-incident]")).to_be_visible(timeout=PATIENCE_MS)
    await expect(ticket.get_by_text("Filled and protected")).to_be_visible(timeout=90_000)
    await expect(page.locator(".banner[data-incident]")).to_have_count(0, timeout=PATIENCE_MS)
    bought = [
        order
        for order in portfolio.stack.orders(account)
        if order["symbol"] == "NFLX" and order["side"] == "buy_to_open"
    ]
    assert [order["status"] for order in bought] == ["filled"]


async def test_a_refusal_is_told_at_the_form_and_nothing_is_placed(portfolio: Portfolio) -> None:
    """Where the limits could not be asked beforehand, the order may be sent: it is refused then."""
    page = portfolio.page
    await page.route("**/api/trades/check", lambda route: route.abort())
    await portfolio.fill_ticket("TSLA", qty=5000)
    await page.get_by_role("button", name="Review order").click()
    ticket = page.get_by_role("complementary", name="Order ticket")
    await expect(ticket.get_by_text("What it takes of your limits is not known.")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Place order").click()
    await expect(ticket.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    await expect(ticket.get_by_role("button", name="Place order")).to_be_disabled()
    assert (await portfolio.api("GET", "/api/trades?status=OPEN"))["trades"] == []


async def test_an_unknown_ticker_is_told_at_its_field(portfolio: Portfolio) -> None:
    await portfolio.page.get_by_role("button", name="New trade").first.click()
    ticker = portfolio.page.get_by_label("Ticker")
    await ticker.fill("ZZZZQ")
    await expect(ticker).to_have_attribute("aria-invalid", "true", timeout=PATIENCE_MS)


async def test_script_in_a_strategy_is_text(portfolio: Portfolio) -> None:
    hostile = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    trade = await portfolio.place_through_api("AMD", strategy=hostile)
    await portfolio.row(trade.id).get_by_role("button", name="AMD").first.click()
    details = portfolio.page.get_by_role("region", name="Details of AMD")
    await expect(details.get_by_text(hostile)).to_be_visible(timeout=PATIENCE_MS)
    assert await portfolio.page.title() == "PAPER · Bookend"


async def test_a_phone_shows_cards_and_nothing_scrolls_sideways(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("QQQ")
    await page.set_viewport_size({"width": 390, "height": 844})
    card = portfolio.row(trade.id)
    assert await card.evaluate("element => getComputedStyle(element).display") == "grid"
    await card.get_by_role("button", name="QQQ").first.click()
    await expect(page.get_by_role("region", name="Details of QQQ")).to_be_visible()
    assert await width_of(page) == 390
    await page.get_by_role("button", name="New trade").click()
    await page.get_by_role("complementary", name="Order ticket").get_by_label("Ticker").fill("SPY")
    assert await width_of(page) == 390
    await page.get_by_role("button", name="Close the ticket").click()
    await card.get_by_role("button", name="Close QQQ").first.click()
    await page.get_by_role("dialog").get_by_role("button", name="Close at market").click()
    await expect(portfolio.toast("Closed QQQ")).to_be_visible(timeout=PATIENCE_MS)


async def test_the_keyboard_alone_opens_details_and_keeps_a_position(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("SPY")
    opener = portfolio.row(trade.id).get_by_role("button", name="SPY").first
    await opener.focus()
    await page.keyboard.press("Enter")
    await expect(opener).to_have_attribute("aria-expanded", "true")
    await portfolio.row(trade.id).get_by_role("button", name="Close SPY").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def cut_off_the_stream(page: Page) -> None:
    """Let the page have no live feed from its next load on."""
    await page.route("**/api/stream", lambda route: route.abort())


async def width_of(page: Page) -> int:
    """Return how wide the document has become."""
    width: int = await page.evaluate("document.documentElement.scrollWidth")
    return width
