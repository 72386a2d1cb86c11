"""The pictures of what goes wrong: a naked position, an unknown order, a closed market, what somebody else placed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from playwright.async_api import Page, expect

from tests.e2e.page import PATIENCE_MS, Placed, Portfolio, cancel_bracket, nearest

Shoot = Callable[[Page, str], Awaitable[None]]
SETTLED_MS = 90_000


async def shoot_alarms(portfolio: Portfolio, naked: Placed, unknown: str, shoot: Shoot) -> None:
    """Take the exits of one trade down by hand while the answer to another's entry is lost; then put both right."""
    page = portfolio.page
    await portfolio.fill_ticket(unknown)
    await portfolio.review()
    portfolio.lose_the_answer(naked.account_id, times=10)
    await page.get_by_role("button", name="Place order").click()
    await expect(page.get_by_text("nothing will be sent twice.").first).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "07-banners")
    await page.get_by_role("button", name="Close the ticket").click()
    row = page.locator("tr.row", has_text=unknown)
    await row.get_by_role("button", name=unknown).first.click()
    await page.get_by_role("button", name="Resolve…").click()
    await page.get_by_label("None: it never reached the broker").check()
    await shoot(page, "10-resolve")
    await page.keyboard.press("Escape")
    await expect(row.get_by_text("Stop and target resting")).to_be_visible(timeout=SETTLED_MS)
    await row.get_by_role("button", name=unknown).first.click()

    cancel_bracket(portfolio, naked)
    await expect(portfolio.row(naked.id).get_by_text("NOT PROTECTED")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.locator('[data-incident="naked"]')).to_be_visible(timeout=PATIENCE_MS)
    portfolio.lose_the_answer(naked.account_id)
    await place_in_background(portfolio, "IWM")
    await expect(page.get_by_text("counts as fully exposed").first).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "08-alarms")


async def shoot_phone_alarms(page: Page, shoot: Shoot) -> None:
    """Take the alarms at phone size while they last."""
    await expect(page.locator('[data-incident="naked"]')).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "05-phone-alarms")


async def shoot_story(portfolio: Portfolio, naked: Placed, shoot: Shoot) -> None:
    """Place the exits again and show what happened."""
    page = portfolio.page
    opener = portfolio.row(naked.id).get_by_role("button", name=naked.ticker).first
    await opener.click()
    await page.get_by_role("button", name="Place the exits now").click()
    await expect(portfolio.row(naked.id).get_by_text("Stop and target resting")).to_be_visible(timeout=PATIENCE_MS)
    story = page.get_by_role("list", name="Timeline")
    await expect(story.get_by_text("Over after").last).to_be_visible(timeout=PATIENCE_MS)
    await story.get_by_text("Bought").first.locator("xpath=..").get_by_text("What was recorded").click()
    await page.locator("section.story").scroll_into_view_if_needed()
    await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
    await shoot(page, "09-story")
    await opener.click()


async def shoot_closed(portfolio: Portfolio, held: Placed, shoot: Shoot) -> None:
    """Close the exchange over a queued close, beside what somebody else bought."""
    page, stack = portfolio.page, portfolio.stack
    chain = await portfolio.api("GET", "/api/market/expirations/SPY")
    options = await portfolio.api("GET", f"/api/market/chain/SPY?expiry={chain['expirations'][4]}")
    symbol = nearest(options)["occ_symbol"]
    account = held.account_id
    bought = {"option_symbol": symbol, "side": "buy_to_open", "quantity": 2}
    stack.control("events", kind="manual_order", account=account, **bought)
    working = {"option_symbol": symbol, "side": "sell_to_close", "quantity": 2, "type": "limit", "price": "99"}
    stack.control("events", kind="manual_order", account=account, **working)
    await page.get_by_role("button", name="Sync now").click()
    await expect(page.get_by_role("region", name="Not placed by Bookend")).to_be_visible(timeout=SETTLED_MS)
    stack.control("clock", session="closed")
    try:
        await expect(page.locator('[data-code="market_closed"]')).to_be_visible(timeout=SETTLED_MS)
        await portfolio.row(held.id).get_by_role("button", name=f"Close {held.ticker}").click()
        await page.get_by_role("dialog").get_by_role("button", name="Close at market").click()
        await expect(page.get_by_text("your change runs at the open")).to_be_visible(timeout=PATIENCE_MS)
        await expect(portfolio.toast("Stored for")).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator(".toast")).to_have_count(0, timeout=PATIENCE_MS)
        await page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
        await shoot(page, "11-closed-and-foreign")
        await portfolio.row(held.id).get_by_role("button", name=f"Withdraw {held.ticker}").click()
    finally:
        stack.control("clock", session="open")


async def place_in_background(portfolio: Portfolio, ticker: str) -> None:
    """Place a market trade over the API, whatever becomes of it."""
    expiry = (await portfolio.api("GET", f"/api/market/expirations/{ticker}"))["expirations"][1]
    chain = await portfolio.api("GET", f"/api/market/chain/{ticker}?expiry={expiry}")
    option = nearest(chain)
    body = {
        "ticker": ticker,
        "option_type": option["option_type"],
        "strike": option["strike"],
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "market"},
    }
    await portfolio.api("POST", "/api/trades", body)
