"""Password hashes (Argon2id), computed in threads, a few at a time, so that sign-ins never starve the rest.

Source: RFC 9106; OWASP's least memory and rounds are the defaults of the settings.
"""

from __future__ import annotations

import asyncio
import secrets

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from libs.common.errors import Throttled

AT_ONCE = 2
MOST_WAITING = 100


class Passwords:
    """Makes and checks hashes. An unknown user costs the same time as a known one."""

    def __init__(self, *, memory_kib: int, rounds: int) -> None:
        self._hasher = PasswordHasher(time_cost=rounds, memory_cost=memory_kib, parallelism=1)
        self._nobodys = self._hasher.hash(secrets.token_urlsafe(16))
        self._turn = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    async def hash(self, password: str) -> str:
        """Return the hash to store. Raises: Throttled when too many wait."""
        return await self._in_turn(password, None)

    async def fits(self, password: str, stored: str | None) -> bool:
        """Tell whether `password` made `stored`; without one, take as long and say no. Raises: Throttled."""
        return await self._in_turn(password, stored or self._nobodys) == "fits" and stored is not None

    def is_old(self, stored: str) -> bool:
        """Tell whether a hash was made with other costs than today's."""
        return self._hasher.check_needs_rehash(stored)

    async def _in_turn(self, password: str, stored: str | None) -> str:
        if self._waiting >= MOST_WAITING:
            raise Throttled("too many sign-ins at once; try again in a few seconds")
        self._waiting += 1
        try:
            async with self._turn:
                return await asyncio.to_thread(self._work, password, stored)
        finally:
            self._waiting -= 1

    def _work(self, password: str, stored: str | None) -> str:
        if stored is None:
            return self._hasher.hash(password)
        try:
            self._hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            return "differs"
        return "fits"
