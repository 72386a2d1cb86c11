"""Pricing's way into its tables on a running stack, opened from here."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.common.db import Database, login_url
from tests.bench.secrets_of import environment_of
from tests.journey.stack import Stack


@asynccontextmanager
async def pricing_on(stack: Stack) -> AsyncIterator[Database]:
    """Open pricing's database login."""
    environment = environment_of(stack, "pricing")
    url = login_url(environment["DATABASE_URL"], "pricing_service", environment["PRICING_DATABASE_PASSWORD"])
    db = Database(url, service="pricing")
    await db.open()
    try:
        yield db
    finally:
        await db.close()
