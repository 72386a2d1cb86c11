"""A service's way into its tables: a small pool and two doors.

`for_user` sees and changes one user's rows, `for_worker` all rows of the service; the login itself may do nothing.
There is nothing to wait for at start: connections are made when they are needed, and again when they were lost.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import datetime, timedelta

from libs.common.address import login_url
from libs.common.clock import Clock, SystemClock
from libs.common.db_errors import DRIVER_ERRORS, translated
from libs.common.driver import DriverConnection, connect, make_engine
from libs.common.errors import InvariantBroken, UpstreamUnavailable
from libs.common.opening import Manner
from libs.common.pool import Pool
from libs.common.roles import STATEMENT_S
from libs.common.unit import Unit
from libs.common.waiting import Loose

POOL_SIZE = 8
ACQUIRE_S = 2.0
_NETWORK_S = 3.0
"""How much longer the client waits before it takes the server for lost."""

__all__ = ["ACQUIRE_S", "POOL_SIZE", "STATEMENT_S", "Database", "Unit", "login_url"]


class Database:
    """The pool of one process. `url` carries the login `<service>_service`; `pooled` is a transaction-mode pooler."""

    def __init__(
        self,
        url: str,
        *,
        service: str,
        pooled: bool = False,
        clock: Clock | None = None,
        size: int = POOL_SIZE,
        acquire_s: float = ACQUIRE_S,
        statement_s: float = STATEMENT_S,
    ) -> None:
        if not re.fullmatch(r"[a-z]{3,20}", service):
            message = f"{service!r} is no service's name"
            raise InvariantBroken(message)
        self.service = service
        self.engine = make_engine(pooled=pooled)
        self._clock = clock or SystemClock()
        self._url = url
        self._pooled = pooled
        self._size = size
        self.acquire_s = acquire_s
        self._command_s = statement_s + _NETWORK_S
        self._pool: Pool | None = None
        self._answered: float | None = None
        self._loose = Loose()
        self._on_facts: list[Callable[[], None]] = []
        self._on_job: list[Callable[[str, datetime | timedelta | None], None]] = []

    async def open(self) -> None:
        """Get ready; nothing is connected yet, so it succeeds while PostgreSQL is away."""
        self._pool = Pool(self._connect, size=self._size, acquire_s=self.acquire_s)

    async def close(self) -> None:
        """Give every connection back."""
        await self._loose.settle()
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()
        await self.engine.dispose()

    def for_user(self, username: str, *, waits_for_disk: bool = True, ends_later: bool = False) -> Unit:
        """Open the tenant's door: one user's rows, in one transaction.

        Without waiting for the disk its commit takes a moment less and may be forgotten when the *server* crashes: only
        for what nobody acts on and what is found again by itself. One that `ends_later` is not waited for at all: it
        only reads, or nobody misses what it stores.
        """
        manner = Manner(waits_for_disk=waits_for_disk, ends_later=ends_later)
        return Unit(self, f"{self.service}_tenant", username, manner)

    def for_worker(self, *, waits_for_disk: bool = True, ends_later: bool = False) -> Unit:
        """Open the worker's door: all rows of the service, in one transaction. Disk and end: as `for_user` says."""
        return Unit(self, f"{self.service}_worker", None, Manner(waits_for_disk=waits_for_disk, ends_later=ends_later))

    # ── health ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def probe(self) -> None:
        """Ask PostgreSQL for an answer. Raises: UpstreamUnavailable."""
        async with self.for_worker() as unit:
            await unit.now()

    async def reached(self) -> None:
        """Wait until PostgreSQL answers and knows our doors, however long it takes."""
        wait_s = 0.05
        while True:
            try:
                await self.probe()
            except (UpstreamUnavailable, InvariantBroken):
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, 1.0)
            else:
                return

    @property
    def age_s(self) -> float | None:
        """How long ago a transaction last ended well, None before the first. Units: seconds."""
        return None if self._answered is None else self._clock.monotonic() - self._answered

    # ── what units and the chassis tell each other ───────────────────────────────────────────────────────────────────

    def on_facts(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each commit of this process that stored facts."""
        self._on_facts.append(callback)

    def on_job(self, callback: Callable[[str, datetime | timedelta | None], None]) -> None:
        """Call `callback` after each commit of this process that scheduled a job: its kind and when it is due."""
        self._on_job.append(callback)

    def answered(self) -> None:
        """Note that PostgreSQL answered just now."""
        self._answered = self._clock.monotonic()

    def facts_stored(self) -> None:
        """Tell the relay that facts wait."""
        for callback in self._on_facts:
            callback()

    def job_scheduled(self, kind: str, due: datetime | timedelta | None) -> None:
        """Tell the runner that a job of `kind` was scheduled."""
        for callback in self._on_job:
            callback(kind, due)

    async def acquire(self) -> DriverConnection:
        """Take a connection for a unit. Raises: UpstreamUnavailable after at most two seconds."""
        if self._pool is None:
            message = f"the database of {self.service} is not open"
            raise UpstreamUnavailable(message)
        try:
            return await self._pool.acquire()
        except DRIVER_ERRORS as error:
            raise translated(error) from error

    def end_later(self, connection: DriverConnection) -> None:
        """Commit what a unit did on a connection and take that back, while its caller goes on."""
        self._loose.begin(self._end(connection))

    async def _end(self, connection: DriverConnection) -> None:
        try:
            await connection.execute("COMMIT")
            self.answered()
        except DRIVER_ERRORS:
            connection.terminate()
        finally:
            self.release(connection)

    def release(self, connection: DriverConnection) -> None:
        """Take a unit's connection back."""
        if self._pool is not None:
            self._pool.release(connection)
        else:
            connection.end()

    async def _connect(self) -> DriverConnection:
        return await connect(
            self._url, pooled=self._pooled, command_timeout_s=self._command_s, name=f"bookend-{self.service}"
        )
