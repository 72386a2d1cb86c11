"""One transaction through one door: what handlers and stores hold while they read and change the service's tables.

It commits when its block ends cleanly and rolls back otherwise; nothing it set outlives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy.engine import CursorResult, Row
from sqlalchemy.sql import Executable

from libs.common import carried, inbox
from libs.common.db_errors import DRIVER_ERRORS, after_commit_was_sent, translated
from libs.common.driver import DriverConnection
from libs.common.errors import InvariantBroken, UpstreamUnavailable
from libs.common.handlers import Context
from libs.common.job_rows import Planned
from libs.common.messages.base import SYSTEM_USER, Fact
from libs.common.opening import USUAL, Manner, opening
from libs.common.outbox_rows import Emitted

if TYPE_CHECKING:
    from libs.common.db import Database

ROLLBACK_S = 2.0
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Unit:
    """One transaction. `user` is who it is for, None behind the worker's door."""

    def __init__(self, database: Database, door: str, user: str | None, manner: Manner = USUAL) -> None:
        self.user = user
        self._manner = manner
        self.schema = database.service
        self._database = database
        self._door = door
        self._held: DriverConnection | None = None
        self._locked: set[str] = set()
        self._emitted: list[Emitted] = []
        self._planned: list[Planned] = []
        self._said = False
        self._after_commit: list[Callable[[], None]] = []
        self._wrote = False

    async def __aenter__(self) -> Self:
        """Take a connection, begin, and open the door: one message. Raises: UpstreamUnavailable."""
        self._held = await self._database.acquire()
        try:
            words = opening(self._door, self.user or "", self._manner)
            await self._held.execute(words, timeout=self._database.acquire_s)
        except DRIVER_ERRORS as error:
            if isinstance(error, TimeoutError):
                # The server is frozen, or the network is gone: no waiting for a rollback.
                self._held.terminate()
            await self._abandon()
            raise translated(error) from error
        except BaseException:
            await self._abandon()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Store what was emitted and commit, or roll back. Raises: UpstreamUnavailable, OutcomeUnknown."""
        if error is not None:
            await self._abandon()
            return
        try:
            if self._emitted or self._planned:
                await self._store_carried()
            if self._manner.ends_later and not self._after_commit:
                self._database.end_later(self._connection)
                self._held = None
                return
            await self._commit()
        except BaseException:
            await self._abandon()
            raise
        self._release()
        self._database.answered()
        for callback in self._after_commit:
            callback()

    # ── statements ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def all(self, statement: Executable, params: Params = None) -> Sequence[Row[Any]]:
        """Return every row of a Core statement."""
        return (await self._core(statement, params)).all()

    async def one(self, statement: Executable, params: Params = None) -> Row[Any] | None:
        """Return the first row of a Core statement, None when there is none."""
        return (await self._core(statement, params)).first()

    async def scalar(self, statement: Executable, params: Params = None) -> Any:
        """Return the first column of the first row, None when there is none."""
        row = (await self._core(statement, params)).first()
        return None if row is None else row[0]

    async def run(self, statement: Executable, params: Params = None) -> int:
        """Carry out a Core statement and return how many rows it touched; given many sets of values, how many sets."""
        touched = (await self._core(statement, params)).rowcount
        return len(params) if touched < 0 and params is not None else touched

    async def json(self, sql: str, *args: Any) -> bytes | None:
        """Return the one text (or bytea) column of the one row that a hot statement makes, as bytes.

        The driver runs it, prepared; arguments are $1, $2. None when there is no row or the column is null.
        """
        await self._store_planned()
        return await self._hot(sql, *args)

    async def write(self, sql: str, *args: Any) -> None:
        """Run a hot statement that begins with `with`, and in it store what was said and planned so far.

        A round trip less than storing it when the unit ends; what is said later is stored then.
        """
        said, planned, self._emitted, self._planned = self._emitted, self._planned, [], []
        sql, values = carried.carrying(sql, args, said, planned, schema=self.schema)
        await self._hot(sql, *values)

    async def fetch(self, sql: str, *args: Any, timeout_s: float | None = None) -> list[Any]:
        """Run one of the chassis' own statements on the driver connection and return its records. Units: seconds."""
        await self._store_planned()
        self._note(sql)
        try:
            return await self._connection.fetch(sql, *args, timeout=timeout_s)
        except DRIVER_ERRORS as error:
            raise translated(error) from error

    async def copy_in(self, table: str, columns: Sequence[str], records: Iterable[Sequence[Any]]) -> int:
        """Append `records` by COPY to a shared table (PostgreSQL refuses COPY under row level security).

        Returns how many. A jsonb value is given as text.
        """
        await self._store_planned()
        self._wrote = True
        try:
            tag = await self._connection.copy_records_to_table(
                table, schema_name=self.schema, columns=list(columns), records=records
            )
        except DRIVER_ERRORS as error:
            raise translated(error) from error
        return int(tag.rpartition(" ")[2])

    async def now(self) -> datetime:
        """Return the database's time at this moment, not at the transaction's begin. Time: aware UTC."""
        moment: datetime = (await self.fetch("select clock_timestamp()"))[0][0]
        return moment

    # ── facts, messages, jobs ────────────────────────────────────────────────────────────────────────────────────────

    def lock_taken(self, key: str) -> None:
        """Note that this transaction holds the row of `key`, which whoever emits facts of the key must."""
        self._locked.add(key)

    def emit(self, *facts: Fact, key_version: int | None = None, user: str | None = None) -> None:
        """Say facts, stored in this transaction when it ends. The version defaults to the fact's own `key_version`.

        Raises: InvariantBroken when the key's row was not locked first, or the user is missing or somebody else's.
        """
        owner = self.user if user is None else user
        if owner is None or (self.user is not None and owner not in {self.user, SYSTEM_USER}):
            message = f"facts of {owner or 'nobody'} from a unit of {self.user or 'the worker'}"
            raise InvariantBroken(message)
        for fact in facts:
            if fact.key not in self._locked:
                message = f"{type(fact).__name__} says something of {fact.key}, whose row this transaction did not lock"
                raise InvariantBroken(message)
            version = getattr(fact, "key_version", None) if key_version is None else key_version
            self._emitted.append(Emitted.of(fact, user=owner, key_version=version))
        if facts and not self._said:
            self._said = True
            self.after_commit(self._database.facts_stored)

    async def newest(self, ctx: Context) -> bool:
        """Say whether this is news of its key to this consumer, and remember it. False: older or equal, drop it."""
        return await inbox.newest(self, ctx)

    async def first(self, ctx: Context) -> bool:
        """Say whether this consumer sees this message for the first time, and remember it. False: seen, drop it."""
        return await inbox.first(self, ctx)

    async def schedule(
        self,
        kind: str,
        key: str,
        due: datetime | timedelta | None,
        *,
        user: str | None = None,
        data: Mapping[str, Any] | None = None,
        replace: bool = True,
        wakes: bool = True,
    ) -> None:
        """Let job (kind, key) be due at a moment, a while after now by the database's clock, or now (None).

        With `replace` off, a job that is there already is only ever brought forward. A run that is going on is not
        disturbed: the job is due again after it. It is stored with the next statement at the latest. `wakes`: this
        process need not wait for its next look.
        """
        if any((one.kind, one.key) == (kind, key) for one in self._planned):
            await self._store_planned()
        self._planned.append(Planned.of((kind, key), due, user=user or self.user, data=data, replaces=replace))
        if wakes:
            self.after_commit(lambda: self._database.job_scheduled(kind, due))

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call `callback` once the transaction is committed, and never otherwise."""
        self._after_commit.append(callback)

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _connection(self) -> DriverConnection:
        if self._held is None:
            message = "a unit is used only inside its block"
            raise InvariantBroken(message)
        return self._held

    async def _store_planned(self) -> None:
        if self._planned:
            said, self._emitted = self._emitted, []
            await self._store_carried()
            self._emitted = said

    async def _store_carried(self) -> None:
        sql, values = carried.alone(self._emitted, self._planned, schema=self.schema)
        self._emitted, self._planned = [], []
        await self._hot(sql, *values)

    async def _hot(self, sql: str, *args: Any) -> bytes | None:
        self._note(sql)
        try:
            found = await self._connection.fetchval(sql, *args)
        except DRIVER_ERRORS as error:
            raise translated(error) from error
        return found.encode() if isinstance(found, str) else found

    async def _core(self, statement: Executable, params: Params) -> CursorResult[Any]:
        await self._store_planned()
        self._wrote = self._wrote or not getattr(statement, "is_select", False)
        try:
            core = await self._connection.core(self._database.engine)
            return await core.execute(statement, params)
        except DRIVER_ERRORS as error:
            raise translated(error) from error

    def _note(self, sql: str) -> None:
        self._wrote = self._wrote or not sql.lstrip()[:6].lower().startswith("select")

    async def _commit(self) -> None:
        connection = self._connection
        if connection.is_closed():
            message = "the database was lost before anything was stored"
            raise UpstreamUnavailable(message)
        try:
            tag = await connection.execute("COMMIT")
        except DRIVER_ERRORS as error:
            raise after_commit_was_sent(error, wrote=self._wrote) from error
        if tag != "COMMIT":
            message = "a statement of this unit failed and its error was swallowed: nothing was stored"
            raise InvariantBroken(message)

    async def _abandon(self) -> None:
        """Undo and give the connection back; one that cannot even be told to undo is cut."""
        if self._held is None:
            return
        try:
            if not self._held.is_closed():
                async with asyncio.timeout(ROLLBACK_S):
                    await self._held.execute("ROLLBACK")
        except DRIVER_ERRORS:
            self._held.terminate()
        except BaseException:
            self._held.terminate()
            raise
        finally:
            self._release()

    def _release(self) -> None:
        connection, self._held = self._held, None
        if connection is not None:
            self._database.release(connection)
