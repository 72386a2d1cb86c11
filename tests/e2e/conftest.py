"""One stack and one browser for all tests of the page; a new user, and with it a new broker account, for each."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterator

import pytest
from playwright.async_api import Browser, Page, async_playwright

from tests.e2e.page import Portfolio, chromium_path, open_portfolio
from tests.e2e.stack import Stack, given_data, running_stack, start_stack, stop_stack


@pytest.fixture(scope="package")
def stack(tmp_path_factory: pytest.TempPathFactory, live_simulator: str) -> Iterator[Stack]:
    """Run a whole stack, unless one is given. Its real money is another simulator's."""
    given = given_data()
    if given is not None:
        yield running_stack(given)
        return
    data = tmp_path_factory.mktemp("e2e stack")
    try:
        yield start_stack(data, {"TRADIER_LIVE_URL": live_simulator})
    finally:
        stop_stack(data)


@pytest.fixture(scope="package")
async def browser() -> AsyncIterator[Browser]:
    """Run the system's Chromium, or Playwright's own where there is none."""
    async with async_playwright() as playwright:
        running = await playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        yield running
        await running.close()


@pytest.fixture
def username() -> str:
    """Return a name nobody has yet."""
    return f"e2e-{uuid.uuid4().hex[:12]}"


@pytest.fixture
async def portfolio(stack: Stack, browser: Browser, username: str) -> AsyncIterator[Portfolio]:
    """Open the page of a freshly registered user; its own errors fail the test."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    page = await context.new_page()
    errors = watch_errors(page)
    yield await open_portfolio(page, stack, username)
    await context.close()
    assert errors == []


def watch_errors(page: Page) -> list[str]:
    """Collect uncaught errors and refused scripts of a page."""
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    return errors
