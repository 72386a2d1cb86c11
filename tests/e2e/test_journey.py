"""The main job by hand: in, placed, filled, protected, out by target or by choice, and found again in the history."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.page import PASSWORD, PATIENCE_MS, Portfolio
from tests.e2e.stack import Stack

pytestmark = pytest.mark.e2e


async def test_a_trade_goes_from_the_ticket_to_its_target_and_into_the_history(portfolio: Portfolio) -> None:
    page = portfolio.page
    stop, target = await portfolio.fill_ticket("AAPL", qty=2)
    await page.get_by_role("button", name="Review order").click()
    ticket = page.get_by_role("complementary", name="Order ticket")
    await expect(ticket.get_by_text("Simulated money")).to_be_visible()
    await expect(ticket.get_by_text(f"Loss at stop {stop:.2f}")).to_be_visible()
    await expect(ticket.get_by_text(f"Gain at target {target:.2f}")).to_be_visible()
    await page.get_by_role("button", name="Place order").click()
    await expect(ticket.get_by_text("Filled and protected")).to_be_visible(timeout=PATIENCE_MS)
    row = page.locator("tr.row")
    await expect(row.get_by_text("Open", exact=True)).to_be_visible()
    await expect(row.get_by_text("Stop and target resting")).to_be_visible()
    trade = await portfolio.placed(await row.get_attribute("data-trade") or "")
    assert (trade.stop, trade.target) == (stop, target)
    await ticket.get_by_role("button", name="Done").click()

    portfolio.stack.control("price", symbol=trade.occ_symbol, price=str(target + Decimal("0.10")))

    await expect(portfolio.toast("hit its target: +$")).to_be_visible(timeout=PATIENCE_MS)
    await expect(page.get_by_text("No open positions")).to_be_visible()
    await page.get_by_role("tab", name="Trade History").click()
    ended = portfolio.row(trade.id)
    await expect(ended.get_by_text("Win", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await expect(ended.get_by_text("Target hit")).to_be_visible()


async def test_a_stop_that_is_hit_is_shown_as_a_loss(portfolio: Portfolio) -> None:
    trade = await portfolio.place_through_api("MSFT")
    portfolio.stack.control("price", symbol=trade.occ_symbol, price=str(trade.stop - Decimal("0.10")))
    await expect(portfolio.toast("hit its stop: −$")).to_be_visible(timeout=PATIENCE_MS)
    await portfolio.page.get_by_role("tab", name="Trade History").click()
    await portfolio.page.get_by_role("button", name="Losses").click()
    ended = portfolio.row(trade.id)
    await expect(ended.get_by_text("Loss", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await expect(ended.get_by_text("Stop hit")).to_be_visible()


async def test_closing_asks_once_and_then_sells(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("NVDA")
    await portfolio.row(trade.id).get_by_role("button", name="Close NVDA").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_text("Are you sure you want to close NVDA at market price?", exact=True)).to_be_visible()
    await dialog.get_by_role("button", name="Keep it").click()
    await expect(dialog).to_have_count(0)
    assert (await portfolio.trade(trade.id))["status"] == "FILLED"

    await portfolio.row(trade.id).get_by_role("button", name="Close NVDA").click()
    await dialog.get_by_role("button", name="Close at market").click()
    await expect(portfolio.toast("Closed NVDA")).to_be_visible(timeout=PATIENCE_MS)
    await expect(portfolio.row(trade.id)).to_have_count(0)
    await page.get_by_role("tab", name="Trade History").click()
    await expect(portfolio.row(trade.id).get_by_text("Closed by you")).to_be_visible(timeout=PATIENCE_MS)


async def test_stop_and_target_move_where_the_user_puts_them(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("META")
    await portfolio.row(trade.id).get_by_role("button", name="META").first.click()
    form = page.get_by_role("form", name="Adjust META")
    lower = trade.stop - Decimal("0.50")
    await form.get_by_label("Stop").fill(str(lower))
    await form.get_by_role("button", name="Move stop and target").click()
    await expect(portfolio.row(trade.id).get_by_text(f"{lower:.2f}", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await expect(portfolio.row(trade.id).get_by_text("Stop and target resting")).to_be_visible(timeout=PATIENCE_MS)
    legs = [leg for order in portfolio.stack.orders(trade.account_id) for leg in order.get("leg") or []]
    resting = {leg["type"]: leg for leg in legs if leg["status"] == "open"}
    assert Decimal(str(resting["stop"]["stop"])) == lower
    assert Decimal(str(resting["limit"]["price"])) == trade.target


async def test_who_logs_in_again_finds_the_trade_and_its_details(
    portfolio: Portfolio, stack: Stack, browser: Browser, username: str
) -> None:
    trade = await portfolio.place_through_api("AMZN")
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    page = await context.new_page()
    await page.goto(stack.gateway_url)
    await page.get_by_label("Username").fill(username)
    await page.get_by_label("Password").fill("not the password")
    await page.get_by_role("button", name="Log in").click()
    await expect(page.get_by_role("alert")).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    row = page.locator(f'tr[data-trade="{trade.id}"]')
    await row.get_by_role("button", name="AMZN").first.click()
    details = page.get_by_role("region", name="Details of AMZN")
    for role in ("Entry", "Stop loss", "Take profit"):
        await expect(details.get_by_role("cell", name=role, exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("button", name="Log in")).to_be_visible()
    await context.close()
