"""Copies of the session's migrated database, made from one that nobody ever visits."""

from __future__ import annotations

from urllib.parse import urlsplit

import asyncpg

from libs.common.testing import TestDatabase


async def keep_pristine(database: TestDatabase) -> None:
    """Copy a database right after its migrations: a server copies none that has visitors, and later there are some."""
    name = _name(database)
    await _copy(database.url, name, _pristine(name))


async def copies(database: TestDatabase, count: int) -> list[TestDatabase]:
    """Return that many copies, as empty as the day it was migrated."""
    name = _name(database)
    made = []
    for number in range(count):
        copy = f"{name}_lane_{number}"
        await _copy(database.url, _pristine(name), copy)
        made.append(TestDatabase(urlsplit(database.url)._replace(path=f"/{copy}").geturl(), database.passwords))
    return made


async def _copy(url: str, name: str, copy: str) -> None:
    # From elsewhere on the server: what is copied may not even have us for a visitor.
    admin = await asyncpg.connect(urlsplit(url)._replace(path="/template1").geturl())
    try:
        await admin.execute(f'drop database if exists "{copy}" with (force)')
        await admin.execute(f'create database "{copy}" template "{name}"')
    finally:
        await admin.close()


def _name(database: TestDatabase) -> str:
    return urlsplit(database.url).path.lstrip("/")


def _pristine(name: str) -> str:
    return f"{name}_pristine"
