"""Pricing's doors and feed on a running stack, opened from here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.config import load
from libs.common.db import Database, login_url
from libs.common.http import HttpClient
from services.pricing.feed import Feed
from services.pricing.settings import Settings
from tests.bench.secrets_of import environment_of
from tests.journey.stack import Stack


@asynccontextmanager
async def pricing_on(stack: Stack, simulator: str) -> AsyncIterator[tuple[Database, Feed]]:
    """Open pricing's database login and its vendor."""
    environment = environment_of(stack, "pricing") | {"ORATS_URL": f"{simulator}/datav2", "ORATS_TOKEN": "bench"}
    settings = load(Settings, environment)
    password = settings.database_password.get_secret_value()
    db = Database(login_url(settings.database_url, "pricing_service", password), service="pricing")
    await db.open()
    try:
        async with HttpClient() as http:
            yield db, Feed(http, settings)
    finally:
        await db.close()
