"""One connection of the driver, and SQLAlchemy Core on top of it.

Nothing here keeps session state, which makes every connection as good as any other behind a transaction-mode pooler.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from libs.common.address import driver_url

_opening: ContextVar[DriverConnection] = ContextVar("opening")


class DriverConnection(asyncpg.Connection):
    """A driver connection that can also be spoken to in SQLAlchemy Core. Close it with `end`."""

    _core: AsyncConnection | None = None

    async def core(self, engine: AsyncEngine) -> AsyncConnection:
        """Return the Core connection on top of this one, made at its first use and kept as long as it lives."""
        if self._core is None:
            token = _opening.set(self)
            try:
                self._core = await engine.connect()
            finally:
                _opening.reset(token)
        return self._core

    def end(self) -> None:
        """Close it at once and let go of what is on top of it."""
        if not self.is_closed():
            self.terminate()
        core, self._core = self._core, None
        if core is not None and core.sync_connection is not None:
            core.sync_connection.invalidate()
            core.sync_connection.close()


def make_engine(*, pooled: bool) -> AsyncEngine:
    """Make what compiles Core statements and caches them. It opens nothing: connections are handed to it."""
    own: dict[str, Any] = {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str} if pooled else {}
    return create_async_engine(
        "postgresql+asyncpg://",
        async_creator=_handed,
        poolclass=NullPool,
        # Begin, door and commit are the unit's, in one message each.
        isolation_level="AUTOCOMMIT",
        connect_args=own,
    )


async def connect(url: str, *, pooled: bool, command_timeout_s: float, name: str) -> DriverConnection:
    """Open a connection. Raises: OSError, asyncpg's errors."""
    connection: DriverConnection = await asyncpg.connect(
        driver_url(url),
        command_timeout=command_timeout_s,
        connection_class=DriverConnection,
        statement_cache_size=0 if pooled else 200,
        # The driver would forget each after five minutes: whoever trades once an hour would wait for every plan again.
        max_cached_statement_lifetime=0,
        server_settings={"application_name": name},
    )
    return connection


async def _handed(*_: Any, **__: Any) -> DriverConnection:
    return _opening.get()
