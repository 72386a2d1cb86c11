"""The operator's command: `python -m services.orders.admin reseal`, with the new key first in ENCRYPTION_KEY.

Seals every stored token again with the first key, while everything runs, and says as JSON how many were done, how many
were already, and which cannot be opened with any key at hand. Stopped anywhere and run again it goes on; a token that
is renewed meanwhile stays the renewed one. The old key may go when `left` is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict, dataclass, field

import orjson

from libs.common.config import load_or_exit
from libs.common.db import Database, Unit, login_url
from libs.common.errors import AppError, InvariantBroken
from libs.common.vault import Vault
from services.orders import store_accounts
from services.orders.settings import Settings

BATCH = 100
MOST_SWEEPS = 5
"""Whoever still seals with an old key is seen by the next sweep; that they do so for ever is an error of the caller."""


@dataclass
class Resealed:
    """What became of the stored tokens. `left` could be opened and were not sealed with the first key by the end."""

    done: int = 0
    current: int = 0
    left: int = 0
    unreadable: list[str] = field(default_factory=list)


def main(arguments: list[str] | None = None) -> int:
    """Carry out the command and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m services.orders.admin")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("reseal", help="seal every token with the first key")
    parser.parse_args(arguments)
    settings = load_or_exit(Settings)
    try:
        told = asyncio.run(_run(settings))
    except AppError as error:
        sys.stderr.write(f"the tokens were not all sealed again: {error.detail}\n")
        return 1
    sys.stdout.write(orjson.dumps(asdict(told)).decode() + "\n")
    return 0 if told.left == 0 else 1


async def _run(settings: Settings) -> Resealed:
    url = login_url(settings.database_url, "orders_service", settings.database_password.get_secret_value())
    database = Database(url, service="orders", pooled=settings.database_pooled)
    await database.open()
    try:
        return await reseal(database, Vault(settings.encryption_key.get_secret_value()))
    finally:
        await database.close()


async def reseal(database: Database, vault: Vault) -> Resealed:
    """Seal every token again with the first key. Idempotent: yes. Raises: UpstreamUnavailable, OutcomeUnknown."""
    done = 0
    for _ in range(MOST_SWEEPS):
        told = await _sweep(database, vault)
        done += told.done
        if told.done == told.left == 0:
            break
    told.done, told.current = done, told.current - done
    return told


async def _sweep(database: Database, vault: Vault) -> Resealed:
    """Go through all tokens once; `current` counts those of this sweep too."""
    told, last = Resealed(), ""
    while True:
        async with database.for_worker() as unit:
            page = await store_accounts.sealed_after(unit, last, BATCH)
            for key, cipher in page:
                await _one(unit, vault, key, cipher, told)
        if len(page) < BATCH:
            return told
        last = page[-1][0]


async def _one(unit: Unit, vault: Vault, key: str, cipher: str, told: Resealed) -> None:
    if vault.is_current(cipher):
        told.current += 1
        return
    try:
        again = vault.rotate(cipher, key)
    except InvariantBroken:
        told.unreadable.append(key)
        return
    if await store_accounts.seal_again(unit, key, cipher, again):
        told.done += 1
    else:
        told.left += 1


if __name__ == "__main__":
    sys.exit(main())
