"""Takes the pictures of the page in docs/screenshots from a running stack, and those of the mock-ups beside them.

The stack's demo user trades a little first: a target, a stop, a manual close and open positions. Run it on a fresh one:
`python -m simulator --port 18500 --data OTHER` for the account of real money, then
`SNAPSHOT_S=3 TRADIER_LIVE_URL=http://127.0.0.1:18500 ./bookend up --detach --data DIR --port PORT`, then
`python -m tools.screenshots --data DIR` (snapshots every 3 s instead of 40 make a curve in a minute).
"""

from __future__ import annotations

import argparse
import asyncio
from decimal import Decimal
from pathlib import Path

from playwright.async_api import Browser, Locator, Page, async_playwright, expect

from libs.common.testing import eventually
from tests.e2e.page import PATIENCE_MS, Placed, Portfolio, chromium_path, nearest
from tests.e2e.stack import Stack, running_stack
from tools import pictures_of_safety as safety
from tools import pictures_of_trouble as trouble

DOCS = Path(__file__).resolve().parents[1] / "docs"
PICTURES = DOCS / "screenshots"
MOCKUPS = DOCS / "mockups"
WIDE = (1440, 900)
PHONE = (390, 844)
CURVE = ("0.5", "0.42", "0.46", "0.35", "0.48", "0.55", "0.5", "0.62", "0.7", "0.66", "0.74", "0.71", "0.78")
SNAPSHOT_TIMEOUT_S = 180


async def shoot(page: Page, name: str, *, full_page: bool = False) -> None:
    """Save one picture."""
    await page.wait_for_timeout(400)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=full_page)


async def new_page(browser: Browser, size: tuple[int, int]) -> Page:
    """Open an empty page of a size, with nothing moving in it."""
    viewport = {"width": size[0], "height": size[1]}
    context = await browser.new_context(viewport=viewport, reduced_motion="reduce")  # type: ignore[arg-type]
    return await context.new_page()


async def log_in(page: Page, stack: Stack) -> Portfolio:
    """Log in as the demo user, taking the picture of the form on the way."""
    await page.goto(stack.gateway_url)
    await page.get_by_label("Username").fill(stack.username)
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "06-login")
    await page.get_by_label("Password").fill(stack.password)
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_text("Streaming", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    return Portfolio(page, stack)


async def trade_a_little(portfolio: Portfolio) -> Placed:
    """Make a history and some positions; returns the one whose details are shown."""
    stack = portfolio.stack
    for ticker, edge in (("JPM", "target"), ("TSLA", "stop"), ("GOOGL", "target")):
        ended = await portfolio.place_through_api(ticker)
        price = ended.target + Decimal("0.10") if edge == "target" else ended.stop - Decimal("0.10")
        stack.control("price", symbol=ended.occ_symbol, price=str(price))
        await expect(portfolio.row(ended.id)).to_have_count(0, timeout=PATIENCE_MS)
        stack.control("release", symbol=ended.occ_symbol)
    closed = await portfolio.place_through_api("NFLX")
    await portfolio.api("POST", f"/api/trades/{closed.id}/close", {"version": closed.version})
    for ticker, qty, share in (("SPY", 1, "0.45"), ("MSFT", 1, "0.8"), ("NVDA", 3, "0.65")):
        held = await portfolio.place_through_api(ticker, qty=qty)
        pin_between(stack, held, Decimal(share))
    await place_pending(portfolio, "AMZN")
    return await portfolio.place_through_api("AAPL", qty=2, strategy="opening-range", card_score=82, ai_verdict="take")


def pin_between(stack: Stack, trade: Placed, share: Decimal) -> None:
    """Put a contract's price some way from its stop to its target."""
    price = trade.stop + (trade.target - trade.stop) * share
    stack.control("price", symbol=trade.occ_symbol, price=str(price.quantize(Decimal("0.05"))))


async def place_pending(portfolio: Portfolio, ticker: str) -> None:
    """Place an entry that waits well below the market."""
    expiry = (await portfolio.api("GET", f"/api/market/expirations/{ticker}"))["expirations"][3]
    option = nearest(await portfolio.api("GET", f"/api/market/chain/{ticker}?expiry={expiry}"))
    limit = (Decimal(option["bid"]) * Decimal("0.8")).quantize(Decimal("0.1"))
    body = {
        "ticker": ticker,
        "option_type": "CALL",
        "strike": option["strike"],
        "expiry": expiry,
        "qty": 1,
        "entry": {"type": "limit", "limit_price": str(limit)},
        "sl_price": str((limit * Decimal("0.6")).quantize(Decimal("0.1"))),
        "tp_price": str((limit * Decimal("1.6")).quantize(Decimal("0.1"))),
    }
    await portfolio.api("POST", "/api/trades", body)


async def draw_curve(portfolio: Portfolio, trade: Placed) -> None:
    """Move a contract up and down while snapshots are taken."""
    for share in CURVE:
        pin_between(portfolio.stack, trade, Decimal(share))
        await wait_for_snapshots(portfolio, trade, 2)


async def wait_for_snapshots(portfolio: Portfolio, trade: Placed, count: int) -> None:
    """Wait until the P&L curve has so many points more."""
    path = f"/api/trades/{trade.id}/snapshots"

    async def counted() -> int:
        return len((await portfolio.api("GET", path))["points"])

    before = await counted()

    async def are_there() -> bool:
        return await counted() >= before + count

    await eventually(are_there, within_s=SNAPSHOT_TIMEOUT_S, every_s=1)


async def shoot_ticket(portfolio: Portfolio) -> None:
    """Fill in and review an order, and put it away."""
    page = portfolio.page
    await portfolio.fill_ticket("QQQ", qty=2)
    await shoot(page, "03-ticket")
    await page.get_by_role("button", name="Review order").click()
    await shoot(page, "03-ticket-review")
    await page.get_by_role("button", name="Close the ticket").click()


async def shoot_wide(portfolio: Portfolio, shown: Placed) -> None:
    """Take the pictures at desk size."""
    page = portfolio.page
    await shoot(page, "01-open-positions")
    opener = portfolio.row(shown.id).get_by_role("button", name=shown.ticker).first
    await opener.click()
    await expect(page.locator(".uplot")).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "02-details")
    await opener.click()
    await shoot_ticket(portfolio)
    await portfolio.row(shown.id).get_by_role("button", name=f"Close {shown.ticker}").click()
    await shoot(page, "07-close-dialog")
    await page.get_by_role("button", name="Keep it").click()
    await page.get_by_role("tab", name="Trade History").click()
    await expect(page.get_by_text("Target hit").first).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "04-history")


async def phone_page(browser: Browser, portfolio: Portfolio) -> Page:
    """Open the page at phone size, with the same session."""
    viewport = {"width": PHONE[0], "height": PHONE[1]}
    context = await browser.new_context(
        viewport=viewport,  # type: ignore[arg-type]
        reduced_motion="reduce",
        device_scale_factor=2,
        storage_state=await portfolio.page.context.storage_state(),
    )
    page = await context.new_page()
    await page.goto(portfolio.stack.gateway_url)
    return page


async def shoot_phone(browser: Browser, portfolio: Portfolio, shown: Placed) -> None:
    """Take the pictures at phone size."""
    page = await phone_page(browser, portfolio)
    card: Locator = page.locator(f'tr[data-trade="{shown.id}"]')
    await expect(card).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "05-phone")
    await card.get_by_role("button", name=shown.ticker).first.click()
    await expect(page.locator(".uplot")).to_be_visible(timeout=PATIENCE_MS)
    await shoot(page, "05-phone-details", full_page=True)
    await Portfolio(page, portfolio.stack).fill_ticket("QQQ")
    await shoot(page, "05-phone-ticket")
    await page.context.close()


async def shoot_trouble(browser: Browser, portfolio: Portfolio, shown: Placed) -> None:
    """Take the pictures of what goes wrong, at both sizes."""
    await portfolio.page.get_by_role("tab", name="Open Positions").click()
    await trouble.shoot_alarms(portfolio, shown, "AMD", shoot)
    phone = await phone_page(browser, portfolio)
    await trouble.shoot_phone_alarms(phone, shoot)
    await phone.context.close()
    await trouble.shoot_story(portfolio, shown, shoot)
    await trouble.shoot_closed(portfolio, shown, shoot)


async def shoot_safety(browser: Browser, portfolio: Portfolio) -> None:
    """Take the pictures of settings, signals and the kill switch, at both sizes."""
    phone = await phone_page(browser, portfolio)
    await safety.shoot_all(portfolio, phone, shoot)
    await phone.context.close()


async def shoot_mockups(browser: Browser) -> None:
    """Take the drawings again, beside their sources."""
    for drawing in sorted(MOCKUPS.glob("*.html")):
        page = await new_page(browser, PHONE if "phone" in drawing.name else WIDE)
        await page.goto(drawing.as_uri())
        await page.screenshot(path=drawing.with_suffix(".mockup.png"))
        await page.context.close()


async def run(data: str, *, only: str | None) -> None:
    """Take all pictures, or one part of them."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        if only != "safety":
            await shoot_mockups(browser)
        if only != "mockups":
            portfolio = await log_in(await new_page(browser, WIDE), running_stack(data))
            shown = await trade_a_little(portfolio)
            if only is None:
                await draw_curve(portfolio, shown)
                await shoot_wide(portfolio, shown)
                await shoot_phone(browser, portfolio, shown)
                await shoot_trouble(browser, portfolio, shown)
            await shoot_safety(browser, portfolio)
        await browser.close()


def main() -> None:
    """Read the command line and take the pictures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", default=".bookend", help="the data directory of the running stack")
    parser.add_argument("--only", choices=["mockups", "safety"], help="the drawings alone (no stack), or one part")
    chosen = parser.parse_args()
    asyncio.run(run(chosen.data, only=chosen.only))


if __name__ == "__main__":
    main()
