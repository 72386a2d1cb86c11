"""State that survives `kill -9`: one row per order, account and fact, written through before an answer leaves."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from simulator.book import Account, Order, Position, Status

SCHEMA = """
create table if not exists rows (
  kind text not null, key text not null, body blob not null, primary key (kind, key)) without rowid;
create table if not exists entries (id integer primary key, account text not null, body blob not null);
create index if not exists entries_account on entries (account, id);
"""
_MONEY = frozenset(
    {"price", "stop", "average", "last_price", "cash", "deposited", "realized", "realized_today", "cost"}
)
_INSTANTS = frozenset({"created_at", "changed_at", "acquired_at"})
_DAYS = frozenset({"session_date", "realized_date"})


def _plain(value: object) -> object:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(type(value).__name__)


def encode(value: object) -> bytes:
    """Write a value as JSON, decimals as strings."""
    return orjson.dumps(value, default=_plain)


def _revive(body: dict[str, Any]) -> dict[str, Any]:
    for name, value in body.items():
        if value is None:
            continue
        if name in _MONEY:
            body[name] = Decimal(value)
        elif name in _INSTANTS:
            body[name] = datetime.fromisoformat(value)
        elif name in _DAYS:
            body[name] = date.fromisoformat(value)
    return body


def decode_order(body: bytes) -> Order:
    """Read an order back."""
    known = {field.name for field in fields(Order)}
    values = {name: value for name, value in orjson.loads(body).items() if name in known}
    return Order(**_revive(values) | {"status": Status(values["status"])})


def decode_account(body: bytes) -> Account:
    """Read an account back."""
    values = orjson.loads(body)
    positions = {name: Position(**_revive(held)) for name, held in values.pop("positions").items()}
    return Account(**_revive(values), positions=positions)


class JournalTaken(RuntimeError):
    """Another simulator works on this data."""


class Journal:
    """An SQLite file in WAL mode: a commit is in the operating system's hands before it returns."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None, timeout=1.0)
        try:
            self._db.execute("pragma locking_mode=exclusive")
            self._db.execute("pragma journal_mode=wal")
            self._db.execute("begin immediate")
            self._db.execute("commit")
        except sqlite3.OperationalError as error:
            self._db.close()
            raise JournalTaken(f"{path} is in use by another simulator, or cannot be written: {error}") from error
        self._db.execute("pragma synchronous=normal")
        self._db.execute("pragma cache_size=-4000")
        self._db.executescript(SCHEMA)

    def write(self, rows: Iterable[tuple[str, str, object]], entries: Iterable[tuple[str, object]] = ()) -> None:
        """Store rows by kind and key, and append entries, in one commit."""
        self._db.execute("begin")
        self._db.executemany(
            "insert into rows (kind, key, body) values (?, ?, ?)"
            " on conflict (kind, key) do update set body = excluded.body",
            ((kind, key, encode(body)) for kind, key, body in rows),
        )
        self._db.executemany(
            "insert into entries (account, body) values (?, ?)", ((who, encode(body)) for who, body in entries)
        )
        self._db.execute("commit")

    def read(self, kind: str) -> Iterator[tuple[str, bytes]]:
        """List the rows of a kind."""
        yield from self._db.execute("select key, body from rows where kind = ?", (kind,))

    def entries(self, account: str) -> list[dict[str, Any]]:
        """List what happened to an account's money and holdings, oldest first."""
        found = self._db.execute("select body from entries where account = ? order by id", (account,))
        return [orjson.loads(body) for (body,) in found]

    def remove(self, kind: str, keys: Iterable[str]) -> None:
        """Take rows of a kind away."""
        self._db.executemany("delete from rows where kind = ? and key = ?", ((kind, key) for key in keys))

    def forget(self, account: str) -> None:
        """Take an account's entries away."""
        self._db.execute("delete from entries where account = ?", (account,))

    def clear(self) -> None:
        """Start over."""
        self._db.executescript("begin; delete from rows; delete from entries; commit;")

    def close(self) -> None:
        """Let the file go."""
        self._db.close()
