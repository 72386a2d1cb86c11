"""What a trader must not overlook: positions without exits, orders nobody answers for, a broker that is away."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Locator, expect

from tests.e2e.page import PATIENCE_MS, Portfolio, cancel_bracket, nearest

pytestmark = pytest.mark.e2e


async def test_a_bracket_cancelled_by_hand_is_an_alarm_until_the_exits_rest_again(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("AAPL")
    cancel_bracket(portfolio, trade)
    row = portfolio.row(trade.id)
    await expect(row.get_by_text("NOT PROTECTED")).to_be_visible(timeout=PATIENCE_MS)
    await expect(row.get_by_text(re.compile(r"^for ([2-9]|\d\d) s$"))).to_be_visible(timeout=PATIENCE_MS)
    alarm = page.locator('[data-incident="naked"]')
    await expect(alarm).to_contain_text("critical", ignore_case=True)
    await expect(alarm).to_contain_text(re.compile(r"AAPL \d+ \w{3} \d\d [\d.]+ C: 1 held"))
    assert trade.occ_symbol not in await page.locator("body").inner_text()
    # Read out once: the words are a live region, the ticking seconds are not.
    told = page.get_by_role("alert").filter(has_text="1 held without every exit")
    await expect(told).to_have_count(1)
    assert "since" not in await told.inner_text()

    await alarm.get_by_role("button", name="Show trade").click()
    details = page.get_by_role("region", name="Details of AAPL")
    await expect(details.get_by_text("Not protected.")).to_be_visible(timeout=PATIENCE_MS)
    await details.get_by_role("button", name="Place the exits now").click()

    await expect(row.get_by_text("Stop and target resting")).to_be_visible(timeout=PATIENCE_MS)
    await expect(alarm).to_have_count(0, timeout=PATIENCE_MS)
    story = details.get_by_role("list", name="Timeline")
    await expect(story.get_by_text("Not protected: 1 held without every exit")).to_be_visible(timeout=PATIENCE_MS)
    await expect(story.get_by_text(re.compile(r"^Over after [\d.]+ s: AAPL"))).to_be_visible(timeout=PATIENCE_MS)


async def test_an_unknown_entry_is_explained_and_can_be_settled_by_its_user(portfolio: Portfolio) -> None:
    page = portfolio.page
    account = (await portfolio.place_through_api("JPM")).account_id
    trade_id = await place_unknown(portfolio, "AMD", account)
    row = portfolio.row(trade_id)
    await expect(row.get_by_text("Unknown", exact=True)).to_be_visible(timeout=PATIENCE_MS)
    await expect(row.get_by_text("counts as fully exposed")).to_be_visible()
    await row.get_by_role("button", name="AMD").first.click()
    details = page.get_by_role("region", name="Details of AMD")
    await expect(details.get_by_text("The broker gave no clear answer.")).to_be_visible(timeout=PATIENCE_MS)
    opener = details.get_by_role("button", name="Resolve…")
    await opener.click()
    dialog = page.get_by_role("dialog")
    assert await dialog.evaluate("element => element.contains(document.activeElement)")
    confirm = dialog.get_by_role("button", name="It is this order")
    await expect(confirm).to_be_disabled()
    await dialog.get_by_label("Another order number that I see at my broker").check()
    await expect(confirm).to_be_disabled()
    await dialog.get_by_label("None: it never reached the broker").check()
    await expect(dialog.get_by_text("The trade then ends as never placed.")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(dialog).to_have_count(0)

    await expect(row.get_by_text("Stop and target resting")).to_be_visible(timeout=90_000)
    await expect(page.locator('[data-incident="unknown_order"]')).to_have_count(0, timeout=PATIENCE_MS)
    await expect(details.get_by_text("Bookend sends nothing again until")).to_be_visible(timeout=PATIENCE_MS)


async def test_a_user_who_names_the_brokers_order_settles_an_unknown_entry(portfolio: Portfolio) -> None:
    page = portfolio.page
    account = (await portfolio.place_through_api("JPM")).account_id
    trade_id = await place_unknown(portfolio, "TSLA", account, delay_ms=8000, times=30)
    (placed,) = [order for order in portfolio.stack.orders(account) if order["symbol"] == "TSLA"]
    await portfolio.row(trade_id).get_by_role("button", name="TSLA").first.click()
    await page.get_by_role("button", name="Resolve…").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Another order number that I see at my broker").check()
    number = dialog.get_by_label("The broker's order number")
    await number.fill("999999")
    await dialog.get_by_role("button", name="It is this order").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("knows no order 999999", timeout=PATIENCE_MS)
    await number.fill(str(placed["id"]))
    await dialog.get_by_role("button", name="It is this order").click()
    await expect(dialog).to_have_count(0, timeout=PATIENCE_MS)
    portfolio.stack.clear_faults()
    await expect(portfolio.row(trade_id).get_by_text("Stop and target resting")).to_be_visible(timeout=60_000)
    bought = [order for order in portfolio.stack.orders(account) if order["symbol"] == "TSLA" and not order.get("leg")]
    assert [order["id"] for order in bought] == [placed["id"]]


async def test_a_broker_that_is_away_is_a_banner_with_its_beginning_until_it_is_back(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("MSFT")
    away = {"method": "GET", "path": ".*", "account": trade.account_id}
    portfolio.stack.control("faults", match=away, kind="status_503", times=1000)
    try:
        await page.get_by_role("button", name="Sync now").click()
        banner = page.locator('[data-code="broker_unavailable"]')
        await expect(banner).to_be_visible(timeout=60_000)
        await expect(banner).to_contain_text(re.compile(r"since \d\d:\d\d:\d\d ET"))
    finally:
        portfolio.stack.clear_faults()
    await expect(banner).to_have_count(0, timeout=60_000)


async def test_what_somebody_else_placed_is_labelled_and_cannot_be_touched(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("GOOGL")
    expiry = (await portfolio.api("GET", "/api/market/expirations/SPY"))["expirations"][4]
    symbol = nearest(await portfolio.api("GET", f"/api/market/chain/SPY?expiry={expiry}"))["occ_symbol"]
    account = trade.account_id
    bought = {"option_symbol": symbol, "side": "buy_to_open", "quantity": 2}
    portfolio.stack.control("events", kind="manual_order", account=account, **bought)
    selling = {"option_symbol": symbol, "side": "sell_to_close", "quantity": 2, "type": "limit", "price": "99"}
    order = portfolio.stack.control("events", kind="manual_order", account=account, **selling)["order_id"]

    foreign = page.get_by_role("region", name="Not placed by Bookend")
    await page.get_by_role("button", name="Sync now").click()
    await expect(foreign.locator(f'[data-foreign="{symbol}"]')).to_contain_text("2", timeout=60_000)
    await expect(foreign.locator(f'[data-foreign="{symbol}"]')).to_contain_text(f"PAPER Paper · {account}")
    await expect(foreign.locator(f'[data-foreign-order="{order}"]')).to_contain_text(
        "sell to close 2, limit at 99.00, working"
    )
    await expect(foreign.get_by_text(re.compile(r"^SPY \d+ \w{3} \d\d [\d.]+ C$")).first).to_be_visible()
    await expect(foreign.get_by_role("button")).to_have_count(0)
    await expect(foreign.get_by_text("GOOGL")).to_have_count(0)
    assert len(await page.locator("tr.row").all()) == 1


async def test_sync_now_reads_the_broker_and_says_so(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("QQQ")
    portfolio.stack.control(
        "faults",
        match={"method": "GET", "path": "/(orders|positions)$", "account": trade.account_id},
        kind="slow",
        times=2,
        delay_ms=1500,
    )
    await page.get_by_role("button", name="Sync now").click()
    await expect(page.get_by_role("button", name="Syncing")).to_be_disabled()
    await expect(page.get_by_role("progressbar", name="Syncing")).to_be_visible()
    await expect(page.get_by_role("button", name="Sync now")).to_be_enabled(timeout=PATIENCE_MS)
    await expect(page.get_by_text(re.compile(r"^Last synced \d s ago$"))).to_be_visible()


async def test_a_phone_shows_alarms_and_the_story_without_scrolling_sideways(portfolio: Portfolio) -> None:
    page = portfolio.page
    trade = await portfolio.place_through_api("NVDA")
    await page.set_viewport_size({"width": 390, "height": 844})
    cancel_bracket(portfolio, trade)
    await expect(portfolio.row(trade.id).get_by_text("NOT PROTECTED")).to_be_visible(timeout=PATIENCE_MS)
    await page.locator('[data-incident="naked"]').get_by_role("button", name="Show trade").click()
    story = page.get_by_role("list", name="Timeline")
    await expect(story.get_by_text("Bought 1 at")).to_be_visible(timeout=PATIENCE_MS)
    assert await page.evaluate("document.documentElement.scrollWidth") == 390


async def place_unknown(portfolio: Portfolio, ticker: str, account: str, **slow: int) -> str:
    """Place from the page while the broker's answer gets lost; returns the trade's id."""
    await portfolio.fill_ticket(ticker)
    await portfolio.review()
    portfolio.lose_the_answer(account, **slow)
    await portfolio.page.get_by_role("button", name="Place order").click()
    row: Locator = portfolio.page.locator("tr.row", has_text=ticker)
    await expect(row).to_be_visible(timeout=PATIENCE_MS)
    trade_id = await row.get_attribute("data-trade")
    await portfolio.page.get_by_role("button", name="Close the ticket").click()
    assert trade_id
    return trade_id
