"""Connections that outlive the process that used them: a new one costs a login and the plan of every statement.

Nothing of a process stays on one: it is kept only outside a transaction, and units leave no session state behind.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from libs.common.address import driver_url
from libs.common.db import Database
from libs.common.driver import DriverConnection
from libs.common.testing import TestDatabase

_KEPT: dict[str, list[_Kept]] = defaultdict(list)
"""By address, which names database and login."""


class _Kept(DriverConnection):
    """A connection that is put aside where others are closed."""

    shelf: list[_Kept]

    def end(self) -> None:
        """Put it aside, unless it is of no use to anybody."""
        if self.is_closed() or self.is_in_transaction():
            super().end()
        else:
            self.shelf.append(self)


class _KeepingDatabase(Database):
    """The doors of one process, with connections that others have used before it."""

    def __init__(self, url: str, *, service: str) -> None:
        super().__init__(url, service=service)
        self._address = url

    async def _connect(self) -> DriverConnection:
        shelf = _KEPT[self._address]
        while shelf:
            connection = shelf.pop()
            if not connection.is_closed():
                return connection
        made: _Kept = await asyncpg.connect(
            driver_url(self._address), command_timeout=30, connection_class=_Kept, statement_cache_size=200
        )
        made.shelf = shelf
        return made


@asynccontextmanager
async def opened(database: TestDatabase, service: str) -> AsyncIterator[Database]:
    """Open the doors of a service, as its process would."""
    made = _KeepingDatabase(database.url_of(service), service=service)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
